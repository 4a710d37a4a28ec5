"""An image is decoded once; what changed is decoded again."""

import os
import shutil
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syntune.artifacts.manifests import read_manifest
from syntune.data import image_checks
from syntune.data.ingest import ingest_seed
from syntune.files import sha256_file
from syntune.settings.seeds import SeedSettings

MANIFEST = Path("results/seed/s.manifest.json")
CACHE = Path("results/cache/images/s.sqlite")


@pytest.fixture
def decoded(monkeypatch):
    """Ingest a seed; returns what was decoded, sorted."""
    names = []
    real = image_checks.open_image

    def open_image(data, name, **limits):
        names.append(name)
        return real(data, name, **limits)

    monkeypatch.setattr(image_checks, "open_image", open_image)

    def ingest(settings, **changes):
        names.clear()
        ingest_seed("s", settings.model_copy(update=changes), Path("results/seed/s"), MANIFEST, cache=CACHE)
        return sorted(names)

    return ingest


def test_images_are_decoded_once(decoded, seed):
    settings = seed(rows=3)
    assert decoded(settings) == ["seed/0.png", "seed/1.png", "seed/2.png"]
    first = read_manifest(MANIFEST)
    assert decoded(settings) == []
    assert read_manifest(MANIFEST) == first
    assert decoded(settings, chunks=2) == []
    with open("seed.jsonl", "a") as file:
        file.write('{"id": "new", "images": ["new.png"], "text": "new"}\n')
    Path("seed/new.png").write_bytes(Path("seed/0.png").read_bytes() + b"end")
    assert decoded(settings) == ["seed/new.png"]


def test_a_replaced_image_is_decoded_and_a_touched_one_is_not(decoded, seed, png):
    settings = seed(rows=3)
    decoded(settings)
    older = Path("older.png")
    older.write_bytes(png("green"))
    os.utime(older, (1, 1))
    shutil.copy2(older, "seed/1.png")
    os.utime("seed/2.png", (5, 5))
    assert decoded(settings) == ["seed/1.png"]
    (row,) = [line for line in Path("results/seed/s/chunk-00000.jsonl").read_text().splitlines() if '"r1"' in line]
    assert sha256_file("seed/1.png") in row


def test_other_limits_decode_again(decoded, seed):
    settings = seed(rows=2)
    decoded(settings)
    assert len(decoded(settings, max_pixels=2000)) == 2
    assert len(decoded(settings, max_pixels=2000)) == 0


def test_a_bad_image_is_looked_at_each_time(decoded, seed, png):
    settings = seed(rows=2)
    Path("seed/1.png").write_bytes(png()[:50])
    for names in (["seed/0.png", "seed/1.png"], ["seed/1.png"]):
        assert decoded(settings, bad_image="drop") == names
        assert read_manifest(MANIFEST).dropped == {"bad image": 1}


def test_images_that_come_as_bytes_are_decoded_once(decoded, work, png):
    pq.write_table(pa.Table.from_pylist([{"id": "a", "image": png(), "text": "x"}]), "a.parquet")
    settings = SeedSettings(format="parquet", path="a.parquet")
    assert decoded(settings) == ["image 1"]
    first = read_manifest(MANIFEST)
    shutil.rmtree("results/seed")
    assert decoded(settings) == []
    assert read_manifest(MANIFEST) == first and len(list(Path("results/seed/s/images").rglob("*.png"))) == 1


def test_a_damaged_cache_is_begun_anew(decoded, seed, caplog):
    settings = seed(rows=2)
    CACHE.parent.mkdir(parents=True)
    CACHE.write_bytes(b"no database at all" * 100)
    assert len(decoded(settings)) == 2
    assert "s.sqlite: file is not a database; images are checked again" in caplog.text
    assert decoded(settings) == []


def test_a_cache_that_another_process_holds_is_done_without(decoded, seed, monkeypatch, caplog):
    monkeypatch.setattr("syntune.data.image_cache._WAIT", 0)
    settings = seed(rows=2)
    decoded(settings)
    with sqlite3.connect(CACHE) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert len(decoded(settings)) == 2
    assert "database is locked" in caplog.text
