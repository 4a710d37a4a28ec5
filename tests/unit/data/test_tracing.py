"""A row's story, from its seed row to the shards."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syntune.artifacts.lineage import LINEAGE
from syntune.artifacts.manifests import Part, read_manifest, write_manifest
from syntune.data.shards import write_shards
from syntune.data.tracing import near_names, told, trace_row
from syntune.errors import UserError
from syntune.settings.datasets import DatasetSettings

RESULTS = Path("results")
SCORE = ("image_text_similarity", 0.2134, "min_score 0.28 (25%)")


def entry(seed_id, row_id, operator, event, score=None, value=None, limit=None):
    return dict(zip(LINEAGE.names, (seed_id, row_id, operator, event, score, value, limit), strict=True))


@pytest.fixture
def made(ingested):
    """A dataset whose recipe cleaned r0, made a second row of r1, and dropped r2 and a row made from r1."""
    seed = ingested(4, texts=[f"<__dj__image>\n[[human]]: Q{number}?\n[[gpt]]: A{number}" for number in range(4)])
    rows = [json.loads(line) for line in Path("results/seed/s/chunk-00000.jsonl").read_text().splitlines()]
    by_id = {row["id"]: row | {"seed_id": row["id"]} for row in rows}
    kept = [by_id["r0"], by_id["r1"], by_id["r1"] | {"id": "r1#choice-1"}, by_id["r3"]]
    chunk = RESULTS / "synth/d/1/chunk-00000.jsonl"
    chunk.parent.mkdir(parents=True)
    chunk.write_text("".join(json.dumps(row) + "\n" for row in kept))
    entries = [
        entry("r0", "r0", "clean_links_mapper", "changed"),
        entry("r1", "r1#choice-1", "qa_choice_mapper", "added"),
        entry("r1", "r1#choice-2", "qa_choice_mapper", "added"),
        entry("r2", "r2", "image_text_similarity_filter", "dropped", *SCORE),
        entry("r1", "r1#choice-2", "image_text_deduplicator", "dropped", None, None, "duplicate of r1#choice-1"),
    ]  # fmt: skip
    lineage = RESULTS / "synth/d.lineage.parquet"
    pq.write_table(pa.Table.from_pylist(entries, LINEAGE), lineage)
    manifest = RESULTS / "synth/d.manifest.json"
    part = Part.from_file(chunk, manifest.parent, 4)
    inputs = {"seed": read_manifest(seed).content}
    write_manifest(
        manifest, stage="gather_synthesis", name="d", parts=[part], rows_in=4, rows_out=4, added=2,
        dropped={"image_text_similarity_filter": 1, "image_text_deduplicator": 1}, inputs=inputs,
    )  # fmt: skip
    for name, mix, settings in (("d", {}, {}), ("mixed", {"d": manifest}, {"mix": {"d": 2}})):
        write_shards(
            name, DatasetSettings(seed="s", shards=1, **settings), manifest if name == "d" else seed, mix,
            RESULTS / f"data/{name}", RESULTS / f"data/{name}.manifest.json",
            lineage=RESULTS / f"data/{name}.lineage.parquet", synthesis_lineage={"d": lineage},
        )  # fmt: skip


def test_a_seed_row_that_was_dropped(made):
    text = told(trace_row("d", "r2", RESULTS))
    assert "[[human]]: Q2?" in text and "image seed/2.png" in text
    assert "image_text_similarity_filter: dropped r2, image_text_similarity 0.2134 (min_score 0.28 (25%))" in text
    assert text.endswith("0 rows in the shards")


@pytest.mark.parametrize("name", ["r1", "r1#choice-1", "r1#choice-2"])
def test_a_row_that_became_two_is_found_by_every_name(made, name):
    story = trace_row("d", name, RESULTS)
    assert story.seed_id == "r1"
    assert sorted(row.id for row in story.final) == ["r1", "r1#choice-1"]
    assert "image_text_deduplicator: dropped r1#choice-2 (duplicate of r1#choice-1)" in told(story)
    for row in story.final:
        assert pq.read_table(row.shard)["id"][row.index].as_py() == row.id


def test_a_mixed_row_has_the_story_of_the_dataset_it_was_taken_from(made):
    ids = pq.read_table("results/data/mixed/shard-00000-of-00001.parquet")["id"].to_pylist()
    mixed = next(name for name in ids if name.startswith("d/"))
    story = trace_row("mixed", mixed, RESULTS)
    assert (story.seed, story.dataset) == ("s", "mixed")
    assert mixed in [row.id for row in story.final] and all(row.id.startswith("d/") for row in story.final)


def test_what_ingestion_left_out_is_told(made):
    record = {"where": "seed.jsonl: line 9", "id": "r9", "reason": "bad image", "message": "r9.png: truncated"}
    Path("results/seed/s.quarantine.jsonl").write_text(json.dumps(record) + "\n")
    text = told(trace_row("d", "r9", RESULTS))
    assert "Left out when the seed was read: bad image" in text and "seed.jsonl: line 9: r9.png: truncated" in text


def test_an_unknown_row_is_one_line_with_near_names(made):
    with pytest.raises(UserError, match=r"dataset d: no row, seed row or lineage has the id R1; near names: r1"):
        trace_row("d", "R1", RESULTS)
    with pytest.raises(UserError, match="there is no dataset e; there are: d, mixed"):
        trace_row("e", "r1", RESULTS)


def test_near_names_begin_alike_or_hold_what_was_meant():
    ids = [f"coco/{number:06d}" for number in range(2000)] + ["other/000123"]
    assert all(name.startswith("coco/00") for name in near_names("coco/00012", iter(ids)))
    assert near_names("coco/000123x", iter(ids))[0] == "coco/000123"
    assert near_names("zzz", iter(ids)) == []


def test_what_a_terminal_would_obey_is_shown_escaped(made):
    chunk = Path("results/seed/s/chunk-00000.jsonl")
    chunk.write_text(chunk.read_text().replace("Q3?", "Q3\\u001b[2J\\u202e?"))
    assert "Q3\\x1b[2J\\u202e?" in told(trace_row("d", "r3", RESULTS))
