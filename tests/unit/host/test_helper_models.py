"""Models that recipes use and no run starts from."""

from pathlib import Path

import pytest
import yaml

from syntune.errors import UserError
from syntune.settings.reading import read_settings
from syntune.settings.tree import Settings

DEMO = Path(__file__).resolve().parents[3] / "config.yaml"

ENDPOINT = {"source": "endpoint", "base_url": "https://example.com/v1", "model": "vlm"}
SCORER = {"source": "scorer", "path": "clip"}


def with_helper(model: dict) -> dict:
    """The demo's config with one model more."""
    config = yaml.safe_load(DEMO.read_text())
    config["models"]["helper"] = model
    return config


@pytest.mark.parametrize("model", [ENDPOINT, SCORER])
def test_a_run_starts_from_no_model_for_recipes(model):
    config = with_helper(model)
    config["runs"]["raw"]["start"] = "helper"
    with pytest.raises(UserError, match="runs.raw.start: 'helper' is a model for recipes"):
        read_settings(config, Settings, "config.yaml")


def test_an_endpoint_has_no_checkpoint_here():
    config = with_helper(ENDPOINT)
    config["models"]["clip"] = SCORER
    assert read_settings(config, Settings, "config.yaml").checkpoints == ["tiny", "clip"]


@pytest.mark.parametrize(
    "url", ["example.com/v1", "https://user:secret@example.com/v1", "https://example.com/v1?key=x"]
)
def test_an_address_holds_no_key(url):
    with pytest.raises(
        UserError, match=r"config.yaml: models.helper.base_url: does not fit; wanted: address"
    ) as caught:
        read_settings(with_helper(ENDPOINT | {"base_url": url}), Settings, "config.yaml")
    assert "secret" not in str(caught.value)
