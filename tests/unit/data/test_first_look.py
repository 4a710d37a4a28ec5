"""A first look: the format is found, rows are shown as they will be trained, and what is wrong is one line."""

import json

import pytest

from syntune.data.first_look import look_at, told
from syntune.errors import UserError
from syntune.settings.seeds import SeedSettings


def test_captions_beside_pictures(work, png):
    (work / "pictures").mkdir()
    for name in "abcd":
        (work / f"pictures/{name}.png").write_bytes(png())
        (work / f"pictures/{name}.txt").write_text(f"picture {name}")
    look = look_at(SeedSettings(path="pictures"))
    assert (look.format, look.records, len(look.examples)) == ("image_folder", 4, 3)
    user, assistant = look.examples[0].messages
    assert user["content"].startswith("<image>\n") and assistant == {"role": "assistant", "content": "picture a"}
    assert "pictures/a.png: a.png (40 x 30)" in told(look)


def test_conversations_whose_images_lie_elsewhere(seed):
    with pytest.raises(UserError, match=r"0\.png.*name their folder with --images"):
        look_at(seed().model_copy(update={"images": None}))
    assert look_at(seed()).records == 6
    assert not look_at(seed()).has_short_answers and look_at(seed(texts=["a red cat"] * 6)).has_short_answers


def test_bad_pictures_are_counted_and_the_shown_rows_are_the_files_own(work, seed):
    whole = seed()
    first, second, *_ = sorted((work / "seed").glob("*.png"))
    first.write_bytes(first.read_bytes()[:40])
    second.unlink()
    look = look_at(whole)
    assert (look.records, look.looked_at, look.usable) == (6, 6, 4)
    assert "2 of the 6 whose pictures were looked at cannot be used; bad_image: drop sets them aside:" in told(look)
    assert "seed.jsonl: line 2: " in look.bad_pictures[1] and look.examples[0].where == "seed.jsonl: line 3"


def test_what_cannot_be_read_is_counted(work, seed):
    seed()
    with (work / "seed.jsonl").open("a") as file:
        file.write('{"id": "x"}\nnot json\n')
    look = look_at(SeedSettings(path="seed.jsonl", images="seed"))
    assert look.records == 6 and look.faults.total() == 2
    assert "6 records of format jsonl; 2 cannot be read (" in told(look) and "seed.jsonl" in look.first_fault


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": "x"}\n', "none of its records can be read; seed.jsonl"),
        ("[]", "none of its records can be read; there are none"),
        (json.dumps([{"conversations": [{"from": "human", "value": "so?"}]}]), "seed.jsonl.*no answer"),
    ],
)
def test_data_that_cannot_be_used_is_refused(work, content, message):
    (work / "seed.jsonl").write_text(content)
    with pytest.raises(UserError, match=message):
        look_at(SeedSettings(path="seed.jsonl"))
