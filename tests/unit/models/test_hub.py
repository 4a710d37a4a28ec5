"""Checkpoints from the hub: from the cache without network, and one clear line when neither is there."""

import json

import huggingface_hub
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


FILES = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = json.dumps({"weight_map": {"a": FILES[0], "b": FILES[1]}})
WHOLE = {
    "config.json": "{}",
    "tokenizer.json": "{}",
    "model.safetensors.index.json": INDEX,
    **dict.fromkeys(FILES, ""),
}


@pytest.mark.parametrize(
    ("lacking", "unfinished", "asks_the_hub"),
    [
        (None, False, False),
        (FILES[1], False, True),
        ("model.safetensors.index.json", False, True),
        ("tokenizer.json", False, True),
        (None, True, True),
    ],
)
def test_only_an_incomplete_snapshot_asks_the_hub(hub, monkeypatch, lacking, unfinished, asks_the_hub):
    snapshot = hub / "models--someone--model" / "snapshots" / REVISION
    blobs = hub / "models--someone--model" / "blobs"
    for folder in (snapshot, blobs):
        folder.mkdir(parents=True)
    for name, text in WHOLE.items():
        if name != lacking:
            (snapshot / name).write_text(text)
    if unfinished:
        (blobs / "0123.incomplete").touch()
    online, download = [], huggingface_hub.snapshot_download

    def counted(*args, local_files_only=False, **options):
        online.extend([] if local_files_only else [args])
        return download(*args, local_files_only=local_files_only, **options)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", counted)
    assert fetch_checkpoint("someone/model", REVISION) == snapshot
    assert bool(online) == asks_the_hub


def test_neither_cache_nor_network_is_one_line():
    with pytest.raises(UserError, match="someone/model@0123456789ab is not in the local hub cache"):
        fetch_checkpoint("someone/model", REVISION)
