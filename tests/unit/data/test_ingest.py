"""Seeds of every format come in whole; whatever is wrong with one is named."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from syntune.artifacts.manifests import read_manifest
from syntune.data.ingest import ingest_seed
from syntune.errors import UserError
from syntune.files import read_jsonl, sha256_file
from syntune.settings.seeds import SeedSettings

ROWS, MANIFEST = Path("results/seed/s"), Path("results/seed/s.manifest.json")


def rows():
    return [row for chunk in sorted(ROWS.glob("chunk-0*.jsonl")) for row in read_jsonl(chunk)]


def ingest(settings, **changes):
    ingest_seed("s", settings.model_copy(update=changes), ROWS, MANIFEST)
    return read_manifest(MANIFEST)


def refused(settings, match):
    with pytest.raises(UserError, match=match) as caught:
        ingest_seed("s", settings, ROWS, MANIFEST)
    assert str(caught.value).encode()
    assert not ROWS.exists() and not MANIFEST.exists()


def test_jsonl_rows_carry_paths_and_hashes(seed):
    manifest = ingest(seed(), chunks=4)
    assert [part.path for part in manifest.parts] == [f"s/chunk-0000{index}.jsonl" for index in range(4)]
    assert {row["id"] for row in rows()} == {f"r{index}" for index in range(6)}
    for row in rows():
        assert row["image_sha256"] == [sha256_file(path) for path in row["images"]]
    assert manifest.details == {
        "images": 6,
        "images_with_orientation_tag": 0,
        "images_with_transparent_pixels": 0,
        "images_of_one_colour": 6,
        "unused_keys": {},
        "read_otherwise": {},
    }


def test_the_same_seed_gives_the_same_bytes(seed):
    first = ingest(seed(), chunks=2)
    assert ingest(seed(), chunks=2) == first


def test_a_changed_image_changes_the_seed(seed, png):
    settings = seed()
    first = ingest(settings)
    Path("seed/3.png").write_bytes(png("green"))
    assert ingest(settings).content != first.content


def test_a_limit_reads_from_the_top(seed):
    manifest = ingest(seed(), limit=2)
    assert (manifest.rows_in, {row["id"] for row in rows()}) == (2, {"r0", "r1"})


def test_real_records(shared, work):
    folder = shared / "seed" / "bettersynth_200"
    settings = SeedSettings(format="jsonl", path=str(folder / "seed.jsonl"), images=str(folder), chunks=3)
    manifest = ingest(settings)
    assert (manifest.rows_in, manifest.rows_out, manifest.dropped) == (200, 200, {})


def test_llava_and_parquet_give_the_rows_of_jsonl(work, png):
    Path("seed").mkdir()
    Path("seed/a.png").write_bytes(png())
    text = "[[human]]: <__dj__image>\nWhat?\n[[gpt]]: A square. <|__dj__eoc|>"
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A square."}]
    messages = [{"role": "user", "content": "<image>\nWhat?"}, {"role": "assistant", "content": "A square."}]
    Path("a.jsonl").write_text(json.dumps({"id": 7, "images": ["a.png"], "text": text}))
    Path("a.json").write_text(json.dumps([{"id": 7, "image": "a.png", "conversations": turns, "source": "x"}]))
    images = [{"bytes": png(), "path": "a.png"}]
    pq.write_table(pa.Table.from_pylist([{"id": "7", "images": images, "messages": messages}]), "a.parquet")

    made = {}
    for kind, file in (("jsonl", "a.jsonl"), ("llava", "a.json"), ("parquet", "a.parquet")):
        ingest(SeedSettings(format=kind, path=file, images="seed"))
        (row,) = rows()
        assert sha256_file(row.pop("images")[0]) == row["image_sha256"][0]
        made[kind] = row
    assert made["jsonl"] == made["llava"] == made["parquet"]
    assert made["jsonl"]["id"] == "7"
    assert ingest(SeedSettings(format="llava", path="a.json", images="seed")).details["unused_keys"] == {"source": 1}


def test_parquet_captions_get_their_marks_and_ids(work, png):
    image = {"bytes": png(), "path": None}
    pq.write_table(pa.Table.from_pylist([{"image": image, "text": "a square"}] * 2), "a.parquet")
    ingest(SeedSettings(format="parquet", path="a.parquet"))
    first, second = sorted(rows(), key=lambda row: row["id"])
    assert first["text"] == "<__dj__image>\na square"
    assert second["id"] == first["id"] + "-2"
    assert first["images"] == second["images"] and first["images"][0].startswith("results/seed/s/images/")


def test_parquet_reads_messages_before_text_and_images_before_image(work, png):
    turns = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "A square."}]
    row = {"images": [png(), png("blue")], "image": png("blue"), "messages": turns, "text": "3"}
    pq.write_table(pa.Table.from_pylist([row]), "a.parquet")
    manifest = ingest(SeedSettings(format="parquet", path="a.parquet"))
    text = "<__dj__image>\n<__dj__image>\n[[human]]: What?\n[[gpt]]: A square. <|__dj__eoc|>"
    assert [row["text"] for row in rows()] == [text]
    assert [Path(path).read_bytes() for path in rows()[0]["images"]] == [png(), png("blue")]
    assert manifest.details["unused_keys"] == {"image": 1, "text": 1}


def truncated(data):
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("spoil", "match", "reason"),
    [
        (lambda path: path.unlink(), r"line 3: seed/2.png: cannot be read \(No such file", "missing image"),
        (lambda path: path.write_bytes(truncated(path.read_bytes())), "line 3: seed/2.png", "bad image"),
        (lambda path: path.write_text("<html>not found</html>"), "line 3: seed/2.png: not an image", "bad image"),
        (lambda path: Image.new("1", (9000, 9000)).save(path), "9000 x 9000 pixels are more than", "bad image"),
    ],
    ids=["missing", "truncated", "html", "huge"],
)
def test_a_bad_image_is_refused_or_counted(seed, spoil, match, reason):
    settings = seed()
    spoil(Path("seed/2.png"))
    refused(settings, match)
    manifest = ingest(settings, bad_image="drop")
    assert (manifest.dropped, manifest.rows_out) == ({reason: 1}, 5)


LINE = {"id": "x", "images": ["0.png"], "text": "<__dj__image>\nx"}


@pytest.mark.parametrize(
    ("line", "match"),
    [
        (
            '{"id": "x", "images": ["0.png"], "text": "x"',
            "seed.jsonl: line 7: not valid JSON: EOF .* at column 44",
        ),
        ("[1]", "line 7: must be a dictionary, not "),
        (json.dumps({"id": "x", "images": ["0.png"]}), "line 7: has none of the keys .*, text.*; there are id, images"),
        (json.dumps({**LINE, "text": None}), "line 7: text is null"),
        (json.dumps({**LINE, "text": 3}), "line 7: text: must be text, not 3"),
        (json.dumps({**LINE, "images": ["0.png", 1]}), "line 7: images.1: must be a path or an image's bytes, not 1"),
        (
            json.dumps({**LINE, "images": ["../../etc/passwd"]}),
            "line 7: images: ../../etc/passwd lies outside the images' folder seed",
        ),
        (
            json.dumps({**LINE, "images": ["/etc/passwd"]}),
            "line 7: images: /etc/passwd lies outside the images' folder seed",
        ),
        (json.dumps({**LINE, "images": ["0.png", "1.png"]}), "line 7: text marks 1 images, the record has 2"),
        (json.dumps({**LINE, "id": "r0"}), r"line 7: id r0 was used before \(seed.jsonl: line 1\)"),
        (json.dumps({**LINE, "id": 1.5}), "line 7: id: must be text or a whole number, not 1.5"),
        (json.dumps({**LINE, "id": True}), "line 7: id: must be text or a whole number, not True"),
        (json.dumps({**LINE, "id": ""}), "line 7: id: must be text or a whole number, not ''"),
        ("\udcff", "line 7: not valid JSON: expected value at column 1"),
        ("[" * 100_000, "line 7: not valid JSON: recursion limit exceeded"),
        ('{"id": %s}' % ("1" * 5000), "line 7: not valid JSON: number out of range"),
        (json.dumps({**LINE, "text": "<__dj__image>\nx\ud800"}), "line 7: not valid JSON: .* hex escape at column 65"),
        (json.dumps({**LINE, "id": "x\udfff"}), "line 7: not valid JSON: lone leading surrogate .* at column 15"),
        (json.dumps({**LINE, "images": ["0\ud800.png"]}), "line 7: not valid JSON: .* hex escape at column 32"),
        (json.dumps({"more\ud800": 1}), "line 7: not valid JSON: .* hex escape at column 13"),
    ],
)
def test_a_wrong_line_is_named(seed, line, match):
    settings = seed()
    with open("seed.jsonl", "a", errors="surrogateescape") as file:
        file.write(line + "\n")
    refused(settings, match)


@pytest.mark.parametrize(
    ("records", "match"),
    [
        ("{", "a.json: one JSON object over several lines; needed is a list of records"),
        ("[" * 100_000, "a.json: record 1: not valid JSON: recursion limit exceeded"),
        (
            [{"conversations": [{"from": "human", "value": "\ud800"}]}],
            "a.json: record 1: not valid JSON: .* hex escape at column 54",
        ),
        ({"id": 1}, "a.json: line 1: has none of the keys conversations, messages"),
        ([{"id": 1, "image": "a.png"}], "a.json: record 1: has none of the keys conversations, .* there are id, image"),
        ([{"conversations": []}], "record 1: conversations is empty"),
        ([{"image": 3, "text": "x"}], "record 1: image: must be a path or an image's bytes, not 3"),
        ([{"conversations": [{"value": "x"}]}], "record 1: conversations.0: has no role or from; there are value"),
        ([{"conversations": [{"from": "tool", "value": "x"}]}], "conversations.0.from: 'tool' is not one of human, "),
        ([{"conversations": [{"from": "human", "value": 3}]}], "0.value: must be text or a list of parts, not 3"),
        ('[{"text": "x"} {"text": "y"}]', "a.json: not valid JSON: ',' should be where there is '{\"text\": \"y\"}]'"),
        ('[{"text": "x"}, {"text": }]', "a.json: record 2: not valid JSON: expected value at column 10"),
        ('[{"text": "x"}, {"text": "', "a.json: record 2: not valid JSON: EOF while parsing a string at column 10"),
        ('[{"text": "x"}', "a.json: not valid JSON: ',' should be where there is the end of the file"),
        ('[{"text": "x"}] []', "a.json: not valid JSON: more follows the end of the list"),
        (
            [{"conversations": [{"from": "human", "value": "[[gpt]]: x\n[[gpt]]: y"}]}],
            "record 1: conversations: a turn holds one of Data-Juicer's own marks",
        ),
    ],
)
def test_a_wrong_llava_record_is_named(work, records, match):
    Path("a.json").write_text(records if isinstance(records, str) else json.dumps(records))
    refused(SeedSettings(format="llava", path="a.json"), match)


def test_a_wrong_parquet_file_is_named(work):
    settings = SeedSettings(format="parquet", path="a.parquet")
    Path("a.parquet").write_text("no")
    refused(settings, "a.parquet: not a readable Parquet file")
    pq.write_table(pa.Table.from_pylist([{"picture": b"x", "text": "x"}]), "a.parquet")
    refused(settings, "a.parquet: row 1: picture names images, but is not read; rename it to images")
    pq.write_table(pa.Table.from_pylist([{"image": {"bytes": None, "path": "x.png"}, "text": "x"}]), "a.parquet")
    refused(settings, r"a.parquet: row 1: x.png: cannot be read \(No such file or directory\)")
    pq.write_table(pa.Table.from_pylist([{"image": None, "text": None}]), "a.parquet")
    refused(settings, "a.parquet: row 1: text is null")
    messages = [{"role": "tool", "content": "x"}]
    pq.write_table(pa.Table.from_pylist([{"image": None, "messages": messages}]), "a.parquet")
    refused(settings, "a.parquet: row 1: messages.0.role: 'tool' is not one of human, user, ")


def test_no_rows(seed):
    refused(seed(rows=0), "seeds.s: no row is left of the 0 records in seed.jsonl")


def test_images_that_look_otherwise_than_they_are_stored_are_counted(seed):
    settings = seed()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save("seed/2.png", exif=exif)
    hidden = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    hidden.save("seed/3.png")  # a single colour, as it is shown
    hidden.paste((0, 0, 0, 255), (0, 0, 9, 9))
    hidden.save("seed/4.png")
    Image.effect_noise((40, 30), 50).save("seed/5.png")
    for _ in range(2):  # the second time from the cache
        details = ingest(settings).details
        counted = [details[f"images_{name}"] for name in ("with_orientation_tag", "with_transparent_pixels")]
        assert (counted, details["images_of_one_colour"]) == ([1, 2], 4)


def test_a_file_that_is_too_large_is_a_bad_image(seed):
    settings = seed()
    Path("seed/2.png").write_bytes(bytes(5000))
    refused(settings.model_copy(update={"max_bytes": 4999}), "seed/2.png: 5000 bytes are more than max_bytes 4999")
    assert ingest(settings, max_bytes=4999, bad_image="drop").dropped == {"bad image": 1}
