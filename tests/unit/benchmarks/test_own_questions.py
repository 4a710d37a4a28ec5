"""Questions of one's own: files as they may come, one clear line for a row that is wrong, the prompt and the answer."""

import base64
import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from syntune.artifacts.manifests import Part, write_manifest
from syntune.benchmarks.base64_images import is_image
from syntune.errors import UserError

ROW = {"id": 1, "image": "a/one.png", "question": "What is it?", "answer": "a cat"}


@pytest.fixture
def lines(tmp_path, png, load):
    """The benchmark of rows in a file of JSON lines; a row may be given as the text of its line."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one.png").write_bytes(png)

    def make(*rows, protocol="vqa", **settings):
        path = tmp_path / "questions.jsonl"
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return load(protocol=protocol, questions=path, **settings)

    return make


def test_rows_become_questions(lines, tmp_path):
    protocol = lines(
        ROW,
        {"id": "x", "image": "a/one.png", "question": "How {many}?", "answers": [2, "two"], "category": "number"},
        prompt="Q: {question} {{brief}}",
    )
    first, second = protocol.all_questions()
    assert (first.id, first.references, first.categories) == (1, ("a cat",), {})
    assert (second.prompt, second.references) == ("Q: How {many}? {brief}", ("2", "two"))
    assert second.categories == {"category": "number"} and second.group == first.group
    assert first.image == tmp_path / "a/one.png" and protocol.own_words(second) == "How {many}?"
    protocol.check_images([first, second])


def test_images_of_a_folder_may_be_missing(lines, tmp_path):
    protocol = lines(ROW, images=tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"benchmark bench: 1 of 1 images are missing \(.*/elsewhere/a/one.png\)"):
        protocol.check_images(protocol.all_questions())


def test_a_json_list_is_named(lines):
    with pytest.raises(UserError, match="questions.jsonl: a JSON list; write one row a line"):
        lines("[", json.dumps(ROW), "]").all_questions()


def test_a_date_beyond_all_calendars_is_no_traceback(load, tmp_path):
    category = pyarrow.array([2**60], pyarrow.timestamp("ms"))
    table = pyarrow.Table.from_pylist([ROW]).append_column("category", category)
    parquet.write_table(table, tmp_path / "questions.parquet")
    with pytest.raises(UserError, match="questions.parquet: cannot be read as Parquet"):
        load(protocol="vqa", questions=tmp_path / "questions.parquet").all_questions()


def test_parquet_holds_bytes_structs_and_paths(load, tmp_path, png):
    path = tmp_path / "questions.parquet"
    struct = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    table = {
        "id": ["a", "b"],
        "image": pyarrow.array([{"bytes": png, "path": "x.png"}, {"bytes": None, "path": "y.png"}], struct),
        "question": ["one?", "two?"],
        "answer": ["1", None],
        "answers": [None, ["2"]],
        "category": [None, None],
    }
    parquet.write_table(pyarrow.table(table), path)
    first, second = load(protocol="vqa", questions=path).all_questions()
    assert (first.image, second.image) == (png, tmp_path / "y.png")
    assert (first.references, second.references) == (("1",), ("2",))
    parquet.write_table(pyarrow.table(table | {"image": [png, png]}), path)
    first, second = load(protocol="vqa", questions=path).all_questions()
    assert first.image == png and first.group == second.group


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "1"}, r"line 2: id: '1' is the id of line 1 too; each row needs its own"),
        ({"answer": None}, r"line 2: has neither answer \(one\) nor answers \(a list\)"),
        ({"answers": ["a"]}, "line 2: has both answer and answers"),
        ({"answer": None, "answers": []}, r"line 2: answers: must not be empty"),
        ({"answer": " "}, r"line 2: answer: "),
        ({"answer": None, "answers": ["a", ""]}, r"line 2: answers.1: "),
        ({"anser": "a"}, r"line 2: anser: unknown key; did you mean 'answer'\?"),
        ({"image": None}, r"line 2: image: is missing"),
        ({"image": ""}, r"line 2: image: must be a path, an image's bytes, or a struct of bytes and path"),
        ({"image": {"path": None}}, r"line 2: image: must be a path"),
        ({"question": 3.5, "id": None}, r"line 2: id: is missing"),
    ],
)
def test_a_row_that_is_wrong_is_named(lines, change, message):
    with pytest.raises(UserError, match=rf"^\S*questions.jsonl: {message}"):
        lines(ROW, ROW | {"id": 2} | change).all_questions()


def test_all_rows_that_are_wrong_are_told_at_once(lines):
    wrong = [ROW | {"id": number, "anser": "a"} for number in range(3, 9)]
    message = (
        r"questions.jsonl: line 2: image: must .*; line 3: id: '1' is .*; line 4: anser: .*; and 3 more such rows$"
    )
    with pytest.raises(UserError, match=message):
        lines(ROW, ROW | {"id": 2, "image": ""}, ROW, *wrong).all_questions()


def test_nan_says_nothing(lines):
    nothing = float("nan")
    (question,) = lines(ROW | {"answers": nothing, "category": nothing}).all_questions()
    assert (question.references, question.categories) == (("a cat",), {})
    for key, message in {"answer": "has neither answer", "id": "id: is missing", "question": "question: is"}.items():
        with pytest.raises(UserError, match=f"line 1: {message}"):
            lines(ROW | {key: nothing}).all_questions()
    with pytest.raises(UserError, match="line 1: answers.0: nan is no text"):
        lines(ROW | {"answer": None, "answers": [nothing]}).all_questions()


def test_a_whole_number_with_a_point_is_its_digits(lines):
    questions = lines(ROW | {"answer": 5.0}, ROW | {"id": 2, "answer": 12.5}, ROW | {"id": 3, "answer": "5.0"})
    assert [question.references for question in questions.all_questions()] == [("5",), ("12.5",), ("5.0",)]


@pytest.mark.parametrize("start", ["", "data:image/png;base64,"])
def test_an_image_may_be_base64(lines, png, start):
    text = start + base64.encodebytes(png).decode()
    assert is_image(text) and not is_image("a" * 300) and not is_image("/9j/4/one.jpg")
    protocol = lines(ROW | {"image": text}, ROW | {"id": 2, "image": {"path": None, "bytes": text}})
    assert [question.image for question in protocol.all_questions()] == [png, png]
    protocol.check_images(protocol.all_questions())


def test_what_is_neither_an_image_nor_a_path_is_named(lines):
    with pytest.raises(UserError, match=r"line 1: image: broken base64 \("):
        lines(ROW | {"image": "data:image/png;base64,iVBORw0KGgo"}).all_questions()
    protocol = lines(ROW | {"image": "A" * 5000})
    with pytest.raises(UserError, match="1 of 1 images are missing"):
        protocol.check_images(protocol.all_questions())


def test_a_question_about_several_images_is_refused(lines):
    assert lines(ROW | {"question": "<image>\nWhat is it?"}).all_questions()
    with pytest.raises(UserError, match=r"1 of 2 questions have several <image> marks \(2\)"):
        lines(ROW, ROW | {"id": 2, "question": "<image>\n<image>\nWhat differs?"}).all_questions()


@pytest.mark.parametrize("text", ["{", "[]", '{"id": 1', "[" * 300, '{"id": ' + "9" * 5001 + "}", '{"id": "\\ud800"}'])
def test_a_line_that_is_no_row_is_named(lines, text):
    with pytest.raises(UserError, match=r"^\S*questions.jsonl: line 2: [^\n]*$"):
        lines(ROW, text).all_questions()


def test_held_out_questions_are_those_that_were_written(load, tmp_path, png):
    path, manifest = tmp_path / "d.holdout/questions.parquet", tmp_path / "d.holdout.manifest.json"
    path.parent.mkdir()
    parquet.write_table(pyarrow.table({key: [value] for key, value in (ROW | {"image": png}).items()}), path)
    write_manifest(manifest, stage="hold_out", name="d", parts=[Part.from_file(path, tmp_path, 1)])
    assert len(load(protocol="vqa", questions=path).all_questions()) == 1
    flipped = bytearray(path.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(UserError, match="questions.parquet: missing, or not the file that .*holdout.manifest.json"):
        load(protocol="vqa", questions=path).all_questions()


def test_a_file_that_is_no_parquet_is_named(load, tmp_path):
    path = tmp_path / "questions.parquet"
    for content in (b"PAR1", b""):
        path.write_bytes(content)
        with pytest.raises(UserError, match="questions.parquet: cannot be read as Parquet"):
            load(protocol="vqa", questions=path).all_questions()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"questions": "q.json"}, "questions: "),
        ({"prompt": "Say it."}, r"prompt: must hold \{question\}, and no other braces"),
        ({"prompt": "{question} {answer}"}, r"prompt: must hold \{question\}"),
        ({"prompt": "{question!r}"}, r"prompt: must hold \{question\}"),
        ({"prompt": "{question} {"}, "prompt: .*write a brace of the text twice"),
        ({"answer_pattern": "("}, "answer_pattern: not a regular expression"),
        ({"metric": "accuracy"}, "metric: Input should be 'exact_match'"),
    ],
)
def test_settings_that_are_wrong_are_named(load, settings, message):
    with pytest.raises(UserError, match=message):
        load(**{"protocol": "vqa", "questions": Path("q.jsonl"), **settings})


@pytest.mark.parametrize(
    ("pattern", "text", "answer"),
    [
        (None, " a cat\n", "a cat"),
        ("Answer: (.*)", "I see. Answer: a cat \nDone", "a cat"),
        ("Answer: (.*)", "a cat", ""),
        (r"\d+", "about 12 or 13", "12"),
        ("cat(s)?", "a cat", ""),
    ],
)
def test_a_pattern_takes_the_answer_out(load, pattern, text, answer):
    protocol = load(protocol="vqa", questions="q.jsonl", **({"answer_pattern": pattern} if pattern else {}))
    assert protocol.extract(None, text) == answer
