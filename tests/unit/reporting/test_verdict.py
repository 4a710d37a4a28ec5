"""The verdict says what is odd, and does not cry wolf."""

import json

import pytest

from syntune.reporting import tables
from syntune.reporting.examples import examples
from syntune.reporting.learning import health
from syntune.reporting.records import read_records
from syntune.reporting.suspicions import suspicions
from syntune.reporting.verdict import headline


@pytest.fixture
def records(project):
    """Read the project as it is now."""

    def read():
        given = project.arguments
        kinds = {"seeds": "seed", "syntheses": "synthesis", "datasets": "dataset", "models": "model", "runs": "run"}
        manifests = {name: given[f"{kind}_manifests"] for name, kind in kinds.items()}
        rest = ("summaries", "metrics", "scores", "predictions", "comparison", "contamination", "timings")
        return read_records(
            pictures=given["contamination_pictures"], **manifests, **{name: given[name] for name in rest}
        )

    return read


def texts(remarks) -> str:
    return " | ".join(f"{remark.level}: {remark.text}" for remark in remarks)


def test_a_sound_project_raises_no_suspicion(records):
    assert [remark.level for remark in suspicions(records())] == ["good"]
    assert [remark.level for remark in health(records())] == ["good"]
    assert [remark.level for remark in headline(records())] == ["note", "good", "look", "good"]


def test_empty_and_constant_answers(project, records):
    project.write_predictions("raw", "open", answer=" ")
    project.write_predictions("synthetic", "open", answer="yes")
    project.write_score("synthetic", "choice", breakdown={"answers": {"empty": 0, "not recognised": 40}})
    told = texts(suspicions(records()))
    assert "look: raw on open: 100.0% of 40 answers are empty." in told
    assert "bad: synthetic on open: every answer is “yes”." in told
    assert "look: synthetic on choice: no answer is recognised in 100.0% of the texts." in told


def test_a_run_that_is_not_scored_has_no_score_anywhere(project, records):
    reason = "3 of 40 answers are empty (q1, q2, q3); set benchmarks.open.empty_answers: wrong to count them as wrong"
    project.write_unscored("raw", "open", reason)
    found = records()
    assert f"look: raw is not scored on open: {reason}." in texts(headline(found))
    assert [remark.level for remark in suspicions(found)] == ["good"]
    rows = [[cell.text for cell in row] for row in tables.scores(found, "open").rows]
    assert ["raw", "not scored", "", "", "", "", ""] in rows
    assert "raw" not in [cell.text for cell in tables.breakdowns(found, "open", primary=True)[0].columns]
    assert "raw" in found.runs and not [row for row in tables.differences(found).rows if row[0].text == "raw"][1:]


def test_a_category_that_a_better_run_gives_up_is_named(project, records):
    for run, hard in (("pretrained", 0.25), ("raw", 0.05), ("synthetic", 0.03)):
        parts = {"easy": {"value": 0.9, "n": 100}, "hard": {"value": hard, "n": 100}}
        project.write_score(run, "open", breakdown={"accuracy_by_category": parts})
    told = texts(suspicions(records()))
    assert "synthetic beats pretrained on open, but falls behind in hard (3.0% against 25.0% of 100)." in told
    for run, hard in (("pretrained", 0.25), ("raw", 0.2), ("synthetic", 0.2)):
        project.write_score(run, "open", breakdown={"accuracy_by_category": {"hard": {"value": hard, "n": 100}}})
    assert "falls behind" not in texts(suspicions(records()))


def test_an_adapter_that_is_not_applied(project, records):
    text = (project.results / "predictions/pretrained/open.jsonl").read_text()
    project.write("predictions/raw/open.jsonl", text)
    assert "raw on open: every answer equals pretrained's; was the adapter applied?" in texts(suspicions(records()))


def test_a_full_run_that_equals_the_baseline_has_no_adapter(project, records):
    project.write("predictions/raw/open.jsonl", (project.results / "predictions/pretrained/open.jsonl").read_text())
    project.write_summary("raw", method="full")
    assert "raw on open: every answer equals pretrained's; did training change anything?" in texts(
        suspicions(records())
    )


def test_empty_answers_of_all_runs_are_one_cause(project, records):
    for run in ("pretrained", "raw"):
        project.write_predictions(run, "open", answer=" ")
    file = project.results / "predictions/raw/open.jsonl"
    rows = [json.loads(line) | {"tokens": 8} for line in file.read_text().splitlines()]
    project.write("predictions/raw/open.jsonl", "\n".join(map(json.dumps, rows)))
    project.write_unscored("raw", "open", "40 of 40 answers are empty (q0); set it")
    found = records()
    first = "bad: raw on open: every answer is empty; not scored: 40 of 40 answers are empty (q0); set it."
    assert first in texts(headline(found)) and "raw is not scored" not in texts(headline(found))
    told = texts(suspicions(found))
    assert "equals pretrained's" not in told
    ran_on = "100.0% of the answers ran to the longest length, in control or blank tokens only"
    assert f"raw on open: 100.0% of 40 answers are empty; {ran_on}." in told
    assert "passed, but pretrained and raw gave only empty answers to open." in texts(health(found))
    project.write_predictions("raw", "choice", answer=" ")
    told = texts(health(records()))
    assert "passed, but pretrained gave only empty answers to open, but raw gave only empty answers." in told


def test_empty_answers_that_count_as_wrong_are_told_of_once(project, records):
    project.write_predictions("raw", "open", answer=" ")
    nothing = {"value": 0.0, "stderr": 0.0, "interval": [0.0, 0.0], "n": 40, "clusters": 20}
    parts = {"accuracy_by_category": {"shape": {"value": 0.0, "n": 20}}, "answers": {"not recognised": 40}}
    project.write_score("raw", "open", metrics={"accuracy": nothing}, breakdown=parts)
    told = [remark.text for remark in suspicions(records()) if remark.text.startswith("raw on open")]
    assert told == ["raw on open: 100.0% of 40 answers are empty."]


def test_answers_cut_off_and_other_questions(project, records):
    file = project.results / "predictions/raw/open.jsonl"
    rows = [json.loads(line) | {"tokens": 8, "benchmark": "another"} for line in file.read_text().splitlines()]
    project.write("predictions/raw/open.jsonl", "\n".join(map(json.dumps, rows)))
    told = texts(suspicions(records()))
    assert "raw on open: 100.0% of the answers ran to the longest length." in told
    assert "open: the runs did not answer the same questions." in told


def test_no_better_than_the_majority_answer(project, records):
    project.write_score("raw", "open", baseline={"majority": 0.55, "answer": "yes", "metrics": {"accuracy": 0.55}})
    assert "raw on open: 60.0% is not shown to be better than always" in texts(suspicions(records()))


def test_broken_metrics(project, records):
    file = project.results / "checkpoints/raw/metrics.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[100]["loss"] = float("nan")
    project.write("checkpoints/raw/metrics.jsonl", "\n".join(json.dumps(row) for row in rows[::-1][:150]))
    told = texts(suspicions(records()))
    assert "raw: the loss is not a number at 1 step." in told
    assert "raw: steps are missing from metrics.jsonl" in told
    assert "raw: the loss did not fall" in told


def test_sick_training_and_masked_rows(project, records):
    check = {"name": "loss rise", "status": "failed", "detail": "step 7 rose by 4.1 nats"}
    project.write_summary("raw", healthy=False, verdicts=[check], masked_rows=12)
    told = texts(health(records()))
    assert "bad: raw: loss rise (failed): step 7 rose by 4.1 nats." in told
    assert "look: raw: 12 rows without a supervised token" in told
    assert "Training of raw is not known to have been healthy." in texts(headline(records()))


def test_what_did_not_learn_is_told_first(project, records):
    seen = "training loss 6.720 to 6.700 (noise 0.013): it did not fall by more than 3 times its noise"
    check = {"name": "learned", "status": "failed", "detail": seen}
    project.write_summary("raw", healthy=False, learned="failed", verdicts=[check])
    project.write_predictions("synthetic", "open", answer=" ")
    told = [f"{remark.level}: {remark.text}" for remark in headline(records())]
    assert told[:2] == [f"bad: raw did not learn: {seen}.", "bad: synthetic on open: every answer is empty."]
    assert "healthy" not in " ".join(told)
    assert "Training was healthy" not in texts(health(records()))


def test_a_loss_that_did_not_fall_did_not_learn_where_no_check_says_so(project, records):
    lines = [json.dumps({"step": step, "loss": 6.70 + 0.001 * step}) for step in range(1, 21)]
    project.write("checkpoints/raw/metrics.jsonl", "\n".join(lines))
    assert headline(records())[0].text == "raw did not learn: loss 6.70 to 6.72."
    project.write_summary("raw", learned="ok")
    assert "did not learn" not in texts(headline(records()))


def test_few_steps_are_told(project, records):
    check = {"name": "steps", "status": "warning", "detail": "7 optimizer steps are few, below 30"}
    project.write_summary("raw", verdicts=[check])
    assert "look: raw: 7 optimizer steps are few, below 30." in texts(headline(records()))
    assert "Training was healthy" not in texts(headline(records()))
    assert "note: No health check of training failed." in texts(headline(records()))
    assert "look: raw: steps (warning): 7 optimizer steps are few, below 30." in texts(health(records()))


def test_dead_answers_of_a_run_are_not_called_healthy(project, records):
    project.write_predictions("raw", "open", answer="no")
    told = texts(headline(records()))
    assert told.startswith("bad: raw on open: every answer is “no”.") and "Training was healthy" not in told


def test_a_warning_of_many_runs_is_one_line_with_a_table(project, records):
    metric = {"value": 0.3, "stderr": 0.05, "interval": [0.2, 0.4], "n": 40, "clusters": 20}
    for run in ("pretrained", "raw", "synthetic"):
        project.write_score(run, "open", metrics={"accuracy": metric})
    (remark,) = suspicions(records())
    assert remark.text == "Scores are not shown to be better than always giving the most frequent answer."
    row = {"benchmark": "open", "score": "30.0%", "most frequent answer": "25.0%"}
    assert remark.rows == tuple({"run": run, **row} for run in ("pretrained", "raw", "synthetic"))
    assert '<th scope="col">most frequent answer</th>' in project.report()


def test_runs_of_one_outcome_share_a_sentence(project, records):
    better = {"difference": 0.3, "interval": [0.1, 0.5]}
    project.write_comparison(raw=better, synthetic=better)
    assert "good: raw and synthetic beat pretrained on open and choice." in texts(headline(records()))


def test_one_training_each_ranks_no_two_datasets(project, records):
    assert (
        "look: synthetic scores above raw on open by 20.0 points (5.0 to 35.0) and choice by 20.0 points (5.0 to "
        "35.0), but synthetic and raw were trained once, and another training may turn that: set replicates: 3 to tell."
    ) in texts(headline(records()))


@pytest.mark.parametrize(
    ("difference", "interval", "told"),
    [
        (0.2, [0.05, 0.35], "good: synthetic beats raw on open by 20.0 points (5.0 to 35.0) and choice by"),
        (-0.2, [-0.35, -0.05], "bad: synthetic is worse than raw on open by 20.0 points (5.0 to 35.0) and choice by"),
        (
            0.1,
            [-0.05, 0.25],
            "note: synthetic cannot be told apart from raw on open (+10.0 points, −5.0 to +25.0) and choice (",
        ),
    ],
)
def test_several_trainings_rank_two_datasets(project, records, difference, interval, told):
    project.write_comparison(pair={"difference": difference, "interval": interval, "trained_once": []})
    assert told in texts(headline(records()))


def test_questions_in_the_training_data(project, records):
    project.write_score("raw", "open", contamination=project.without(2))
    told = texts(suspicions(records()))
    assert "look: raw on open: 5.0% of the questions stand in its training data" in told
    assert "the score is 60.0% with all and 57.5% without them." in told


def test_a_part_of_a_benchmark(project, records):
    project.write_score("raw", "open", metadata=project.metadata("open", questions_in_benchmark=5000))
    assert "open: scored on 40 of 5,000 questions" in texts(suspicions(records()))


def test_examples_show_only_questions_with_a_score(project, records):
    marks = [["q3", 0.0, 1], ["q4", 0.0, 2]]
    for run in ("pretrained", "raw", "synthetic"):
        project.write_score(run, "choice", questions=marks)
    shown = examples(records(), "choice")
    assert [example.alike for example in shown] == [2] and shown[0].question_id in {"q3", "q4"}
