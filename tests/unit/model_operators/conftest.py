"""Prepared models, and rows with real image files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import tiny_scorers
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from syntune.files import sha256_file
from syntune.model_operators.given import NamedModel
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.processing_mgm import MgmProcessor
from syntune.models.mgm.tiny import tiny_config
from syntune.models.prepare import Ingredients, prepare_base
from syntune.settings.models import LocalModelSettings, ScorerSettings


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Callable[[str], NamedModel]:
    """A scorer or a captioner by its kind, prepared as the workflow prepares it, once a session."""
    made: dict[str, NamedModel] = {}

    def make(kind: str) -> NamedModel:
        if kind not in made:
            source = tmp_path_factory.mktemp("hub") / kind
            if kind == "mgm":
                write_mgm(source)
                settings = LocalModelSettings(source="local", path=str(source))
            elif kind in tiny_models.KINDS:
                tiny_models.write_model(kind, source)
                settings = LocalModelSettings(source="local", path=str(source))
            else:
                source.mkdir()
                tiny_scorers.KINDS[kind](source)
                settings = ScorerSettings(source="scorer", path=str(source))
            folder = tmp_path_factory.mktemp("models") / kind
            prepare_base(kind, settings, Ingredients(), folder, folder.with_name(f"{kind}.manifest.json"))
            made[kind] = NamedModel(kind, settings, folder)
        return made[kind]

    return make


def write_mgm(folder: Path) -> None:
    """An MGM of random weights."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    torch.manual_seed(0)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([], trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet))
    config = tiny_config(len(special) + len(alphabet), hidden_size=32, num_hidden_layers=2, max_length=200)
    MgmForConditionalGeneration(config).save_pretrained(folder)
    MgmProcessor.for_config(config, PreTrainedTokenizerFast(tokenizer_object=tokenizer)).save_pretrained(folder)


def write_image(path: Path, seed: int) -> Path:
    """Noise of one seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def make_row(tmp_path) -> Callable[..., dict]:
    """A row with so many images of its own."""

    def make(number: int, text: str | None = None, images: int = 1) -> dict:
        paths = [write_image(tmp_path / f"{number}-{place}.png", 100 * number + place) for place in range(images)]
        return {
            "id": f"row-{number}",
            "images": [str(path) for path in paths],
            "image_sha256": [sha256_file(path) for path in paths],
            "text": text or f"<__dj__image>\na picture of {number} red <|__dj__eoc|>",
        }

    return make
