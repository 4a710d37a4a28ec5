"""TextVQA: the numbers of the official evaluator, and files that don't belong together."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntune.benchmarks.metrics import ExtractedAnswer, mark_vqa
from syntune.benchmarks.textvqa import question_of_prompt
from syntune.benchmarks.vqa_accuracy import normalise, vqa_accuracy
from syntune.errors import UserError


@pytest.fixture(scope="module")
def reference(goldens) -> dict:
    return json.loads((goldens / "eval/textvqa.json").read_text())


def test_normaliser_is_the_evaluators(reference):
    wrong = [case for case in reference["processor"] if normalise(case["raw"]) != case["normalised"]]
    assert wrong == []


def test_accuracy_is_the_evaluators(reference):
    scores = [vqa_accuracy(case["pred_answer"], case["gt_answers"]) for case in reference["cases"]]
    assert scores == pytest.approx([case["score"] for case in reference["cases"]], abs=1e-12)
    assert sum(scores) / len(scores) == pytest.approx(reference["accuracy"], abs=1e-12)


def test_question_in_a_prompt_is_the_evaluators(reference):
    for case in reference["prompt_processor"]:
        assert question_of_prompt(case["prompt"]) == case["question"]


@given(st.text(max_size=40), st.lists(st.text(max_size=6), min_size=10, max_size=10))
def test_an_answer_is_compared_without_outer_space_and_case(answer, references):
    assert vqa_accuracy(f" {answer}\n", references) == vqa_accuracy(answer, references)
    assert vqa_accuracy(references[0], references) >= 0.3


@pytest.mark.parametrize("model", ["llava-v1.5-13b", "vila-8b"])
def test_published_models_score_as_the_evaluator_says(shared, load, model):
    folder = shared / "bench/textvqa"
    protocol = load(
        protocol="textvqa",
        annotations=folder / "TextVQA_0.5.1_val.subset.json",
        questions=folder / "llava_textvqa_val_v051_ocr.subset.jsonl",
        images=folder,
    )
    questions = protocol.questions()
    rows = map(json.loads, (folder / f"answers_{model}.jsonl").read_text().splitlines())
    texts = {(row["question_id"], row["prompt"]): row["text"] for row in rows}
    answers = [ExtractedAnswer(text := texts[question.group, question.prompt], text) for question in questions]
    values = mark_vqa(questions, answers).series["accuracy"].values
    expected = json.loads((folder / "expected.json").read_text())["accuracy_percent"][f"answers_{model}.jsonl"]
    assert round(100 * sum(values) / len(values), 2) == expected


def test_prompts_with_and_without_ocr_tokens(textvqa):
    shown, hidden = textvqa().questions()[0], textvqa(ocr_tokens=False).questions()[0]
    assert shown.prompt == "What brand?\nReference OCR token: ACME\nAnswer with a single word."
    assert hidden.prompt == "What brand?\nAnswer with a single word."
    assert textvqa().label() != textvqa(ocr_tokens=False).label()


def test_prompts_from_the_annotations_alone(textvqa):
    question = textvqa(questions=None, ocr_tokens=False).questions()[0]
    assert question.prompt == "what brand?\nAnswer the question using a single word or phrase."
    assert (question.id, question.group, question.image.name) == (10, "i1", "i1.jpg")


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ({"version": "0.5"}, "dataset_version is '0.5'"),
        ({"version": "0.5.13"}, "dataset_version is '0.5.13'"),
        ({"drop_annotations": 1}, r"1 questions have no annotation \(line 1\)"),
        ({"drop_lines": 1}, r"1 annotated questions are not asked \(10\)"),
        ({"ocr": False}, "3 of 3 questions have no 'Reference OCR token:' line"),
        ({"questions": None}, "ocr_tokens: the annotations hold no OCR tokens"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(textvqa, spoilt, message):
    with pytest.raises(UserError, match=message):
        textvqa(**spoilt).questions()


def test_missing_images_are_counted_before_anything_is_predicted(textvqa, tmp_path):
    protocol = textvqa()
    questions = protocol.questions()
    protocol.check_images(questions)
    (tmp_path / "images" / "i2.png").unlink()
    with pytest.raises(UserError, match="1 of 2 images are missing .*i2.png"):
        protocol.check_images(questions)


def test_submission_and_reference_answer(textvqa, tmp_path):
    protocol = textvqa()
    questions = protocol.questions()
    protocol.submission(questions, ["acme ", "blue", ""], tmp_path / "submission.json")
    assert json.loads((tmp_path / "submission.json").read_text())[0] == {"question_id": 10, "answer": "acme"}
    assert protocol.reference_answer(questions[0], "acme")["question_id"] == "i1"


def test_files_may_begin_with_a_byte_order_mark(textvqa, tmp_path):
    protocol = textvqa()
    asked = protocol.questions()
    for name in ("annotations.json", "questions.jsonl"):
        (tmp_path / name).write_text((tmp_path / name).read_text(), encoding="utf-8-sig")
    assert protocol.questions() == asked


@pytest.mark.parametrize("value", ["1" * 5001, "[" * 100_000])
def test_json_that_python_does_not_take_is_refused(textvqa, tmp_path, value):
    protocol = textvqa()
    with (tmp_path / "questions.jsonl").open("a") as file:
        file.write(f'\n{{"question_id": {value}}}\n')
    with pytest.raises(UserError, match=r"questions.jsonl: line 4: (cannot be read as|not) JSON"):
        protocol.questions()
