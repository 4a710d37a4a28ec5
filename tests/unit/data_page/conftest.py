"""A small dataset as the data stages leave it: every kind of event, and texts that a page must not obey."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from syntune.artifacts.lineage import LINEAGE
from syntune.artifacts.manifests import Part, read_manifest, write_manifest
from syntune.data.ingest import ingest_seed
from syntune.data.shards import write_shards
from syntune.settings.datasets import DatasetSettings
from syntune.settings.seeds import SeedSettings

RESULTS = Path("results")
PLACES = [RESULTS / path for path in ("data/d.manifest.json", "synth/d.manifest.json", "seed/s.manifest.json")]
LINEAGE_PATH = RESULTS / "data/d.lineage.parquet"
OPERATORS = [
    ("clean_links_mapper", 12, 0, 0, 12),
    ("image_text_similarity_filter", 12, 0, 3, 9),
    ("qa_choice_mapper", 9, 2, 0, 11),
    ("image_text_deduplicator", 11, 0, 1, 10),
]
EVIL = "\u202egnp.exe <script>alert('1')</script>\u0007"


def entry(seed_id, row_id, operator, event, score=None, value=None, limit=None):
    return dict(zip(LINEAGE.names, (seed_id, row_id, operator, event, score, value, limit), strict=True))


def write_seed(rows):
    Path("seed").mkdir()
    lines = []
    for index in range(rows):
        buffer = io.BytesIO()
        Image.effect_noise((96, 64), 20 + index).convert("RGB").save(buffer, "PNG")
        Path(f"seed/{index}.png").write_bytes(buffer.getvalue())
        text = f"<__dj__image>\n[[human]]: Q{index}?\n[[gpt]]: an answer {EVIL if index == 3 else index}"
        lines.append(json.dumps({"id": f"r{index}", "images": [f"{index}.png"], "text": text}))
    Path("seed.jsonl").write_text("\n".join(lines) + "\n")
    ingest_seed("s", SeedSettings(format="jsonl", path="seed.jsonl", images="seed"), RESULTS / "seed/s", PLACES[2])


def write_synthesis():
    rows = [json.loads(line) for line in (RESULTS / "seed/s/chunk-00000.jsonl").read_text().splitlines()]
    rows = {row["id"]: row | {"seed_id": row["id"]} for row in rows}
    limit = ("image_text_similarity", "min_score 0.28 (25%)")
    entries = [entry("r0", "r0", "clean_links_mapper", "changed")]
    for index, name in enumerate(("r1", "r2", "r3")):
        entries.append(
            entry(name, name, "image_text_similarity_filter", "dropped", limit[0], 0.1 + 0.05 * index, limit[1])
        )
        del rows[name]
    for index, row in enumerate(rows.values()):
        row["stats"] = {"image_text_similarity": 0.3 + 0.01 * index, "num_words": 5 + index, "sides": [64, 96]}
    for name in ("r4", "r5"):
        rows[f"{name}#choice-1"] = rows[name] | {"id": f"{name}#choice-1"}
        entries.append(entry(name, f"{name}#choice-1", "qa_choice_mapper", "added"))
    del rows["r6"]
    entries.append(entry("r6", "r6", "image_text_deduplicator", "dropped", limit="duplicate of r4#choice-1"))
    chunk = RESULTS / "synth/d/1/chunk-00000.jsonl"
    chunk.parent.mkdir(parents=True)
    chunk.write_text("".join(json.dumps(row) + "\n" for row in rows.values()))
    pq.write_table(pa.Table.from_pylist(entries, LINEAGE), RESULTS / "synth/d.lineage.parquet")
    names = ("operator", "rows_in", "added", "dropped", "rows_out")
    write_manifest(
        PLACES[1], stage="gather_synthesis", name="d", parts=[Part.from_file(chunk, RESULTS / "synth", len(rows))],
        rows_in=12, rows_out=len(rows), added=2, inputs={"seed": read_manifest(PLACES[2]).content},
        dropped={"image_text_similarity_filter": 3, "image_text_deduplicator": 1},
        details={"operators": [dict(zip(names, figures, strict=True)) for figures in OPERATORS]},
    )  # fmt: skip


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Make the dataset in an empty working folder; returns the page's four sources."""
    monkeypatch.chdir(tmp_path)
    write_seed(12)
    write_synthesis()
    write_shards(
        "d", DatasetSettings(seed="s", shards=1, recipe="recipe.yaml", limit=9), PLACES[1], {}, RESULTS / "data/d",
        PLACES[0], lineage=LINEAGE_PATH, synthesis_lineage={"d": RESULTS / "synth/d.lineage.parquet"},
    )  # fmt: skip
    return [*PLACES, LINEAGE_PATH]
