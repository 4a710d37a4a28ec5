"""The loss of 10^8 to 10^12 that a run can log while nothing is wrong with its gradients, and why it cannot occur here.

A row whose every label is -100 has a mean loss of 0 / 0. Trainer's ``logging_nan_inf_filter``, on by default, puts in
the place of that NaN the running sum itself: with micro-batches of one row, each such row doubles the logged loss.
"""

import json
import math
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from training_samples import COLORS, talk, write_dataset
from transformers import Trainer, TrainingArguments

from syntune.errors import UserError
from syntune.models.checkpoints import load_chain
from syntune.models.cross_entropy import IGNORED
from syntune.training.batching import StepPlan
from syntune.training.engine import training_arguments
from syntune.training.run import train_run
from syntune.training.work import Work

ROWS, SILENT, MAX_LENGTH = 128, 35, 120
"""35 of 128 rows, 27%, have a question so long that no token of the answer is left within the longest row."""


def conversations() -> list[dict]:
    draw = random.Random(0)
    silent = set(draw.sample(range(ROWS), SILENT))
    rows = []
    for number in range(ROWS):
        color, many = draw.choice(COLORS), 150 if number in silent else draw.randrange(6)
        messages = talk(f"Say {color}{' please' * many}.", color)
        rows.append({"id": f"row-{number}", "images": [], "messages": messages})
    return rows


@pytest.fixture(scope="module")
def tokens(base) -> list[dict]:
    """Ids and labels of the rows, cut at the longest row."""
    processor = load_chain([base], torch.float32).processor
    processor.max_length = MAX_LENGTH
    encoded = [processor.encode_conversation(row["messages"], []) for row in conversations()]
    return [{name: row[name] for name in ("input_ids", "labels")} for row in encoded]


@pytest.fixture
def manifest(tmp_path) -> Path:
    return write_dataset(tmp_path / "rows", conversations())


def supervised(row: dict) -> bool:
    return bool((row["labels"] != IGNORED).any())


class PlainModel(nn.Module):
    """A language model as many are: its forward takes no count of the step's tokens and gives the batch's mean loss."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 16)
        self.head = nn.Linear(16, vocabulary)

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.head(self.embedding(input_ids))[:, :-1]
        return {"loss": functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten()), "logits": logits}


def plain_trainer_logs(rows: list[dict], folder: Path, **arguments) -> list[dict]:
    """What a plain Trainer logs in three steps of 128 micro-batches of one row."""
    torch.manual_seed(0)
    vocabulary = max(int(row["input_ids"].max()) for row in rows) + 1
    trainer = Trainer(
        PlainModel(vocabulary),
        TrainingArguments(
            str(folder), max_steps=3, per_device_train_batch_size=1, gradient_accumulation_steps=ROWS,
            logging_steps=1, save_strategy="no", report_to="none", use_cpu=True, disable_tqdm=True, **arguments,
        ),
        train_dataset=rows,
    )  # fmt: skip
    trainer.train()
    return [line for line in trainer.state.log_history if "loss" in line]


def test_a_plain_trainer_logs_losses_in_the_billions(tokens, tmp_path):
    assert sum(not supervised(row) for row in tokens) == SILENT
    lines = plain_trainer_logs(tokens, tmp_path)
    assert len(lines) == 3
    assert all(1e8 < line["loss"] < 1e12 for line in lines)
    assert all(0 < line["grad_norm"] < 10 for line in lines)


def test_the_filter_and_the_rows_are_what_it_takes(tokens, tmp_path):
    """Without the filter the NaN is seen, at the same gradients; without the rows there is none."""
    unfiltered = plain_trainer_logs(tokens, tmp_path, logging_nan_inf_filter=False)
    assert all(math.isnan(line["loss"]) for line in unfiltered)
    norms = [line["grad_norm"] for line in plain_trainer_logs(tokens, tmp_path)]
    assert [line["grad_norm"] for line in unfiltered] == norms
    full = list(filter(supervised, tokens))
    full = (full + full)[:ROWS]
    assert all(2 < line["loss"] < 8 for line in plain_trainer_logs(full, tmp_path))


def test_here_such_rows_are_refused_before_training(job, manifest):
    refused = job(rows=manifest)
    names = r"\(first row-\d+, row-\d+, row-\d+\)"
    with pytest.raises(UserError, match=rf"masked share: 35 of 128 rows \(27.3%\) have no supervised token {names}"):
        train_run(refused)
    assert not refused.checkpoint.exists() and not refused.manifest.exists()


def test_or_dropped_and_the_loss_is_the_mean_over_supervised_tokens(job, manifest, base, tokens):
    """One step takes every row that is left, so that the plain computation needs no plan."""
    left = ROWS - SILENT
    allowed = job(
        rows=manifest, global_batch_size=left, max_steps=1, micro_batch_tokens=1000, health={"max_masked_share": 0.3},
        lora={"r": 4, "alpha": 8, "dropout": 0.0}, optimizer={"learning_rate": 1e-2, "warmup_ratio": 0.0},
    )  # fmt: skip
    train_run(allowed)
    summary = json.loads((allowed.checkpoint / "summary.json").read_text())
    assert (summary["masked_rows"], summary["rows"], summary["samples"]) == (SILENT, left, left)
    assert summary["micro_batches"] > 1
    assert json.loads(allowed.manifest.read_text())["dropped"] == {"no supervised token": SILENT}

    model = load_chain([base], torch.float32).model
    total, count = 0.0, 0
    for row in filter(supervised, tokens):
        labels = row["labels"][1:]
        with torch.no_grad():
            logits = model(input_ids=row["input_ids"].unsqueeze(0)).logits[0, :-1]
        total += functional.cross_entropy(logits, labels, reduction="sum").item()  # -100 is left out
        count += int((labels != IGNORED).sum())
    assert summary["supervised_tokens"] == count
    assert summary["first_loss"] == pytest.approx(total / count, abs=2e-6)


def test_the_filter_is_off(job, tmp_path):
    plan = StepPlan([10] * 6, [0] * 6, 6)
    arguments = training_arguments(job().settings, Work(tmp_path / "work", {}), plan, 1)
    assert TrainingArguments(str(tmp_path)).logging_nan_inf_filter
    assert not arguments.logging_nan_inf_filter and arguments.logging_steps == 1


def test_a_nan_stops_the_run(job, base, tmp_path):
    """One weight of the base that is not a number."""
    broken = tmp_path / "broken"
    shutil.copytree(base, broken)
    (weights,) = broken.glob("*.safetensors")
    tensors = load_file(weights)
    name = next(name for name in tensors if name.endswith("layers.0.input_layernorm.weight"))
    tensors[name][0] = math.nan
    save_file(tensors, weights, metadata={"format": "pt"})
    run = replace(job(), starts=[broken])
    with pytest.raises(UserError, match="run run is not healthy: finite: step 1: loss nan, gradient norm nan"):
        train_run(run)
    assert not run.checkpoint.exists() and not run.manifest.exists()
