"""A tiny chain of checkpoints with manifests, and benchmarks of a few questions."""

import base64
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from syntune.artifacts.manifests import Part, write_manifest
from syntune.benchmarks.protocol import Protocol
from syntune.benchmarks.registry import load_benchmark
from syntune.models.adapters import save_beside
from syntune.models.mgm.family import MgmFamily
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.processing_mgm import MgmProcessor
from syntune.models.mgm.tiny import tiny_config
from syntune.prediction.predictions import predict
from syntune.settings.benchmarks import BenchmarkSettings
from syntune.settings.pixels import AS_VIEWERS
from syntune.settings.prediction import PredictionSettings
from syntune.settings.reading import read_settings

CONNECTOR = ("mm_projector", "mining")
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
QUESTIONS = ("What is it?", "What color is the large thing on the left?", "How many?", "Which brand is on the sign?")


def write_checkpoint_manifest(folder: Path) -> None:
    """Write the manifest beside a checkpoint's folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = folder.with_name(folder.name + ".manifest.json")
    parts = [Part.from_file(file, folder.parent) for file in files]
    write_manifest(manifest, stage="train", name=folder.name, parts=parts)


def write_adapter(base: Path, folder: Path, seed: int) -> Path:
    """A random adapter on a base, strong enough to change its answers, with a changed projector beside it."""
    torch.manual_seed(seed)
    family = MgmFamily()
    model = family.load_model(base, torch.float32)
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=family.lora_targets))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name or "mm_projector" in name:
                parameter += 0.6 * torch.randn_like(parameter)
    adapted.save_pretrained(folder)
    model = adapted.get_base_model()
    connector = {name: tensor.detach() for name, tensor in model.named_parameters() if name.startswith(CONNECTOR)}
    save_beside(folder, connector, family)
    write_checkpoint_manifest(folder)
    return folder


@pytest.fixture(scope="session")
def make_adapter() -> Callable[[Path, Path, int], Path]:
    """Write a random adapter and its manifest: base, folder, seed."""
    return write_adapter


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> list[Path]:
    """A tiny base and an adapter on it."""
    root = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([], trainers.BpeTrainer(special_tokens=SPECIAL, initial_alphabet=alphabet))
    config = tiny_config(len(SPECIAL) + len(alphabet), hidden_size=32, num_hidden_layers=2, max_length=200)
    MgmForConditionalGeneration(config).save_pretrained(root / "base")
    MgmProcessor.for_config(config, PreTrainedTokenizerFast(tokenizer_object=tokenizer)).save_pretrained(root / "base")
    write_checkpoint_manifest(root / "base")
    return [root / "base", write_adapter(root / "base", root / "adapter", seed=1)]


def noise(seed: int) -> Image.Image:
    """An image like no other."""
    pixels = numpy.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=numpy.uint8)
    return Image.fromarray(pixels).resize((60, 40), Image.Resampling.NEAREST)


@pytest.fixture
def textvqa(tmp_path) -> Protocol:
    """Eleven questions on five images, in an order that mixes the images."""
    folder = tmp_path / "textvqa"
    (folder / "images").mkdir(parents=True)
    for image in range(5):
        noise(image).save(folder / "images" / f"i{image}.jpg")
    data = [
        {"question_id": place, "image_id": f"i{place * 3 % 5}", "answers": ["a"] * 10,
         "question": QUESTIONS[place % 4] + " Look closely." * (place % 3)}
        for place in range(11)
    ]  # fmt: skip
    (folder / "annotations.json").write_text(json.dumps({"dataset_version": "0.5.1", "data": data}))
    settings = {"protocol": "textvqa", "annotations": str(folder / "annotations.json"), "ocr_tokens": False}
    settings |= {"images": str(folder / "images"), "max_new_tokens": 6}
    return load_benchmark(read_settings(settings, BenchmarkSettings, "test"), "open")


@pytest.fixture
def mmbench(tmp_path) -> Protocol:
    """Three questions of choice, each with its options in two orders."""
    rows = []
    for base in range(3):
        stream = io.BytesIO()
        noise(base).save(stream, "PNG")
        image = base64.b64encode(stream.getvalue()).decode()
        for rotation, (first, second) in enumerate((("cat", "dog"), ("dog", "cat"))):
            row = {"index": base + rotation * 1_000_000, "question": "Which is it?", "hint": "", "A": first}
            row |= {"B": second, "C": "", "D": "", "answer": "AB"[rotation], "image": str(base) if rotation else image}
            rows.append(row)
    path = tmp_path / "table.tsv"
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0], delimiter="\t")
        table.writeheader()
        table.writerows(rows)
    settings = {"protocol": "mmbench", "table": str(path), "max_new_tokens": 4}
    return load_benchmark(read_settings(settings, BenchmarkSettings, "test"), "choice")


@pytest.fixture
def answer(checkpoints, tmp_path) -> Callable[..., list[dict]]:
    """Predict on the CPU and return the lines; each call has a cache of its own unless one is given."""
    calls = []

    def run(
        protocol, folders=None, cache=None, slice_index=0, pixels=AS_VIEWERS, dtype=torch.float32, **settings
    ) -> list[dict]:
        folders = folders or checkpoints
        calls.append(folders)
        output = tmp_path / "out" / f"{len(calls)}.jsonl"
        predict(
            protocol,
            PredictionSettings(**settings),
            name="test",
            checkpoints=folders,
            manifests=[folder.with_name(folder.name + ".manifest.json") for folder in folders],
            device=torch.device("cpu"),
            dtype=dtype,
            threads=3,
            slice_index=slice_index,
            cache=cache or tmp_path / f"cache{len(calls)}",
            output=output,
            pixels=pixels,
        )
        return [json.loads(line) for line in output.read_text().splitlines()]

    return run
