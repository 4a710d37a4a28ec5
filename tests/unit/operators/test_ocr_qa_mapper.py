"""Questions about text in pictures: asked where the answer is beyond doubt, and only there."""

import json
import socket

import pytest
from PIL import Image, ImageDraw, ImageFont

SEED = "seed/bettersynth_200"


@pytest.fixture
def ask(registered):
    """The questions and answers about lines ``(text, left, top, right, bottom)`` or those with a score behind."""
    from syntune.operators.image_texts import Box, Line, Page
    from syntune.operators.ocr_questions import Certainty, Picker, questions_about

    def ask(*lines, caption="a picture", min_score=0.97, max_words=6):
        read = [
            Line(text, score[0] if score else 1.0, Box(left, top, right, bottom), bottom - top, True)
            for text, left, top, right, bottom, *score in lines
        ]
        page = Page(400, 400, read)
        asked = questions_about(page, caption, Certainty(min_score, 0.03, max_words), Picker("r0", 0))
        return {one.question: one.answer for one in asked if one.turn < 2}

    return ask


@pytest.fixture
def picture(tmp_path):
    """Draw texts ``(x, y, size, text)`` on a white picture; returns its path."""

    def draw(*texts, name="picture.png"):
        image = Image.new("RGB", (448, 336), "white")
        for x, y, size, text in texts:
            ImageDraw.Draw(image).text((x, y), text, "black", ImageFont.load_default(size))
        image.save(tmp_path / name)
        return str(tmp_path / name)

    return draw


@pytest.fixture
def rows(registered):
    """Run the operator on captions of pictures; returns the rows."""
    from syntune.operators.ocr_qa_mapper import OcrQaMapper

    def rows(*pictures, text="<__dj__image>\na picture <|__dj__eoc|>", **parameters):
        batch = {
            "id": [f"r{index}" for index in range(len(pictures))],
            "images": [[path] for path in pictures],
            "text": [text] * len(pictures),
        }
        made = OcrQaMapper(**parameters).process_batched(batch)
        return [dict(zip(made, values, strict=True)) for values in zip(*made.values(), strict=True)]

    return rows


def test_the_only_text_is_asked_for_as_a_whole(ask):
    (answer,) = ask(("Is Getting", 50, 50, 250, 90), ("an MBA", 60, 95, 200, 135)).values()
    assert answer == "Is Getting an MBA"


def test_a_caption_says_what_the_text_is_on(ask):
    ((question, answer),) = ask(("OPEN", 50, 50, 250, 90), caption="a sign on a door").items()
    assert "sign" in question and answer == "OPEN"


def test_places_and_the_largest(ask):
    asked = ask(("BREVARD", 150, 20, 250, 40), ("EGOLF", 50, 150, 350, 230), ("Photos Soon", 100, 350, 300, 375))
    places = {place: answer for question, answer in asked.items() for place in ("top", "bottom") if place in question}
    assert places == {"top": "BREVARD", "bottom": "Photos Soon"}
    assert [answer for question, answer in asked.items() if "gest" in question] == ["EGOLF"]


def test_what_may_be_text_counts_against_a_question(ask):
    largest = ("EGOLF", 50, 150, 350, 230)
    assert ask(largest, ("x?", 10, 300, 300, 390, 0.4)) == {}
    assert ask((*largest, 0.9)) == {}


@pytest.mark.parametrize(
    ("token", "word"),
    [("1984", "year"), ("42", "number"), ("$12.99", "price"), ("30%", "percentage"), ("example.com", "web")],
)
def test_numbers_and_addresses(ask, token, word):
    asked = ask((token, 150, 20, 250, 60), ("some words here", 50, 150, 350, 190))
    assert [answer for question, answer in asked.items() if word in question or "cost" in question] == [token]


def test_two_numbers_are_no_number(ask):
    asked = ask(("42", 150, 20, 250, 60), ("room 7", 50, 150, 350, 190))
    assert not [question for question in asked if "number" in question]


@pytest.mark.parametrize(
    "line",
    [
        ("www.shutterstock.com", 50, 50, 250, 90),
        ("KINGDO", 330, 50, 400, 90),
        ("tiny", 50, 50, 70, 58),
        ("Free Printables from", 50, 50, 250, 90),
        ("目录", 50, 50, 250, 90),
        ("one two three four five six seven", 50, 50, 350, 90),
    ],
)
def test_watermarks_cut_lines_small_print_and_half_sentences_are_no_answers(ask, line):
    assert ask(line) == {}


def test_a_picture_is_read_and_asked_about(rows, picture):
    (row,) = rows(picture((120, 120, 60, "OPEN")), text="<__dj__image>\na sign on a door <|__dj__eoc|>", sides=[480])
    question, answer = row["text"].removeprefix("<__dj__image>\n[[human]]: ").split("\n[[gpt]]: ")
    assert "sign" in question and question.endswith("\nAnswer the question using a single word or phrase.")
    assert answer == "OPEN <|__dj__eoc|>"
    stats = row["__dj__stats__"]
    assert stats["ocr_texts"] == ["OPEN"]
    assert 0.9 < stats["ocr_scores"][0] <= 1
    left, top, right, bottom = stats["ocr_boxes"][0]
    assert 100 < left < 140 and 115 < top < 145 and 260 < right < 320 and 160 < bottom < 200


def test_vertical_text_is_no_answer(rows, picture, tmp_path):
    path = picture((120, 120, 60, "OPEN"))
    Image.open(path).rotate(90, expand=True).save(tmp_path / "turned.png")
    assert rows(str(tmp_path / "turned.png"), sides=[480]) == []


def test_questions_fill_turns_and_then_rows(rows, picture):
    path = picture((150, 10, 30, "BREVARD"), (60, 120, 90, "EGOLF"), (100, 280, 35, "Photos Soon"))
    (row,) = rows(path, sides=[480])
    assert row["text"].count("[[human]]:") == row["text"].count("Answer the question") == 3
    assert row["text"].count("<__dj__image>") == 1
    assert [made["id"] for made in rows(path, sides=[480], turns=1)] == ["r0"] * 3


def test_pictures_without_text(rows, picture):
    blank, text = picture(name="blank.png"), "<__dj__image>\na picture <|__dj__eoc|>"
    assert rows(blank, sides=[480]) == []
    assert [row["text"] for row in rows(blank, sides=[480], without_text="keep")] == [text]
    (row,) = rows(blank, sides=[480], without_text="ask")
    assert row["text"].endswith("[[gpt]]: no <|__dj__eoc|>")


def test_nothing_is_downloaded(rows, picture, monkeypatch):
    from syntune.operators import image_texts

    def refuse(*args):
        raise AssertionError("a connection is opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    image_texts._reader.cache_clear()
    image_texts.read_page.cache_clear()
    assert rows(picture((120, 120, 60, "OPEN")), sides=[480])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"questions": 0}, "questions: 0 is not 1 or more"),
        ({"without_text": "no"}, "without_text: 'no' is not one of drop, keep, ask"),
        ({"sides": []}, "sides: .* is not a list of one or more numbers"),
    ],
)
def test_wrong_parameters_are_named(rows, parameters, message):
    with pytest.raises(ValueError, match=message):
        rows(**parameters)


def test_real_pictures(rows, shared):
    seed = {row["id"]: row for row in map(json.loads, (shared / SEED / "seed.jsonl").read_text().splitlines())}
    paths = [str(shared / SEED / seed[row_id]["images"][0]) for row_id in ("001689397", "003277044", "005461880")]
    texts = [row["text"] for row in rows(*paths)]
    assert len(texts) == 2
    assert "Merry Christmas" in texts[0]
    assert "STAR WARS" in texts[1] and "DECEMBER" in texts[1]
