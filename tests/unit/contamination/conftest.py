"""Small shards, a small benchmark, and pictures that perceptual hashes tell apart."""

import argparse
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from syntune.artifacts.manifests import Part, write_manifest

ROOT = Path(__file__).resolve().parents[3]

SCHEMA = pyarrow.schema(
    {
        "id": pyarrow.string(),
        "images": pyarrow.list_(pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})),
        "messages": pyarrow.list_(pyarrow.struct({"role": pyarrow.string(), "content": pyarrow.string()})),
    }
)


def _picture(seed: int) -> Image.Image:
    """Random patches of colour, blurred: as unlike each other as photos are."""
    patches = numpy.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=numpy.uint8)
    return Image.fromarray(patches).resize((240, 180), Image.Resampling.BICUBIC)


def _encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    """An image as a file's content."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture
def picture() -> Callable[[int], Image.Image]:
    """A picture of its own for each number."""
    return _picture


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """An image as a file's content."""
    return _encode


@pytest.fixture
def shards(tmp_path) -> Callable[..., tuple[Path, Path]]:
    """Write rows (id, list of images as bytes, list of texts) as two shards; returns manifest and folder."""

    def write(rows: list[tuple[str, list[bytes], list[str]]]) -> tuple[Path, Path]:
        folder, manifest = tmp_path / "data" / "d", tmp_path / "data" / "d.manifest.json"
        folder.mkdir(parents=True)
        parts = []
        for place, part in enumerate((rows[::2], rows[1::2])):
            table = pyarrow.Table.from_pylist(
                [
                    {
                        "id": name,
                        "images": [{"bytes": image, "path": "x"} for image in images],
                        "messages": [{"role": "user", "content": text} for text in texts],
                    }
                    for name, images, texts in part
                ],
                SCHEMA,
            )
            file = folder / f"shard-{place:05d}-of-00002.parquet"
            parquet.write_table(table, file, row_group_size=2, compression="zstd")
            parts.append(Part.from_file(file, manifest.parent, len(part)))
        write_manifest(manifest, stage="shard", name="d", parts=parts)
        return manifest, folder

    return write


@pytest.fixture
def textvqa(tmp_path) -> Callable[..., dict]:
    """A TextVQA that asks (id, image name, question); returns its settings."""

    def write(questions: list[tuple[int, str, str]], images: dict[str, Image.Image], **settings) -> dict:
        (tmp_path / "images").mkdir()
        for name, image in images.items():
            (tmp_path / "images" / f"{name}.jpg").write_bytes(_encode(image))
        data = [
            {"question_id": number, "image_id": image, "question": text, "answers": ["yes"] * 10}
            for number, image, text in questions
        ]
        path = tmp_path / "annotations.json"
        path.write_text(json.dumps({"dataset_version": "0.5.1", "data": data}))
        files = {"annotations": str(path), "images": str(tmp_path / "images")}
        return {"protocol": "textvqa", "ocr_tokens": False, **files, **settings}

    return write


@pytest.fixture
def decontaminate(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Run the command; returns the path that it was told to write."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    from decontaminate import main

    def run(data: tuple[Path, Path], benchmark: dict, threads: int = 1, **settings) -> Path:
        output = tmp_path / "findings.json"
        main(
            argparse.Namespace(
                dataset="d",
                settings=json.dumps(settings),
                benchmarks=json.dumps({"bench": benchmark}),
                dataset_manifest=data[0],
                shards=data[1],
                threads=threads,
                output=output,
            )
        )
        return output

    return run
