"""Bad records: all of them are named in one run, or they are dropped, counted and listed."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syntune.artifacts.manifests import read_manifest
from syntune.data.ingest import ingest_seed
from syntune.errors import UserError
from syntune.files import read_jsonl
from syntune.settings.seeds import SeedSettings

ROWS, MANIFEST, QUARANTINE = (Path(f"results/seed/s{end}") for end in ("", ".manifest.json", ".quarantine.jsonl"))


def ingest(**settings):
    ingest_seed("s", SeedSettings(path="seed.json", **settings), ROWS, MANIFEST)
    return read_manifest(MANIFEST)


def ids():
    return [row["id"] for row in read_jsonl(ROWS / "chunk-00000.jsonl")]


@pytest.fixture
def faulty(work, png):
    """A seed of one good record and five that are not."""
    Path("a.png").write_bytes(png())
    Path("bad.png").write_bytes(png()[:60])
    said = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "Red."}]
    records = [
        {"id": "good", "image": "a.png", "conversations": said},
        {"id": "marks", "image": ["a.png", "a.png"], "conversations": said},
        {"id": "role", "image": "a.png", "conversations": [{"from": "function", "value": "x"}]},
        {"id": "nothing", "image": "a.png"},
        {"id": "bad", "image": "bad.png", "conversations": said},
        {"id": "good", "image": "a.png", "conversations": said},
    ]
    Path("seed.json").write_text(json.dumps(records))


def test_every_fault_is_listed_in_one_run(faulty, caplog):
    with pytest.raises(UserError) as caught:
        ingest()
    assert str(caught.value).startswith("seeds.s: 5 of 6 records cannot be taken (")
    assert str(caught.value).endswith("or set bad_image: drop and bad_record: drop and repeated_ids: number")
    listed = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert sorted(line.split(": ")[1] for line in listed) == [f"record {number}" for number in range(2, 7)]
    assert not ROWS.exists() and not MANIFEST.exists() and not QUARANTINE.exists()


def test_faults_are_dropped_counted_and_listed(faulty):
    manifest = ingest(bad_record="drop", bad_image="drop")
    assert (manifest.rows_in, manifest.rows_out) == (6, 1)
    reasons = {
        "bad image": 1,
        "images and their marks differ": 1,
        "no text or conversation": 1,
        "repeated id": 1,
        "unknown role": 1,
    }
    assert manifest.dropped == reasons
    listed = list(read_jsonl(QUARANTINE))
    assert {entry["id"]: entry["reason"] for entry in listed} == {
        "marks": "images and their marks differ",
        "role": "unknown role",
        "nothing": "no text or conversation",
        "bad": "bad image",
        "good": "repeated id",
    }
    assert all(set(entry) == {"where", "id", "reason", "message"} for entry in listed)


def test_bad_images_and_bad_records_are_decided_apart(faulty):
    with pytest.raises(UserError, match=r"bad.png: .* repair it, or set bad_image: drop"):
        ingest(bad_record="drop")
    with pytest.raises(UserError, match=r"seeds.s: 4 of 6 records cannot be taken"):
        ingest(bad_image="drop")


def test_repeated_ids_are_numbered_on_request(faulty):
    ingest(bad_record="drop", bad_image="drop", repeated_ids="number")
    assert ids() == ["good", "good-2"]


def test_the_list_is_cut(work, caplog):
    Path("seed.json").write_text(json.dumps([{"id": index} for index in range(30)]))
    with pytest.raises(UserError, match="seeds.s: 30 of 30 records cannot be taken"):
        ingest()
    listed = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert len(listed) == 21 and listed[-1] == "and 10 more"


def test_nothing_dropped_is_an_empty_list(work):
    Path("seed.json").write_text('[{"text": "x"}]')
    ingest()
    assert QUARANTINE.read_bytes() == b""


def test_it_is_said_by_what_all_was_dropped(work):
    Path("seed.json").write_text('[{"id": 1}, {"id": 2}]')
    with pytest.raises(UserError, match=r"no row is left of the 2 records in seed.json \(dropped: 2 no text or conv"):
        ingest(bad_record="drop")
    assert not QUARANTINE.exists()


def test_a_missing_image_names_the_setting_of_their_folder(faulty):
    Path("a.png").unlink()
    with pytest.raises(
        UserError, match="set bad_record: drop and images to the folder that image paths start from, or"
    ):
        ingest()


def test_a_bad_image_inside_is_named_by_its_row_and_number(work, png):
    pq.write_table(pa.table({"images": [[png(), b"x"]], "text": ["red"]}), "a.parquet")
    with pytest.raises(UserError, match="^a.parquet: row 1: image 2: not an image of a known format"):
        ingest_seed("s", SeedSettings(path="a.parquet"), ROWS, MANIFEST)


def test_a_pointer_in_an_images_place_is_named(faulty):
    Path("bad.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    ingest(bad_record="drop", bad_image="drop")
    messages = [fault["message"] for fault in read_jsonl(QUARANTINE)]
    assert "bad.png: a pointer of Git LFS, not the image itself; fetch it with git lfs pull" in messages
