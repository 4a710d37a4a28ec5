"""A small dataset and a tiny base, as the stages before training write them, and a run of a few steps."""

from pathlib import Path

import pytest
from training_samples import held_out_rows, sample_rows, write_dataset

from syntune.models.prepare import Ingredients, prepare_base
from syntune.settings.models import TinyModelSettings
from syntune.settings.runs import TrainedRunSettings
from syntune.training.job import Job


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """The manifest of a small dataset."""
    return write_dataset(tmp_path_factory.mktemp("data"), sample_rows())


@pytest.fixture(scope="session")
def holdout(tmp_path_factory) -> Path:
    """The manifest of a few held-out rows."""
    return write_dataset(tmp_path_factory.mktemp("holdout"), held_out_rows(), shards=1)


@pytest.fixture(scope="session")
def base(tmp_path_factory, dataset) -> Path:
    """A tiny base model's folder; its manifest is beside it."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    settings = TinyModelSettings(
        source="tiny", tokenizer_dataset="dataset", vocab_size=300, hidden_size=32, num_hidden_layers=2
    )
    prepare_base("tiny", settings, Ingredients(dataset), folder, Path(f"{folder}.manifest.json"))
    return folder


@pytest.fixture
def job(tmp_path, dataset, base):
    """Makes a job of a few steps on the CPU; keyword arguments change its settings."""

    def make(name: str = "run", rows: Path = dataset, **settings) -> Job:
        short = {
            "method": "lora", "start": "tiny", "dataset": "dataset", "precision": "fp32", "gpus": 0, "threads": 1,
            "workers": 0, "global_batch_size": 6, "micro_batch_tokens": 120, "max_length": 120, "max_steps": 6,
            "save_steps": 2, "lora": {"r": 4, "alpha": 8, "dropout": 0.1},
            "optimizer": {"learning_rate": 1e-2},
        }  # fmt: skip
        return Job(
            run=name,
            settings=TrainedRunSettings.model_validate(short | settings),
            dataset=rows,
            starts=[base],
            start_manifests=[Path(f"{base}.manifest.json")],
            work=tmp_path / f"work-{name}",
            checkpoint=tmp_path / name,
            manifest=tmp_path / f"{name}.manifest.json",
        )

    return make
