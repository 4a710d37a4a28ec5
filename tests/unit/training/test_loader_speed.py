"""What reading rows may cost: workers hold no copy of the index, few footers stay open, and the benchmark runs."""

import pickle
import subprocess
import sys
from pathlib import Path

import torch
from training_samples import sample_rows, write_dataset

from syntune.models.checkpoints import load_chain
from syntune.training import shards as shards_module
from syntune.training.rows import TrainingRows, index_rows
from syntune.training.shards import Shards

SCRIPT = Path(__file__).parents[3] / "perf" / "loader_speed.py"


def rows_of(manifest, base, folder) -> TrainingRows:
    processor = load_chain([base], torch.float32).processor
    shards = Shards(manifest)
    return TrainingRows(shards, index_rows(shards, processor, folder, 200, "truncate"), processor)


def test_what_a_worker_is_given_does_not_grow_with_the_rows(base, tmp_path):
    sent = {}
    for count in (24, 240):
        rows = rows_of(write_dataset(tmp_path / str(count), sample_rows(count)), base, tmp_path / f"tokens-{count}")
        rows.shards.row(next(rows.shards.texts())[0])
        sent[count] = pickle.dumps(rows)
        copy = pickle.loads(sent[count])
        assert len(copy) == count
        assert torch.equal(copy[7]["input_ids"], rows[7]["input_ids"])
    assert len(sent[240]) - len(sent[24]) < 100


def test_shards_not_read_for_longest_are_closed(dataset, monkeypatch):
    shards = Shards(dataset)
    spots = [spot for spot, *_ in shards.texts()]
    assert len(shards._open) == 2
    few = Shards(dataset)
    monkeypatch.setattr(shards_module, "_GROUPS_KNOWN", 1)
    for spot in sorted(spots, key=lambda spot: spot.offset):  # from shard to shard
        assert few.row(spot) == shards.row(spot)
        assert len(few._open) == 1


def test_the_benchmark_reads_every_row_and_says_what_is_not_installed(tmp_path):
    command = [sys.executable, SCRIPT, "--size", "tiny", "--rows", "96", "--ready-rows", "16", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--workers", "0", "--memory", "96", "--folder", tmp_path],
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "| read | 0 | syntune |" in done.stdout and "| ready | 0 | syntune |" in done.stdout
    assert '{"rows": 96, ' in done.stdout.splitlines()[-1]
    for package in ("webdataset", "mosaicml-streaming"):
        assert f"{package} is not installed; left out" in done.stdout  # the training environment has none of them
