"""Rows, shards and jobs for the tests of training."""

import io
import random
from dataclasses import replace
from pathlib import Path

import pyarrow
from PIL import Image
from pyarrow.parquet import ParquetWriter

from syntune.artifacts.manifests import Part, write_manifest
from syntune.training.job import Job

SCHEMA = pyarrow.schema(
    {
        "id": pyarrow.string(),
        "images": pyarrow.list_(pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})),
        "messages": pyarrow.list_(pyarrow.struct({"role": pyarrow.string(), "content": pyarrow.string()})),
    }
)
COLORS = ("red", "green", "blue", "black")


def picture(color: str, size: tuple[int, int] = (48, 40)) -> dict:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": f"{color}.png"}


def talk(*contents: str) -> list[dict]:
    return [{"role": ("user", "assistant")[turn % 2], "content": text} for turn, text in enumerate(contents)]


def sample_rows(count: int = 24) -> list[dict]:
    """Rows of one image, of two, and of text only, of different lengths."""
    rows = []
    draw = random.Random(0)
    for number in range(count):
        color = draw.choice(COLORS)
        filler = " please" * draw.randrange(6)
        if number % 6 == 4:
            row = {"images": [], "messages": talk(f"Say {color}{filler}.", color)}
        elif number % 6 == 5:
            two = [picture(color), picture("white", (30, 60))]
            row = {"images": two, "messages": talk("<image>\n<image>\nWhich colors?", f"{color} and white")}
        else:
            row = {"images": [picture(color)], "messages": talk(f"<image>\nWhat color{filler}?", color)}
        rows.append({"id": f"row-{number}", **row})
    return rows


def write_dataset(folder: Path, rows: list[dict], shards: int = 2) -> Path:
    """Shards with small row groups and their manifest; returns its path."""
    data = folder / "dataset"
    data.mkdir(parents=True)
    manifest = folder / "dataset.manifest.json"
    parts = []
    for number in range(shards):
        path, some = data / f"shard-{number}.parquet", rows[number::shards]
        with ParquetWriter(path, SCHEMA) as writer:
            for start in range(0, len(some), 3):
                writer.write_table(pyarrow.Table.from_pylist(some[start : start + 3], SCHEMA))
        parts.append(Part.from_file(path, folder, len(some)))
    write_manifest(manifest, stage="shard", name="dataset", parts=parts)
    return manifest


def held_out_rows() -> list[dict]:
    """Rows of other pictures than :func:`sample_rows`."""
    shown = [
        {"id": f"held-{number}", "images": [picture(color, (31, 47))], "messages": talk("<image>\nWhat color?", color)}
        for number, color in enumerate(COLORS)
    ]
    return [*shown, {"id": "held-text", "images": [], "messages": talk("Say red please.", "red")}]


def again(job: Job, name: str) -> Job:
    """The same job with other outputs."""
    folder = job.checkpoint.parent
    return replace(job, checkpoint=folder / name, manifest=folder / f"{name}.manifest.json", work=folder / f"w-{name}")
