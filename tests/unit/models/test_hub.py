"""Checkpoints from the hub: from the cache without network, and one clear line when neither is there."""

import pytest

from syntune.errors import UserError
from syntune.models.hub import fetch_checkpoint

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """An empty cache, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_a_fetched_checkpoint_needs_no_network(hub):
    snapshot = hub / "models--someone--model" / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert fetch_checkpoint("someone/model", REVISION) == snapshot


def test_neither_cache_nor_network_is_one_line():
    with pytest.raises(UserError, match="someone/model@0123456789ab is not in the local hub cache"):
        fetch_checkpoint("someone/model", REVISION)
