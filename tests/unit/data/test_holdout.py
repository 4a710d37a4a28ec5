"""What is held out of training: whole pictures, the same ones every time, and out of every dataset."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from syntune.artifacts.manifests import Part, read_manifest, write_manifest
from syntune.data.holdout_files import write_holdout
from syntune.data.shards import write_shards
from syntune.errors import UserError
from syntune.files import sha256_bytes
from syntune.settings.datasets import DatasetSettings

FOLDER, HOLDOUT = Path("results/data/d.holdout"), Path("results/data/d.holdout.manifest.json")
OUT = Path("results/out")


def rows_of(folder):
    return [row for file in sorted(folder.glob("shard-*.parquet")) for row in pq.read_table(file).to_pylist()]


def ids(folder=FOLDER):
    return {row["id"] for row in rows_of(folder)}


def images(folder=FOLDER):
    return {sha256_bytes(image["bytes"]) for row in rows_of(folder) for image in row["images"]}


def hold_out(rows, holdout, **settings):
    write_holdout("d", DatasetSettings(seed="s", holdout=holdout, **settings), rows, FOLDER, HOLDOUT)
    return read_manifest(HOLDOUT)


def shard(rows, mixed=None, **settings):
    settings = DatasetSettings(seed="s", shards=1, **settings)
    manifest = OUT / "e.manifest.json"
    write_shards(
        "e", settings, rows, mixed or {}, OUT / "e", manifest,
        lineage=OUT / "e.lineage.parquet", synthesis_lineage={}, holdouts={"d": HOLDOUT},
    )  # fmt: skip
    return read_manifest(manifest)


def made_rows(folder, rows, seed):
    """A synthesis's rows and manifest, as gather_synthesis writes them."""
    folder.mkdir(parents=True)
    file = folder / "chunk-00000.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = Path(f"{folder}.manifest.json")
    inputs = {"seed": read_manifest(seed).content}
    parts = [Part.from_file(file, folder.parent, len(rows))]
    write_manifest(manifest, stage="gather_synthesis", name=folder.name, parts=parts, inputs=inputs, rows_out=len(rows))
    return manifest


def seed_rows(seed):
    return [json.loads(line) for part in sorted(seed.parent.glob("s/chunk-0*.jsonl")) for line in part.open()]


def test_both_sides_add_up_and_share_no_picture(ingested):
    rows = ingested(40)  # those from the 13th on show the same picture
    held = hold_out(rows, 3)
    trained = shard(rows)
    assert held.rows_out >= 3 and held.rows_out + held.dropped["not held out"] == held.rows_in == 40
    assert (trained.rows_in, trained.dropped) == (40, {"held out": held.rows_out})
    assert ids() | ids(OUT / "e") == {f"r{index}" for index in range(40)}
    assert not ids() & ids(OUT / "e") and not images() & images(OUT / "e")
    events = pq.read_table(OUT / "e.lineage.parquet").to_pylist()
    assert {row["row_id"]: row["limit"] for row in events} == dict.fromkeys(ids(), "held out")
    assert trained.inputs["holdout.d"] == held.content


def test_a_higher_number_holds_out_the_same_rows_and_more(ingested):
    rows = ingested(12)
    hold_out(rows, 2)
    few = ids()
    hold_out(rows, 5)
    assert few < ids() and len(ids()) == 5


def test_a_share_is_one_of_the_rows_that_the_dataset_would_have(ingested):
    rows = ingested(12)
    assert hold_out(rows, 0.25).rows_out == 3
    assert hold_out(rows, 0.25, limit=8).rows_out == 2
    assert len(shard(rows, limit=8).parts) and read_manifest(OUT / "e.manifest.json").rows_out == 8


def test_no_dataset_that_mixes_it_in_or_is_made_from_the_same_seed_keeps_it(ingested):
    seed = ingested(12)
    held = hold_out(seed, 4)
    derived = [row | {"id": f"{row['id']}#more", "seed_id": row["id"]} for row in seed_rows(seed)]
    without_images = [
        row | {"id": f"{row['id']}#words", "images": [], "image_sha256": [], "text": row["text"].split("\n")[1]}
        for row in derived
    ]
    for name, rows in (("pictures", derived), ("words", without_images)):
        made = made_rows(Path(f"results/synth/{name}"), rows, seed)
        trained = shard(made)
        assert trained.dropped == {"held out": held.rows_out}
        mixed = shard(seed, {name: made}, mix={name: None})
        assert mixed.dropped == {"held out": 2 * held.rows_out}
        assert not {row["seed_id"] for row in rows_of(OUT / "e")} & ids()


def test_text_alone_goes_by_its_seed_row(ingested):
    seed = ingested(12)
    rows = [
        {"id": f"{row['id']}#{number}", "seed_id": row["id"], "images": [], "image_sha256": [], "text": f"say {number}"}
        for row in seed_rows(seed)
        for number in range(2)
    ]
    made = made_rows(Path("results/synth/words"), rows, seed)
    held = hold_out(made, 5)
    assert held.rows_out == 6 and len({row["seed_id"] for row in rows_of(FOLDER)}) == 3


def test_its_questions_are_a_benchmarks_file(ingested):
    asked = "[[human]]: <__dj__image>\nWhat number?\n[[gpt]]: {}\n[[human]]: Sure?\n[[gpt]]: yes <|__dj__eoc|>"
    rows = ingested(6, texts=[asked.format(index) for index in range(6)])
    held = hold_out(rows, 2)
    found = pq.read_table(FOLDER / "questions.parquet").to_pylist()
    assert [part.rows for part in held.parts] == [2, 2]
    assert {row["id"] for row in found} == ids()
    for row in found:
        assert (row["question"], row["answer"]) == ("What number?", row["id"].removeprefix("r"))
        assert sha256_bytes(row["image"]["bytes"]) in images()


def test_all_rows_are_refused(ingested):
    with pytest.raises(UserError, match="datasets.d.holdout: 6 takes all of its 6 rows; lower it"):
        hold_out(ingested(6), 6)
    assert not FOLDER.exists() and not HOLDOUT.exists()
