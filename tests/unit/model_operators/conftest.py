"""Prepared models, and rows with real image files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import tiny_scorers
from PIL import Image

from syntune.files import sha256_file
from syntune.model_operators.given import NamedModel
from syntune.models.prepare import Ingredients, prepare_base
from syntune.settings.models import LocalModelSettings, ScorerSettings


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Callable[[str], NamedModel]:
    """A scorer or a captioner by its kind, prepared as the workflow prepares it, once a session."""
    made: dict[str, NamedModel] = {}

    def make(kind: str) -> NamedModel:
        if kind not in made:
            source = tmp_path_factory.mktemp("hub") / kind
            if kind in tiny_models.KINDS:
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
