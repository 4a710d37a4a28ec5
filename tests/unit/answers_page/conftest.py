"""A benchmark with answers of three runs, scored as the workflow scores them, and the page that is made of it."""

import base64
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from syntune.answers_page.page import render_answers_page
from syntune.answers_page.reading import AnswersRecords, read_answers
from syntune.artifacts.predictions import Prediction
from syntune.benchmarks.protocol import Protocol
from syntune.benchmarks.registry import load_benchmark
from syntune.benchmarks.scoring import score_run
from syntune.files import write_json, write_jsonl
from syntune.settings.benchmarks import BenchmarkSettings
from syntune.settings.reading import read_settings

RUNS = ("base", "raw", "synthetic")


def noise(seed: int, side: int = 200) -> bytes:
    """An image of its own."""
    stream = io.BytesIO()
    Image.effect_noise((side, side), 20 + seed).convert("RGB").save(stream, "JPEG")
    return stream.getvalue()


def load(**settings) -> Protocol:
    return load_benchmark(read_settings(settings, BenchmarkSettings, "test"), "bench")


@pytest.fixture
def open_benchmark(tmp_path) -> Callable[..., Protocol]:
    """Makes a TextVQA of as many questions, two to an image; of each third one no human answer is ``word``."""

    def make(questions: int, word: str = "circle") -> Protocol:
        folder, data = tmp_path / "benchmark", []
        (folder / "images").mkdir(parents=True)
        for place in range(questions):
            image = f"i{place // 2}"
            (folder / "images" / f"{image}.jpg").write_bytes(noise(place // 2))
            answers = [word] * 8 + ["round"] * 2 if place % 3 else ["square"] * 10
            data.append({"question_id": place, "image_id": image, "question": f"shape {place}?", "answers": answers})
        (folder / "annotations.json").write_text(json.dumps({"dataset_version": "0.5.1", "data": data}))
        files = {"annotations": str(folder / "annotations.json"), "images": str(folder / "images")}
        return load(protocol="textvqa", ocr_tokens=False, **files)

    return make


@pytest.fixture
def choice_benchmark(tmp_path) -> Protocol:
    """An MMBench of two base questions with two rotations each."""
    rows = [
        {"index": base + rotation * 1_000_000, "question": f"Which is {base}?", "A": pair[rotation],
         "B": pair[1 - rotation], "answer": "AB"[rotation], "category": f"kind {base}", "l2-category": "l2",
         "image": str(base) if rotation else base64.b64encode(noise(base)).decode()}
        for rotation in (0, 1) for base, pair in ((7, ("cat", "dog")), (8, ("sun", "moon")))
    ]  # fmt: skip
    rows = [row | {"C": "", "D": ""} for row in rows]
    with (tmp_path / "table.tsv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0], delimiter="\t")
        table.writeheader()
        table.writerows(rows)
    return load(protocol="mmbench", table=str(tmp_path / "table.tsv"), empty_answers="wrong")


def answer_all(protocol: Protocol, folder: Path, answer: Callable[[str, int], str]) -> AnswersRecords:
    """Every run's answers, ``answer`` of the run and the question's place, as files that are read again."""
    questions = protocol.questions()
    predictions, scores = [], []
    for run in RUNS:
        lines = [
            Prediction(question_id=question.id, prompt=question.prompt, text=answer(run, place))
            for place, question in enumerate(questions)
        ]
        predictions.append(folder / f"{run}.jsonl")
        write_jsonl(predictions[-1], [line.model_dump(exclude_none=True) for line in lines])
        scores.append(folder / f"{run}.json")
        write_json(scores[-1], score_run(run, protocol, questions, lines).as_written())
    return read_answers(protocol, predictions, scores)


@pytest.fixture
def page(tmp_path) -> Callable[..., str]:
    """Write the page of answers and return it."""

    def write(protocol: Protocol, answer: Callable[[str, int], str], **given) -> str:
        render_answers_page(answer_all(protocol, tmp_path, answer), tmp_path / "page.html", **given)
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    return write
