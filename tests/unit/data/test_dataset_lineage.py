"""Lineage: the whole story of each seed row in one table."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syntune.artifacts.lineage import LINEAGE
from syntune.data.dataset_lineage import open_lineage
from syntune.data.shards import write_shards
from syntune.errors import UserError
from syntune.settings.datasets import DatasetSettings

EVENT = {"seed_id": "r1", "row_id": "r1#short-1", "operator": "words_num_filter", "event": "dropped"}
EVENT |= {"score": "num_words", "value": 3.0, "limit": "min_num 5"}


def written(events, path="results/synth/d.lineage.parquet"):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(events, LINEAGE), path)
    return Path(path)


def read(path="results/data/d.lineage.parquet"):
    return pq.read_table(path).to_pylist()


def shard(rows, mixed=None, lineages=None, **settings):
    places = Path("results/data/d"), Path("results/data/d.manifest.json")
    settings = DatasetSettings(**{"seed": "s", "shards": 1, **settings})
    lineage = Path("results/data/d.lineage.parquet")
    write_shards("d", settings, rows, mixed or {}, *places, lineage=lineage, synthesis_lineage=lineages or {})


def test_the_synthesis_comes_first_then_what_sharding_leaves_out(ingested):
    texts = [f"<__dj__image>\n[[human]]: Q{number}\n[[gpt]]: A" for number in range(5)] + ["<__dj__image>\n"]
    rows = ingested(texts=texts)
    shard(rows, lineages={"d": written([EVENT])}, limit=3)
    first, *rest = read()
    assert first == EVENT
    assert {entry["operator"] for entry in rest} == {"shard"} and {entry["event"] for entry in rest} == {"dropped"}
    assert sorted(entry["limit"] for entry in rest) == ["no answer", "over the limit", "over the limit"]
    assert [entry["seed_id"] for entry in rest if entry["limit"] == "no answer"] == ["r5"]
    assert all(entry["score"] is None and entry["value"] is None for entry in rest)


def test_a_dataset_without_a_recipe_has_the_table_too(ingested):
    shard(ingested())
    assert read() == [] and pq.read_schema("results/data/d.lineage.parquet").equals(LINEAGE)


def test_mixed_rows_bring_their_story_under_their_own_ids(ingested):
    rows = ingested()
    shard(rows, {"other": rows}, {"other": written([EVENT])}, mix={"other": 2})
    first, *rest = read()
    assert first == EVENT | {"row_id": "other/r1#short-1"}
    assert [entry["row_id"].split("/")[0] for entry in rest] == ["other"] * 4


def test_rows_carry_the_seed_row_that_they_came_from(ingested):
    rows = ingested(rows=1)
    chunk = Path("results/seed/s/chunk-00000.jsonl")
    text = chunk.read_text().replace('"id": "r0"', '"id": "r0#choice-1", "seed_id": "r0"')
    chunk.write_text(text)
    from syntune.artifacts.manifests import Part, write_manifest

    part = Part.from_file(chunk, rows.parent, 1)
    write_manifest(rows, stage="gather_synthesis", name="d", parts=[part], rows_in=1, rows_out=1)
    shard(rows)
    (row,) = pq.read_table("results/data/d/shard-00000-of-00001.parquet", columns=["id", "seed_id"]).to_pylist()
    assert row == {"id": "r0#choice-1", "seed_id": "r0"}


def test_a_foreign_file_is_no_lineage(ingested):
    rows = ingested()
    Path("results/synth").mkdir()
    Path("results/synth/d.lineage.parquet").write_text("no")
    with pytest.raises(UserError, match="d.lineage.parquet: not a readable lineage"):
        shard(rows, lineages={"d": Path("results/synth/d.lineage.parquet")})
    assert not Path("results/data/d.lineage.parquet").exists()


def test_many_drops_are_written_in_batches(work, monkeypatch):
    monkeypatch.setattr("syntune.artifacts.lineage._GROUP", 10)
    with open_lineage(Path("lineage.parquet")) as lineage:
        for number in range(25):
            lineage.drop("over the limit", str(number), str(number))
    assert lineage.dropped == {"over the limit": 25}
    assert [entry["row_id"] for entry in read("lineage.parquet")] == [str(number) for number in range(25)]


def test_a_repeated_row_is_added(work):
    with open_lineage(Path("lineage.parquet")) as lineage:
        lineage.repeat("r1", "raw/r1#repeat-1")
    (entry,) = read("lineage.parquet")
    assert (entry["seed_id"], entry["row_id"], entry["event"], entry["limit"]) == (
        "r1", "raw/r1#repeat-1", "added", "repeated",
    )  # fmt: skip
    assert not lineage.dropped
