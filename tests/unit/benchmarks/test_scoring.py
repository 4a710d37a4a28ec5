"""Prediction files that cannot be trusted, score files, and runs side by side."""

import json
from statistics import stdev

import pytest

import compare
import score
from syntune.artifacts.findings import BenchmarkFindings, Findings
from syntune.benchmarks.predictions import read_predictions
from syntune.errors import UserError


def right(question) -> str:
    return question.references[0]


def run_score(protocol, path, *more: str) -> dict:
    settings = protocol.settings.model_dump_json()
    output = path.with_suffix(".score.json")
    command = ["--run", path.stem, "--benchmark", "bench", "--settings", settings, "--predictions", str(path)]
    score.main(score.parser().parse_args([*command, "--output", str(output), *more]))
    return json.loads(output.read_text())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[1:], r"3 questions asked: 1 questions are not answered \(10\); predict again"),
        (lambda rows: [*rows, rows[0]], r"1 questions are answered more than once \(10\)"),
        (lambda rows: [*rows, rows[0] | {"question_id": 99}], r"1 answers are to unknown questions \(99\)"),
        (lambda rows: [rows[0] | {"prompt": "?"}, *rows[1:]], r"1 answers are to other prompts .* \(10\)"),
        (lambda rows: [rows[0] | {"adapter": "z"}, *rows[1:]], r"the lines' adapter differs \(2 values: z, a\)"),
        (
            lambda rows: [rows[0] | {"decoding": {"max_new_tokens": 5}}, *rows[1:]],
            r"the lines' decoding differs \(2 values: {\"max_new_tokens\":5}, None\)",
        ),
        (lambda rows: [{"question_id": 10}, *rows[1:]], "line 1: prompt: is missing"),
    ],
)
def test_a_prediction_file_that_cannot_be_trusted_is_refused(textvqa, write_predictions, tmp_path, change, message):
    questions = textvqa().questions()
    path = write_predictions(tmp_path / "p.jsonl", questions, right, change)
    with pytest.raises(UserError, match=message):
        read_predictions(path, questions)


def test_answers_to_the_other_prompts_are_not_scored(textvqa, write_predictions, tmp_path):
    path = write_predictions(tmp_path / "p.jsonl", textvqa(ocr_tokens=False).questions(), right)
    with pytest.raises(UserError, match="3 answers are to other prompts"):
        read_predictions(path, textvqa().questions())


def test_a_score_file(textvqa, write_predictions, tmp_path):
    protocol = textvqa(limit=2)
    path = write_predictions(tmp_path / "raw.jsonl", protocol.questions(), lambda q: "acme")
    found = run_score(protocol, path)
    assert found["metrics"]["accuracy"]["value"] == 0.5
    assert found["questions"] == [[10, 1.0, "i1"], [11, 0.0, "i1"]]
    assert found["metrics"]["accuracy"]["interval"] is None, "one image tells nothing of the error"
    assert found["baseline"] == {"majority": 0.5, "answer": "acme", "metrics": {"accuracy": 0.5}}
    assert found["metadata"]["questions_in_benchmark"] == 3
    assert found["breakdown"]["answers"] == {"empty": 0, "not recognised": 0, "distinct": 1}


def test_circular_scores_by_category(mmbench, write_predictions, tmp_path):
    protocol = mmbench()
    path = write_predictions(tmp_path / "raw.jsonl", protocol.questions(), lambda q: "A" if q.group == 7 else right(q))
    found = run_score(protocol, path)
    assert found["primary"] == "circular"
    assert {name: metric["value"] for name, metric in found["metrics"].items()} == {
        "circular": 0.5, "vanilla": 0.75, "first_pass": 1.0, "circular_exact": 0.5, "vanilla_exact": 0.75
    }  # fmt: skip
    assert found["breakdown"]["circular_by_category"]["kind 7"] == {"value": 0.0, "n": 1}
    assert found["breakdown"]["vanilla_by_l2-category"]["l2"] == {"value": 0.75, "n": 4}
    assert found["baseline"]["metrics"]["circular"] == 0 and found["baseline"]["metrics"]["vanilla"] == 0.5


def write_findings(path, dataset, questions, **ids) -> str:
    """The findings on a dataset; images are found pixel for pixel."""
    ids = {"both": [], "text": [], "image": []} | ids
    found = BenchmarkFindings(
        questions=questions, text=len(ids["text"]), image_exact=len(ids["image"]), image_near=0, both=len(ids["both"]),
        share=len(ids["both"]) / questions, question_ids=ids, row_ids=[], examples={},
    )  # fmt: skip
    path.write_text(Findings(dataset=dataset, settings={}, rows=9, benchmarks={"bench": found}).model_dump_json())
    return str(path)


def test_scores_without_the_questions_in_the_training_data(textvqa, write_predictions, tmp_path):
    protocol = textvqa()
    path = write_predictions(tmp_path / "raw.jsonl", protocol.questions(), lambda q: "acme")  # 10 right; 11, 12 wrong
    assert run_score(protocol, path)["contamination"] is None
    raw = write_findings(tmp_path / "raw", "raw", 3, both=[10], text=[10, 11], image=[10])
    more = write_findings(tmp_path / "more", "more", 3, text=[12])
    found = run_score(protocol, path, "--contamination", raw, more)
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(1 / 3), "the score itself stays"
    assert found["contamination"]["datasets"] == ["raw", "more"]
    without = found["contamination"]["without"]
    both = without["both"]
    assert (both["left_out"], both["n"], both["clusters"], both["value"]) == (1, 2, 2, 0.0)
    assert both["interval"][0] == 0.0 < both["interval"][1]
    assert (without["text"]["left_out"], without["text"]["value"]) == (3, None)


def test_a_base_question_is_left_out_with_any_of_its_rotations(mmbench, write_predictions, tmp_path):
    protocol = mmbench()
    path = write_predictions(tmp_path / "raw.jsonl", protocol.questions(), lambda q: "A" if q.group == 7 else right(q))
    findings = write_findings(tmp_path / "raw", "raw", 4, both=[1_000_007], text=[1_000_007])
    both = run_score(protocol, path, "--contamination", findings)["contamination"]["without"]["both"]
    assert (both["left_out"], both["n"], both["value"]) == (1, 1, 1.0)


def test_empty_answers_may_count_as_wrong(textvqa, write_predictions, tmp_path):
    protocol = textvqa(empty_answers="wrong")
    path = write_predictions(tmp_path / "raw.jsonl", protocol.questions(), lambda q: "" if q.id == 10 else right(q))
    found = run_score(protocol, path)
    assert found["breakdown"]["answers"]["empty"] == 1
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(2 / 3)


def test_empty_answers_leave_a_run_without_a_score(textvqa, write_predictions, tmp_path):
    protocol = textvqa()
    path = write_predictions(tmp_path / "raw.jsonl", protocol.questions(), lambda q: " " if q.id == 10 else right(q))
    found = run_score(protocol, path)
    assert found["not_scored"] == (
        f"1 of 3 answers are empty (10); set benchmarks.{protocol.name}.empty_answers: wrong to count them as wrong"
    )
    with pytest.raises(UserError, match=r"raw.jsonl: 1 of 3 answers are empty \(10\)"):
        run_score(protocol, path, "--submission", str(tmp_path / "submission.json"))
    assert not (tmp_path / "submission.json").exists()


def test_a_metric_that_does_not_apply_leaves_a_run_without_a_score(load, write_predictions, tmp_path):
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"id": 1, "image": "x.png", "question": "?", "answers": ["a", "b", "a"]}\n')
    protocol = load(protocol="vqa", questions=questions, metric="vqa_accuracy")
    found = run_score(protocol, write_predictions(tmp_path / "raw.jsonl", protocol.questions(), right))
    assert found["not_scored"].startswith("metric: vqa_accuracy wants 4 answers or more of each question, and 1 of 1")


def test_ids_that_print_alike_are_the_same(textvqa, write_predictions, tmp_path):
    protocol = textvqa()
    path = write_predictions(
        tmp_path / "raw.jsonl",
        protocol.questions(),
        right,
        lambda rows: [r | {"question_id": str(r["question_id"])} for r in rows],
    )
    assert run_score(protocol, path)["questions"][0] == [10, 1.0, "i1"]


def test_open_answers_by_every_metric(load, write_predictions, tmp_path):
    rows = [
        {"id": place, "image": f"{place // 2}.png", "question": "?", "answer": answer, "category": "ab"[place % 2]}
        for place, answer in enumerate(["100", "acme", "red", "blue"])
    ]
    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    protocol = load(protocol="vqa", questions=questions, metric="anls", answer_pattern="A: (.*)")
    texts = iter(["A: 104", "A: acne", "A: Red.", "blue"])
    path = write_predictions(tmp_path / "raw.jsonl", protocol.questions(), lambda q: next(texts))
    found = run_score(protocol, path)
    assert found["primary"] == "anls" and found["metadata"]["label"] == "open questions by anls"
    values = {name: metric["value"] for name, metric in found["metrics"].items()}
    anls = (2 / 3 + 3 / 4 + 3 / 4 + 0) / 4  # one edit of three, of four, of four; nothing recognised
    assert values == pytest.approx({"anls": anls, "exact_match": 0.25, "relaxed_accuracy": 0.25})
    assert found["breakdown"]["answers"] == {"empty": 0, "not recognised": 1, "distinct": 4}
    assert found["breakdown"]["anls_by_category"]["b"] == {"value": 0.375, "n": 2}
    assert (found["metrics"]["anls"]["clusters"], found["metadata"]["clusters"]) == (2, "images")


def test_secret_answers_are_submitted_not_scored(mmbench, write_predictions, tmp_path):
    protocol = mmbench(lambda rows: [row.update(answer="") for row in rows])
    path = write_predictions(tmp_path / "raw.jsonl", protocol.questions(), lambda q: "A")
    found = run_score(
        protocol, path, "--submission", str(tmp_path / "s.xlsx"), "--reference-answers", str(tmp_path / "r")
    )
    assert found["not_scored"].startswith("4 of 4 questions have no reference answer (7, 8, 1000007 and 1 more)")
    assert (tmp_path / "s.xlsx").stat().st_size > 0
    line = json.loads((tmp_path / "r").read_text().splitlines()[0])
    assert {"question_id", "prompt", "text", "answer_id", "model_id", "metadata"} <= set(line)


def run_compare(paths, folder, baseline="base", *more):
    files = [str(folder / name) for name in ("c.json", "c.tsv", "c.txt")]
    command = ["--scores", *map(str, paths), "--baseline", baseline, "--output", files[0], "--table", files[1]]
    compare.main(compare.parser().parse_args([*command, "--text", files[2], *more]))
    return json.loads((folder / "c.json").read_text()), (folder / "c.txt").read_text()


def test_runs_side_by_side(textvqa, write_predictions, tmp_path):
    protocol = textvqa()
    for run, answer in (("base", lambda q: "acme"), ("tuned", right)):
        run_score(protocol, write_predictions(tmp_path / f"{run}.jsonl", protocol.questions(), answer))
    scores = [tmp_path / "base.score.json", tmp_path / "tuned.score.json"]
    found, text = run_compare(scores, tmp_path)
    (tuned,) = found["benchmarks"]["bench"]["differences"]
    assert (tuned["run"], tuned["beside"], tuned["trained_once"]) == ("tuned", "base", ["tuned", "base"])
    assert tuned["difference"] == pytest.approx(2 / 3)
    assert found["benchmarks"]["bench"]["majority"]["answer"] == "acme"
    assert "+66.7" in text and '"acme"' in text
    assert max(map(len, text.splitlines())) <= 110
    names, *rows = (line.split("\t") for line in (tmp_path / "c.tsv").read_text().splitlines())
    rows = [dict(zip(names, row, strict=True)) for row in rows]
    assert [row["run"] for row in rows] == ["base", "tuned"]
    stderr = 100 * found["benchmarks"]["bench"]["runs"]["base"]["stderr"]
    assert float(rows[0]["stderr"]) == pytest.approx(stderr, rel=1e-14) and f"  {stderr:.2f}  " in text
    assert float(rows[0]["score"]) == pytest.approx(100 / 3, rel=1e-14)
    first, second = [row["difference_stderr"] for row in rows]
    assert first == "" and float(second) == pytest.approx(100 * tuned["stderr"], rel=1e-14)
    with pytest.raises(UserError, match="no score of the baseline run 'other'"):
        run_compare(scores, tmp_path, "other")


def test_trainings_of_a_run_are_one_run(textvqa, write_predictions, tmp_path):
    protocol = textvqa()
    answers = {
        "base": lambda q: "acme",
        "tuned": right,
        "tuned-2": lambda q: "acme" if q.id == 10 else right(q),
        "tuned-3": right,
    }
    for run, answer in answers.items():
        run_score(protocol, write_predictions(tmp_path / f"{run}.jsonl", protocol.questions(), answer))
    plan = [
        "--trainings", json.dumps({"base": ["base"], "tuned": ["tuned", "tuned-2", "tuned-3"]}),
        "--pairs", json.dumps([{"run": "tuned", "beside": "base", "trained_once": []}]),
    ]  # fmt: skip
    found, text = run_compare([tmp_path / f"{run}.score.json" for run in answers], tmp_path, "base", *plan)
    runs = found["benchmarks"]["bench"]["runs"]
    scores = runs["tuned"]["trainings"]
    assert list(runs) == ["base", "tuned"] and list(scores) == ["tuned", "tuned-2", "tuned-3"]
    assert runs["tuned"]["value"] == pytest.approx(sum(scores.values()) / 3)
    assert runs["tuned"]["spread"] == pytest.approx(stdev(scores.values()))
    assert "lowest to highest" in text and "questions, trainings" in text
    names, *rows = (line.split("\t") for line in (tmp_path / "c.tsv").read_text().splitlines())
    tuned = dict(zip(names, rows[1], strict=True))
    assert (tuned["trainings"], tuned["beside"], tuned["trained_once"]) == ("3", "base", "")
    with pytest.raises(UserError, match="bench: there is no score of 'tuned-3'"):
        run_compare([tmp_path / f"{run}.score.json" for run in list(answers)[:3]], tmp_path, "base", *plan)


def test_runs_that_were_decoded_differently_are_not_compared(textvqa, write_predictions, tmp_path):
    protocol = textvqa()

    def scored(run, dtype):
        decoding = {"decoding": protocol.decoding() | {"dtype": dtype}}
        path = tmp_path / f"{run}.jsonl"
        run_score(
            protocol, write_predictions(path, protocol.questions(), right, lambda rows: [r | decoding for r in rows])
        )
        return path.with_suffix(".score.json")

    base, other, alike = scored("base", "bfloat16"), scored("other", "float32"), scored("alike", "bfloat16")
    assert set(run_compare([base, alike], tmp_path)[0]["benchmarks"]["bench"]["runs"]) == {"base", "alike"}
    with pytest.raises(UserError, match='runs .other. and .base. were decoded differently .*"dtype":"float32"'):
        run_compare([base, other], tmp_path)


def test_a_run_that_is_not_scored_stands_beside_the_others(textvqa, write_predictions, tmp_path):
    protocol = textvqa()
    answers = {"base": lambda q: "acme", "tuned": right, "tuned-2": lambda q: "" if q.id == 11 else right(q)}
    for run, answer in answers.items():
        run_score(protocol, write_predictions(tmp_path / f"{run}.jsonl", protocol.questions(), answer))
    paths = [tmp_path / f"{run}.score.json" for run in answers]
    found, text = run_compare(paths, tmp_path)
    assert list(found["benchmarks"]["bench"]["runs"]) == ["base", "tuned"]
    assert [one["run"] for one in found["benchmarks"]["bench"]["differences"]] == ["tuned"]
    assert list(found["not_scored"]["bench"]) == ["tuned-2"]
    assert "tuned-2 is not scored: 1 of 3 answers are empty (11); " in text
    assert max(map(len, text.splitlines())) <= 110
    names, *rows = (line.split("\t") for line in (tmp_path / "c.tsv").read_text().splitlines())
    last = dict(zip(names, rows[-1], strict=True))
    assert (last["run"], last["score"], last["not_scored"][:7]) == ("tuned-2", "", "1 of 3 ")

    trainings = json.dumps({"base": ["base"], "tuned": ["tuned", "tuned-2"]})
    found, text = run_compare(paths, tmp_path, "base", "--trainings", trainings)
    assert list(found["benchmarks"]["bench"]["runs"]) == ["base"]
    assert "tuned is not scored: tuned-2: 1 of 3 answers are empty" in text

    found, text = run_compare(paths[2:], tmp_path, "tuned-2")
    assert found["benchmarks"] == {} and text.startswith("bench\n\ntuned-2 is not scored: ")


def test_runs_with_other_questions_are_not_compared(textvqa, write_predictions, tmp_path):
    for run, limit in (("base", None), ("tuned", 2)):
        protocol = textvqa(limit=limit)
        run_score(protocol, write_predictions(tmp_path / f"{run}.jsonl", protocol.questions(), right))
    with pytest.raises(UserError, match="answered different questions"):
        run_compare([tmp_path / "base.score.json", tmp_path / "tuned.score.json"], tmp_path)
