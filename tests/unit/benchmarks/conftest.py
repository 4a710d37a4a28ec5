"""Benchmarks made of a few rows, and prediction files for them."""

import base64
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from syntune.benchmarks.protocol import Protocol, Question
from syntune.benchmarks.registry import load_benchmark
from syntune.settings.benchmarks import BenchmarkSettings
from syntune.settings.reading import read_settings


def _load(**settings) -> Protocol:
    """The benchmark of these settings; paths may be :class:`Path`."""
    values = {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
    return load_benchmark(read_settings(values, BenchmarkSettings, "test"), "bench")


def _png() -> bytes:
    """A tiny image."""
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def load() -> Callable[..., Protocol]:
    """The benchmark of settings that are given as keywords; paths may be :class:`Path`."""
    return _load


@pytest.fixture(scope="session")
def png() -> bytes:
    """A tiny image."""
    return _png()


@pytest.fixture(scope="session")
def write_predictions() -> Callable[..., Path]:
    """Write a prediction file; ``change`` may spoil its rows."""

    def write(
        path: Path, questions: list[Question], answer: Callable[[Question], str], change: Callable[[list], list] = list
    ) -> Path:
        rows = [
            {"question_id": q.id, "prompt": q.prompt, "text": answer(q), "adapter": "a", "benchmark": "b"}
            for q in questions
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in change(rows)))
        return path

    return write


@pytest.fixture
def textvqa(tmp_path) -> Callable[..., Protocol]:
    """A TextVQA of three questions on two images; keyword arguments change its files or settings."""

    def make(version="0.5.1", ocr=True, drop_annotations=0, drop_lines=0, **settings) -> Protocol:
        asked = [("i1", "What brand?", "acme"), ("i1", "What color?", "red"), ("i2", "What brand?", "zeta")]
        data = [
            {"question_id": 10 + place, "image_id": image, "question": text.lower(), "answers": [answer] * 10}
            for place, (image, text, answer) in enumerate(asked)
        ]
        tokens = "Reference OCR token: ACME\n" if ocr else ""
        lines = [
            {
                "question_id": image,
                "image": f"{image}.png",
                "text": f"{text}\n{tokens}Answer with a single word.",
            }
            for image, text, _ in asked
        ]
        annotations = {"dataset_version": version, "data": data[drop_annotations:]}
        (tmp_path / "annotations.json").write_text(json.dumps(annotations))
        (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, lines[drop_lines:])))
        (tmp_path / "images").mkdir(exist_ok=True)
        for image in ("i1", "i2"):
            (tmp_path / "images" / f"{image}.png").write_bytes(_png())
        files = {"annotations": tmp_path / "annotations.json", "questions": tmp_path / "questions.jsonl"}
        return _load(**{"protocol": "textvqa", "images": tmp_path / "images", **files, **settings})

    return make


@pytest.fixture
def mmbench(tmp_path) -> Callable[..., Protocol]:
    """An MMBench of two base questions with two rotations each; ``change`` may spoil the rows."""

    def make(change: Callable[[list[dict]], None] = lambda rows: None, **settings) -> Protocol:
        image = base64.b64encode(_png()).decode()
        rows = [
            {"index": base + rotation * 1_000_000, "question": f"Which is {base}?", "hint": "", "A": pair[rotation],
             "B": pair[1 - rotation], "C": "", "D": "", "answer": "AB"[rotation], "category": f"kind {base}",
             "image": str(base) if rotation else image, "l2-category": "l2"}
            for rotation in (0, 1) for base, pair in ((7, ("cat", "dog")), (8, ("sun", "moon")))
        ]  # fmt: skip
        change(rows)
        with (tmp_path / "table.tsv").open("w", newline="") as file:
            table = csv.DictWriter(file, rows[0], delimiter="\t")
            table.writeheader()
            table.writerows(rows)
        return _load(**{"protocol": "mmbench", "table": tmp_path / "table.tsv", **settings})

    return make
