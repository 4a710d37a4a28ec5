"""Metrics for W&B: what metrics.jsonl holds, offline, and never a reason for a training to end."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from syntune.settings.env_specs import PACKAGES
from syntune.training.recorder import Recorder
from syntune.training.run import train_run

ENVS = Path(__file__).resolve().parents[3] / "envs"


@pytest.fixture(scope="module")
def wandb(tmp_path_factory):
    """The package, which no environment has: fetched, with the versions that the spec pins, and importable."""
    if find_spec("wandb") is None:
        site, pins = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("pins") / "pins.txt"
        pins.write_text("\n".join(re.findall(r"^ +- (\S+==\S+)", (ENVS / "train.yaml").read_text(), re.M)))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", site, "-c", pins, PACKAGES["wandb"]]
        subprocess.run(command, check=True)
        sys.path.append(str(site))
        os.environ["PYTHONPATH"] = f"{os.environ.get('PYTHONPATH', '')}:{site}"
    return pytest.importorskip("wandb")


def records_of(run: Path, kind: str) -> list[dict]:
    """The records of a kind that a folder of W&B's holds, by W&B's own reader."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", run]
    records = map(json.loads, subprocess.check_output(command, text=True).splitlines())
    return [record[kind] for record in records if record["type"] == kind]


def lines_of(checkpoint: Path) -> list[dict]:
    return [json.loads(line) for line in (checkpoint / "metrics.jsonl").read_text().splitlines()]


def without_times(line: dict) -> dict:
    return {key: line[key] for key in ("step", "loss", "grad_norm", "learning_rate", "tokens")}


@pytest.mark.slow
def test_wandb_holds_what_the_metrics_hold_and_changes_nothing(wandb, job, tmp_path):
    bare, tracked = job("bare"), replace(job("tracked"), tracker=tmp_path / "tracked-by")
    train_run(bare)
    train_run(tracked)
    (folder,) = (tmp_path / "tracked-by/wandb").glob("offline-run-*")
    items = [record["item"] for record in records_of(folder, "history")]
    steps = [{key: value for key, value in item.items() if key[0] != "_"} | {"step": item["_step"]} for item in items]
    lines = lines_of(tracked.checkpoint)
    assert steps == [
        {key: value for key, value in line.items() if value is not None and key != "seal"} for line in lines
    ]
    assert [without_times(line) for line in lines] == [without_times(line) for line in lines_of(bare.checkpoint)]
    weights = "adapter_model.safetensors"
    assert (tracked.checkpoint / weights).read_bytes() == (bare.checkpoint / weights).read_bytes()
    (run,) = records_of(folder, "run")
    assert (run["display_name"], run["project"], run["host"]) == ("tracked", "syntune", "-")
    assert run["config"]["update"].items() >= tracked.settings.model_dump(mode="json").items()
    assert not list((folder / "files").iterdir())  # what would be sent beside the run


@pytest.mark.slow
def test_a_training_goes_on_where_wandb_dies(wandb, job, tmp_path, monkeypatch, caplog):
    tracked = replace(job(), tracker=tmp_path / "tracked-by")
    tell = Recorder._tell

    def tell_and_kill(self, line, steps):
        if line.step == 2:
            (service,) = [child for child in psutil.Process().children() if child.name().startswith("wandb")]
            service.kill()
            service.wait()
        tell(self, line, steps)

    monkeypatch.setattr(Recorder, "_tell", tell_and_kill)
    train_run(tracked)
    assert len(lines_of(tracked.checkpoint)) == 6
    assert "training goes on without it" in caplog.text


def test_without_the_package_a_training_goes_on_and_says_so(job, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "wandb", None)
    train_run(replace(job(), tracker=tmp_path / "tracked-by"))
    assert "tracker: W&B failed (ModuleNotFoundError" in caplog.text
