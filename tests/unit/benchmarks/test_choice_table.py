"""Tables of choice are read as they are meant, or refused: no option, row or image is cut in silence."""

import base64
import io
from collections.abc import Callable

import pytest
from PIL import Image

from syntune.artifacts.predictions import Prediction
from syntune.benchmarks.scoring import score_run
from syntune.errors import UserError

HEAD = ("index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image")


def image(color: str = "red") -> str:
    """A PNG in base64, longer than a line of MIME."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def row(index: int = 1, **cells: str) -> dict[str, str]:
    """A sound row, save for what is given."""
    return {
        "index": str(index), "question": "What is it?", "hint": "", "A": "cat", "B": "dog", "C": "sun", "D": "moon",
        "answer": "B", "category": "c", "image": image(), **cells,
    }  # fmt: skip


@pytest.fixture
def read(load, tmp_path) -> Callable:
    """The questions of a table that is written line by line, without any quotation of our own."""

    def questions(*rows: dict[str, str], **settings):
        columns = list(dict.fromkeys([*HEAD, *(name for each in rows for name in each)]))
        lines = ["\t".join(columns), *("\t".join(each.get(name, "") for name in columns) for each in rows)]
        (tmp_path / "table.tsv").write_text("\n".join(lines) + "\n", encoding=settings.pop("encoding", "utf-8"))
        return load(protocol="mmbench", table=tmp_path / "table.tsv", **settings).questions()

    return questions


def test_every_option_that_the_table_holds_is_asked(read):
    asked, four = read(row(E="star", F="tree", answer="F"), row(2))
    assert list(asked.options.values()) == ["cat", "dog", "sun", "moon", "star", "tree"]
    assert "\nE. star\nF. tree\n" in asked.prompt
    assert (asked.references, asked.notes) == (("F",), ("more than 4 options",))
    assert list(four.options) == list("ABCD") and four.notes == ()


def test_line_ends_within_a_cell_are_kept(load, tmp_path):
    cells = row(question='"What\r\nis it?"')
    table = "\r\n".join(["\t".join(HEAD), "\t".join(cells[name] for name in HEAD), ""])
    (tmp_path / "table.tsv").write_bytes(table.encode())
    (asked,) = load(protocol="mmbench", table=tmp_path / "table.tsv").questions()
    assert asked.prompt.startswith("What\r\nis it?\nA. cat\n")


def test_a_letter_beyond_d_is_read_where_it_is_an_option(read, load):
    (asked,) = read(row(E="star", F="tree", answer="F"))
    protocol = load(protocol="mmbench", table="unread")
    found = [protocol.extract(asked, text) for text in ("F", "The answer is F.", "star", "G")]
    assert found == ["F", "F", "E", ""]


@pytest.mark.parametrize("word", ["None", "none", "NA", "N/A", "n/a", "nan", "NaN", "null", "NULL", "<NA>"])
def test_words_for_nothing_are_options(read, word):
    asked, plain = read(row(A=word, answer="A"), row(2))
    assert f"\nA. {word}\nB. dog\nC. sun\nD. moon\n" in asked.prompt
    assert (asked.references, asked.notes, plain.notes) == (("A",), ("an option reads None",), ())


def test_options_are_cut_as_the_reference_does_only_on_request(read):
    asked, unasked = read(row(C="None"), row(2, A="NA", answer="A"), none_options="cut")
    assert (list(asked.options), asked.notes) == (["A", "B"], ("options cut at None",))
    assert (unasked.options, unasked.notes) == ({}, ("options cut at None",))


def test_what_is_unusual_is_counted_in_the_score(load, read, tmp_path):
    questions = read(row(A="None", answer="A"), row(2, E="star"), row(3))
    protocol = load(protocol="mmbench", table=tmp_path / "table.tsv")
    turned = {2: {"transparency": "white"}, 3: {"orientation": "apply"}}
    answers = [
        Prediction(question_id=q.id, prompt=q.prompt, text=q.references[0], **turned.get(q.id, {})) for q in questions
    ]
    score = score_run("run", protocol, protocol.all_questions(), answers)
    assert score.breakdown["questions"] == {
        "an option reads None": 1, "image turned by its orientation tag": 1, "more than 4 options": 1,
        "transparent pixels on white": 1,
    }  # fmt: skip
    assert score.metadata.model_dump()["none_options"] == "offer"
    assert (score.main.value, score.breakdown["answers"]["not recognised"]) == (1.0, 0)


def test_a_mark_of_quotation_swallows_no_row(read):
    rows = [row(index) for index in range(1, 7)]
    rows[1]["question"], rows[4]["question"] = '"What is shown?', 'Where is it?"'
    questions = read(*rows)
    assert [q.id for q in questions] == [1, 2, 3, 4, 5, 6]
    assert questions[1].prompt.startswith('"What is shown?\nA. cat')
    assert questions[4].prompt.startswith('Where is it?"\n')


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ('"What is shown?', '"What is shown?'),
        ('"Stop" is on the sign. Why?', '"Stop" is on the sign. Why?'),
        ('What does "Stop" mean?', 'What does "Stop" mean?'),
        ('"What does ""Stop"" mean?"', 'What does "Stop" mean?'),
        ('"Two\nlines?"', "Two\nlines?"),
        ('"A\ttab?"', "A\ttab?"),
    ],
)
def test_quotation_is_read_as_it_is_meant(read, question, asked):
    questions = read(row(1), row(2, question=question), row(3))
    assert [q.prompt.split("\nA. ")[0] for q in questions] == ["What is it?", asked, "What is it?"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(1, question='"What'), row(2, question="two\nlines"), row(3, question='it"')], "quote cells that hold"),
        ([row(1, question="a\tb")], r"row 2 has 11 cells, the first row 10; without quotation, line 2 has 11"),
        ([row(1, question='"unclosed\nlines')], "unexpected end of data; without quotation, line 2 has 2 cells"),
        (
            [row(1, question='"What'), row(2, question='"A ""B"" c?"'), row(3, question='it"')],
            "line 3 has a cell that is",
        ),
        ([row(1, e="star")], "column 'e' would not be read; write it 'E'"),
        ([row(1, Answer="B")], "column 'Answer' would not be read; write it 'answer'"),
        ([row(1) | {" hint": "A hint."}], "column ' hint' would not be read; write it 'hint'"),
        (
            [row("x"), row(2, answer="Z"), row(3, B="", answer="A"), row(4, question="")],
            r"1 of 4 rows have no whole number as index \(index x\); 1 of 4 rows have no question \(index 4\); "
            r"1 of 4 rows have no answer of A to D \(index 2\); 1 of 4 rows have an option after an empty one "
            r"\(index 3\); correct them",
        ),
        ([row(1, F="star")], r"1 of 1 rows have an option after an empty one \(index 1\)"),
        ([row(1, B="", answer="A")], "have an option after an empty one"),
        ([row(1, E="", answer="E")], r"an answer that is none of their options \(index 1\)"),
        ([row(1), row(2, answer="F")], r"1 of 2 rows have no answer of A to D \(index 2\)"),
        ([row(1, question=" ")], "have no question"),
        ([], "has no rows"),
    ],
)
def test_what_cannot_be_read_is_refused(read, rows, message):
    with pytest.raises(UserError, match=message):
        read(*rows)


WRAPPED = base64.encodebytes(base64.b64decode(image())).decode()


@pytest.mark.parametrize(
    "cell",
    [
        f'"{WRAPPED}"',
        f'"{WRAPPED.strip()}"',
        "  " + image() + " ",
        "data:image/png;base64," + image(),
        f'"data:image/png;base64,{WRAPPED}"',
        f'"[""{image()}""]"',
        f"['data:image/png;base64,{image()}']",
        base64.urlsafe_b64encode(base64.b64decode(image())).decode(),
    ],
)
def test_an_image_is_read_however_its_base64_is_written(read, cell):
    asked, other = read(row(1, image=cell), row(2, image="1"))
    assert asked.image == base64.b64decode(image())
    assert other.image is asked.image


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (f'"[""{image()}"", ""{image("blue")}""]"', "several images, and a question has one"),
        (f"{image()} {image('blue')}", "several images, and a question has one"),
        (f"{image()},{image('blue')}", "several images, and a question has one"),
        (f"{image()};data:image/png;base64,{image('blue')}", "several images, and a question has one"),
        ("images/1.png", "is not base64"),
        ("https://example.org/1.png", "is not base64"),
        ("[1]", "is not base64"),
        ("[", "is not base64"),
        ("2", "is not base64"),
        ("é", "is not base64"),
    ],
)
def test_a_cell_that_is_not_one_image_is_refused(read, cell, message):
    with pytest.raises(UserError, match=rf"the image of 1 of 1 rows is not base64 \(index 1.*{message}|{message}"):
        read(row(1, image=cell))


def test_a_column_that_stands_twice_is_named(load, tmp_path):
    cells = row(1)
    lines = ["\t".join([*HEAD, "image"]), "\t".join([*(cells[name] for name in HEAD), image()])]
    (tmp_path / "table.tsv").write_text("\n".join(lines))
    with pytest.raises(UserError, match="column image stands there twice; leave one out"):
        load(protocol="mmbench", table=tmp_path / "table.tsv").questions()


def test_a_byte_order_mark_is_no_part_of_a_column(read):
    assert read(row(1), encoding="utf-8-sig")[0].id == 1
