"""What trains and answers is not MGM alone."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_models import KINDS, write_model
from training_samples import held_out_rows, sample_rows, write_dataset

from syntune.models.checkpoints import load_chain
from syntune.models.prepare import Ingredients, prepare_base
from syntune.settings.models import LocalModelSettings
from syntune.training.run import train_run


def as_its_card_says(checkpoint, loaded):
    """How far the logits of the model that the card's own lines load lie from those of ``loaded``."""
    lines = re.search(r"```python\n(.*?)```", (checkpoint / "README.md").read_text(), re.DOTALL)[1]
    # Qwen's processor has a part for videos, which needs torchvision; the environments here do without
    exec("\n".join(line for line in lines.splitlines() if not line.startswith("processor =")), made := {})
    row = loaded.processor.encode_prompt("What color?", [Image.new("RGB", (40, 40), "red")])
    with torch.no_grad():
        one, other = (model(**loaded.processor.collate([row])).logits for model in (made["model"], loaded.model))
    return (one - other).abs().max().item()


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_prepared_trained_and_asked(kind, job, tmp_path):
    write_model(kind, tmp_path / "source")
    base = tmp_path / "base"
    settings = LocalModelSettings(source="local", path=str(tmp_path / "source"))
    prepare_base("base", settings, Ingredients(), base, Path(f"{base}.manifest.json"))
    rows = [row for row in sample_rows() if len(row["images"]) == 1]
    run = job(rows=write_dataset(tmp_path / "data", rows), micro_batch_tokens=2000, max_length=500, eval_steps=6)
    run = replace(
        run,
        holdout=write_dataset(tmp_path / "holdout", held_out_rows()[:-1], shards=1),
        starts=[base],
        start_manifests=[Path(f"{base}.manifest.json")],
    )
    train_run(run)
    losses = [json.loads(line)["loss"] for line in (run.checkpoint / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
    before, after = json.loads((run.checkpoint / "summary.json").read_text())["validation"]["losses"]
    assert after["loss"] < before["loss"]
    loaded = load_chain([base, run.checkpoint], torch.float32)
    assert "modules_to_save" in (run.checkpoint / "adapter_config.json").read_text()
    assert (
        as_its_card_says(run.checkpoint, loaded)
        < 1e-5
        < as_its_card_says(run.checkpoint, load_chain([base], torch.float32))
    )
    prompt = loaded.processor.encode_prompt("What color?", [Image.new("RGB", (40, 40), "red")])
    (answer,) = loaded.family.generate(loaded.model.eval(), loaded.processor, [prompt], [None], 3, at_once=1)
    assert 0 < len(answer.ids) <= 3
