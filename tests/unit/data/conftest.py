"""What the tests of the data stages share: small pictures, small seeds, and Data-Juicer made safe."""

import io
import json

import pytest
from PIL import Image


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder: rows' paths start from it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def png():
    """Make the bytes of a PNG of one color."""

    def make(color="red", size=(40, 30)):
        buffer = io.BytesIO()
        Image.new("RGB", size, color).save(buffer, "PNG")
        return buffer.getvalue()

    return make


@pytest.fixture
def seed(work, png):
    """Write a JSONL seed of captions, one picture each; returns its settings."""
    from syntune.settings.seeds import SeedSettings

    def write(rows=6, texts=None, **settings):
        (work / "seed").mkdir(exist_ok=True)
        lines = []
        for index in range(rows):
            (work / "seed" / f"{index}.png").write_bytes(png((index * 20, 60, 200)))
            text = texts[index] if texts else f"<__dj__image>\na plain picture number {index} <|__dj__eoc|>"
            lines.append(json.dumps({"id": f"r{index}", "images": [f"{index}.png"], "text": text}))
        (work / "seed.jsonl").write_text("\n".join(lines) + "\n")
        return SeedSettings(**{"format": "jsonl", "path": "seed.jsonl", "images": "seed", **settings})

    return write


@pytest.fixture
def ingested(work, seed):
    """Ingest such a seed as ``s``; returns its manifest's path."""
    from pathlib import Path

    from syntune.data.ingest import ingest_seed

    def ingest(*args, **settings):
        ingest_seed("s", seed(*args, **settings), Path("results/seed/s"), Path("results/seed/s.manifest.json"))
        return Path("results/seed/s.manifest.json")

    return ingest


@pytest.fixture(scope="session")
def juicer(tmp_path_factory):
    """The module that calls Data-Juicer, ready to use."""
    from syntune.data import juicer

    juicer.prepare_data_juicer(tmp_path_factory.mktemp("produced"))
    return juicer
