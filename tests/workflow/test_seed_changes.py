"""What becomes of a dataset when a file of its seed changes: nothing goes unseen."""

import json
import os
import re
import shutil
import struct

import pytest
import yaml
from project_copy import Workflow, copy_project

TARGET = "results/data/raw.manifest.json"


def bmp(red: int) -> bytes:
    """A picture of one colour, 40 x 30 pixels, as a BMP file."""
    pixels = bytes((60, 200, red)) * 40 * 30
    header = struct.pack(
        "<2sIIIIiiHHIIiiII", b"BM", 54 + len(pixels), 0, 54, 40, 40, 30, 1, 24, 0, len(pixels), *[0] * 4
    )
    return header + pixels


@pytest.fixture(scope="module")
def sharded(tmp_path_factory) -> Workflow:
    """A project of its own whose dataset was made of eight images in eight chunks."""
    folder = copy_project(tmp_path_factory.mktemp("seed")).folder
    (folder / "own/images").mkdir(parents=True)
    lines = []
    for index in range(8):
        (folder / f"own/images/{index}.bmp").write_bytes(bmp(index))
        lines.append(json.dumps({"id": f"r{index}", "images": [f"{index}.bmp"], "text": f"number {index}"}))
    (folder / "own/seed.jsonl").write_text("\n".join(lines) + "\n")
    config = yaml.safe_load((folder / "small.yaml").read_text())
    config["seeds"]["easy-vqa"] = {"format": "jsonl", "path": "own/seed.jsonl", "images": "own/images", "chunks": 8}
    (folder / "small.yaml").write_text(yaml.safe_dump(config))
    workflow = Workflow(folder)
    done = workflow.snakemake(TARGET)
    assert done.returncode == 0, done.stdout
    return workflow


def run(workflow: Workflow, target: str = TARGET) -> list[str]:
    """The rules that a call runs."""
    done = workflow.snakemake(target)
    assert done.returncode == 0, done.stdout
    assert workflow.planned(TARGET) == set()
    return re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", done.stdout, re.M)


def test_a_touched_image_is_read_again_and_changes_nothing(sharded):
    assert sharded.planned(TARGET) == set()
    os.utime(sharded.folder / "own/images/3.bmp")
    assert run(sharded, "results/seed/easy-vqa.manifest.json") == ["ingest_seed"]


def test_an_older_image_is_noticed(sharded):
    manifest = json.loads((sharded.folder / TARGET).read_text())
    chunks = {path.name: path.read_bytes() for path in sharded.folder.glob("results/seed/easy-vqa/*.manifest.json")}
    older = sharded.folder / "older.bmp"
    older.write_bytes(bmp(255))
    os.utime(older, (1, 1))
    shutil.copy2(older, sharded.folder / "own/images/3.bmp")
    assert run(sharded) == ["ingest_seed", "shard"]
    assert json.loads((sharded.folder / TARGET).read_text())["content"] != manifest["content"]
    changed = [
        name for name, old in chunks.items() if (sharded.folder / "results/seed/easy-vqa" / name).read_bytes() != old
    ]
    assert len(set(changed) - {"chunk-sample.manifest.json"}) == 1


def test_older_records_are_noticed(sharded):
    records = sharded.folder / "own/seed.jsonl"
    records.write_text(records.read_text().replace("number 1", "number one"))
    os.utime(records, (1, 1))
    assert run(sharded) == ["ingest_seed", "shard"]
