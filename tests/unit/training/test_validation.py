"""Validation loss: the plain computation, at the steps that were asked for, without a trace in the training."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_samples import again, held_out_rows, write_dataset

from syntune.artifacts.manifests import read_manifest
from syntune.errors import UserError
from syntune.files import read_jsonl
from syntune.models.checkpoints import load_chain
from syntune.training.rows import TrainingRows, index_rows
from syntune.training.run import train_run
from syntune.training.shards import Shards
from syntune.training.validation import is_over, plan_rounds


@pytest.fixture
def validated(job, holdout):
    """Makes a job with a validation loss every three steps."""

    def make(name="run", **settings):
        return replace(job(name, **{"eval_steps": 3, "max_steps": 7, **settings}), holdout=holdout)

    return make


def summary(job):
    return json.loads((job.checkpoint / "summary.json").read_text())


def weights(job):
    return {file.name: file.read_bytes() for file in sorted(job.checkpoint.glob("*.safetensors"))}


def plain_loss(chain, holdout, folder):
    """Row by row, in evaluation mode."""
    loaded = load_chain(chain, torch.float32)
    index = index_rows(Shards(holdout), loaded.processor, folder, 120, "truncate")
    rows = TrainingRows(Shards(holdout), index, loaded.processor)
    total = count = 0
    for number in range(len(rows)):
        row = loaded.processor.collate([rows[number]])
        supervised = int(index.supervised[number])
        with torch.no_grad():
            total += float(loaded.model.eval()(**row, num_items_in_batch=supervised).loss) * supervised
        count += supervised
    return total / count


def test_it_is_the_plain_computation_before_and_after(validated, base, holdout, tmp_path):
    run = validated()
    train_run(run)
    found = summary(run)["validation"]
    assert [line["step"] for line in found["losses"]] == [0, 3, 6, 7]
    losses = [line["loss"] for line in found["losses"]]
    assert losses[0] == pytest.approx(plain_loss([base], holdout, tmp_path / "before"), abs=2e-5)
    assert losses[-1] == pytest.approx(plain_loss([base, run.checkpoint], holdout, tmp_path / "after"), abs=2e-5)
    assert losses[-1] < losses[0] and found["rows"] == 5
    assert found["best_loss"] == min(losses)
    assert read_manifest(run.manifest).details["validation"] == found
    lines = {line["step"]: line.get("validation_loss") for line in read_jsonl(run.checkpoint / "metrics.jsonl")}
    assert lines == {1: None, 2: None, 3: losses[1], 4: None, 5: None, 6: losses[2], 7: losses[3]}
    assert "step 0: validation loss" in (run.checkpoint / "finetuning.log").read_text()
    assert "Validation loss on 5 held-out rows" in (run.checkpoint / "README.md").read_text()
    learned = next(check for check in summary(run)["verdicts"] if check["name"] == "learned")
    assert learned["status"] == "ok" and "validation loss" in learned["detail"]


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_it_changes_no_bit_of_the_training(method, validated, job):
    """In evaluation, bitsandbytes repacks weights in 4 bits on processors with AVX512-BF16, if it is let."""
    with_it, without = validated(method=method), job("without", max_steps=7, method=method)
    for run in (with_it, without):
        train_run(run)
    assert weights(with_it) == weights(without)


def stop_before_writing(job, monkeypatch):
    """Train a job that is interrupted when all its steps are done."""
    from syntune.training import run as module

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_checkpoint", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train_run(job)


def test_a_run_that_was_stopped_goes_on_with_its_losses(validated, monkeypatch):
    whole = validated(keep_checkpoints=9)
    train_run(whole)
    stopped = again(whole, "stopped")
    stop_before_writing(stopped, monkeypatch)
    (work,) = stopped.work.iterdir()
    for step in (6, 7):
        (work / f"checkpoint-{step}/complete.json").unlink(missing_ok=True)
    losses = (work / "validation.jsonl").read_text()
    for damaged in (losses.replace('loss": ', 'loss": 1', 1), losses[: len(losses) // 3], ""):
        (work / "validation.jsonl").write_text(damaged)
        with pytest.raises(UserError, match=f"{work}/validation.jsonl: does not hold whole lines .* delete {work} and"):
            train_run(stopped)
    (work / "validation.jsonl").write_text(losses)
    train_run(stopped)
    assert summary(stopped)["resumed_from"] == 4
    assert summary(stopped)["validation"] == summary(whole)["validation"]
    assert weights(stopped) == weights(whole)


def test_a_run_ends_when_the_loss_falls_no_more(validated, monkeypatch):
    dead = validated(optimizer={"learning_rate": 1e-12}, eval_steps=1, max_steps=40, early_stop={"patience": 2})
    train_run(dead)
    found = summary(dead)
    assert found["validation"]["stopped_early"]
    assert found["steps"] == found["validation"]["losses"][-1]["step"] < 40
    assert (found["learned"], found["healthy"]) == ("failed", False)
    resumed = again(dead, "resumed")
    stop_before_writing(resumed, monkeypatch)
    train_run(resumed)  # which takes no further step
    assert summary(resumed)["validation"] == found["validation"]
    assert (summary(resumed)["steps"], summary(resumed)["resumed_from"]) == (found["steps"], found["steps"])


def test_a_rehearsal_validates_a_few_rows(validated):
    run = validated(max_steps=1, global_batch_size=2, optimizer={"warmup_ratio": 0.0})
    rehearsal = replace(run, stage="rehearse_training", rehearses=validated().settings)
    train_run(rehearsal)
    assert summary(rehearsal)["validation"]["rows"] == 2


def test_rows_that_cannot_be_used_are_refused(validated, tmp_path, job):
    rows = [row | {"messages": [row["messages"][0] | {"content": "<image>\n" + "why " * 99}, row["messages"][1]]}
            for row in held_out_rows()[:2]]  # fmt: skip
    run = replace(validated(health={"max_masked_share": 1}), holdout=write_dataset(tmp_path / "h", rows, shards=1))
    with pytest.raises(UserError, match="datasets.dataset.holdout: no held-out row can be used"):
        train_run(run)


def test_every_rank_calls_the_model_as_often():
    lengths = np.array([50, 10, 40, 30, 60, 20, 30])
    rounds = plan_rounds(lengths, 60, 3)
    assert all(len(batches) == 3 for batches in rounds)
    dealt = [batch for batches in rounds for batch in batches]
    assert sorted(row for batch in dealt for row in batch) == list(range(7))
    assert all(lengths[batch].sum() <= 60 for batch in dealt if batch)


@pytest.mark.parametrize(
    ("losses", "over"),
    [([], False), ([3.0], False), ([3, 2, 2.5], False), ([3, 2, 2.5, 2.4], True), ([3, 2, 2.5, 1.9], False)],
)
def test_patience_counts_losses_in_a_row(losses, over):
    assert is_over(losses, 2) == over
