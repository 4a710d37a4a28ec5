"""MMBench: prompts, letters, circular accuracy and sheets as the reference has them."""

import json

import pandas
import pytest

from syntune.benchmarks.metrics import ExtractedAnswer, mark_choice
from syntune.errors import UserError


@pytest.fixture(scope="module")
def reference(goldens) -> dict:
    return json.loads((goldens / "eval/mmbench.json").read_text())


@pytest.fixture
def mini(goldens, load):
    return load(protocol="mmbench", table=goldens / "eval/mini_mmbench.tsv", none_options="cut")


def answers(protocol, questions, texts: dict) -> list[ExtractedAnswer]:
    return [ExtractedAnswer(texts[q.id], protocol.extract(q, texts[q.id])) for q in questions]


def means(marks) -> dict[str, float]:
    return {name: 100 * sum(series.values) / len(series.values) for name, series in marks.series.items()}


def test_prompts_are_the_references(mini, reference):
    questions = mini.questions()
    assert [q.id for q in questions] == [case["index"] for case in reference["prompts"]]
    assert [f"<image>\n{q.prompt}" for q in questions] == [case["user_text"] for case in reference["prompts"]]
    written = [mini.reference_answer(q, "A") for q in questions]
    assert [row["prompt"] for row in written] == [case["prompt"] for case in reference["prompts"]]


def test_exact_scores_are_the_kits(mini, reference):
    questions = mini.questions()
    texts = {row["question_id"]: row["text"] for row in reference["predictions"]}
    marks = mark_choice(questions, answers(mini, questions, texts))
    found = means(marks)
    assert f"{found['circular_exact']:.2f}%" == reference["kit_circular_score_printed"]
    assert found["vanilla_exact"] == reference["vanilla_exact_accuracy"]
    assert found["circular"] > found["circular_exact"]
    assert marks.counts == {"empty": 1, "exact letter": 15, "extracted letter": 4, "not recognised": 0}


def test_submission_is_the_references(mini, reference, tmp_path):
    questions = mini.questions()
    texts = {row["question_id"]: row["text"] for row in reference["predictions"]}
    mini.submission(questions, [texts[q.id] for q in questions], tmp_path / "sheet.xlsx")
    sheet = pandas.read_excel(tmp_path / "sheet.xlsx")
    assert list(sheet.columns) == reference["submission_columns"]
    rows = json.loads(sheet.to_json(orient="records"))
    as_text = [{key: None if value is None else str(value) for key, value in row.items()} for row in rows]
    expected = [
        {key: None if value is None else str(value) for key, value in row.items()}
        for row in reference["submission_rows"]
    ]
    assert as_text == expected


def test_a_published_models_score(shared, load):
    protocol = load(protocol="mmbench", table=shared / "bench/mmbench/mmbench_dev_mini.tsv")
    predicted = pandas.read_csv(shared / "bench/mmbench/pred_llava-v1.5-13b.tsv", sep="\t")
    texts = dict(zip(predicted["index"], predicted["prediction"], strict=True))
    questions = protocol.questions()
    found = means(mark_choice(questions, answers(protocol, questions, texts)))
    expected = json.loads((shared / "bench/mmbench/expected.json").read_text()).popitem()[1]
    assert (found["circular"], found["first_pass"]) == (expected["circular"], expected["first_pass"])
    assert {len(q.open_image(10**8).size) for q in questions} == {2}


@pytest.mark.parametrize("file", ["mmbench_samples_en.tsv", "mmbench_samples_cn.tsv", "ccbench_samples.tsv"])
def test_published_samples_are_read(shared, load, file):
    protocol = load(protocol="mmbench", table=shared / "bench/mmbench" / file, language="cn")
    questions = protocol.questions()
    assert questions[0].prompt.endswith("\n请直接回答选项字母。")
    assert all(q.open_image(10**8).mode == "RGB" for q in questions)
    marks = mark_choice(questions, [ExtractedAnswer("A", "A")] * len(questions))
    assert marks.primary == "vanilla", "without rotations nothing is circular"


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("A", "A"), ("b", "B"), (" (C). ", "C"), ("B. dog", "B"), ("(A) cat", "A"), ("D: whatever", "D"),
        ("B\nbecause it barks", "B"), ("The answer is B.", "B"), ("Option (A)", "A"), ("Answer: B", "B"),
        ("Cat.", "A"), ("the dog", "B"), ("The answer is a cat", "A"), ("A cat", "A"), ("answer A or answer B", ""),
        ("", ""), ("E", ""), ("...", ""), ("（B）", "B"), ("B．狗", "B"), ("答案是B项", "B"), ("应选 A。", "A"),
        ("选项：（B）", "B"), ("不选A", ""), ("Option BMW", ""), ("The answer isn't A's", ""),
    ],
)  # fmt: skip
def test_letters_are_extracted_by_the_documented_rules(mmbench, text, letter):
    protocol = mmbench()
    assert protocol.extract(protocol.questions()[0], text) == letter


def test_rotations_share_the_base_rows_image(mmbench, png):
    questions = mmbench().questions()
    assert all(q.image == png for q in questions)
    assert questions[2].image is questions[0].image


def test_a_limit_keeps_every_rotation(mmbench):
    protocol = mmbench(limit=1)
    assert [q.id for q in protocol.questions()] == [7, 1_000_007]
    assert protocol.size(protocol.all_questions()) == 2


def test_a_formula_in_an_answer_stays_text(mmbench, tmp_path):
    protocol = mmbench()
    protocol.submission(protocol.questions(), ["=1+1", "A\x00", "B", "B"], tmp_path / "sheet.xlsx")
    assert list(pandas.read_excel(tmp_path / "sheet.xlsx", dtype=str)["prediction"]) == ["=1+1", "A", "B", "B"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[0].update(image="%%%"), r"the image of 2 of 4 rows is not base64 \(index 7: "),
        (lambda rows: rows[1].update(image=rows[1]["image"][:-3]), "the image of 2 of 4 rows is not base64"),
        (lambda rows: rows[0].update(image=""), r"index 7: empty, 1000007: empty"),
        (lambda rows: rows[3].update(image="99"), r"1 of 4 rows is not base64 \(index 1000008"),
        (lambda rows: rows[2].update(index=7), r"1 of 4 rows repeat an index \(index 7\)"),
        (lambda rows: rows.pop(0), r"1 of 3 rows are rotations of an absent base row \(index 1000007\)"),
        (lambda rows: rows[0].update(answer="E"), r"1 of 4 rows have no answer of A to D \(index 7\)"),
        (lambda rows: rows[0].update(answer="C"), r"1 of 4 rows have an answer that is none of .* \(index 7\)"),
        (lambda rows: rows[3].update(B="", C="moon", answer="C"), r"1 of 4 rows have an answer .*1000008\)"),
        (lambda rows: rows[0].update(A="", B=""), r"1 of 4 rows have no options \(index 7\)"),
        (lambda rows: [row.pop("D") for row in rows], r"columns are missing \(D\)"),
    ],
)
def test_a_broken_table_is_refused(mmbench, change, message):
    with pytest.raises(UserError, match=message):
        mmbench(change).questions()


def test_an_answer_that_no_cell_holds_is_named(mmbench, tmp_path):
    protocol, path = mmbench(), tmp_path / "sheet.xlsx"
    with pytest.raises(UserError, match=r"sheet.xlsx: 1 of 4 rows have a text of more than 32,767 .* \(index 8\)"):
        protocol.submission(protocol.questions(), ["A", "b" * 32_768, "B", "B"], path)
    assert not path.exists()
