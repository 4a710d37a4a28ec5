"""easy-VQA, the demo's data: 64x64 drawings of one coloured shape, with templated questions and one-word answers.

The train split becomes a seed. The test split becomes two stand-ins, in the formats of TextVQA and MMBench: they
exercise the real benchmarks' readers and metrics, and their scores say nothing about the real benchmarks.
"""

import base64
import csv
import json
import shutil
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

from syntune.data.conversations import JUICER_END_MARK, JUICER_IMAGE_MARK
from syntune.data.ordering import key_hash
from syntune.files import atomic_directory, atomic_file, write_json, write_jsonl

COLOURS = ("black", "blue", "brown", "gray", "green", "red", "teal", "yellow")
SHAPES = ("circle", "rectangle", "triangle")
EXISTENCE = ("yes", "no")
MMBENCH_COLUMNS = (
    *("index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image", "source", "l2-category"),
    *("comment", "split"),
)
STAND_IN = "easy-VQA, standing in for {} (not the real benchmark)"

Written = list[tuple[Path, int | None]]
"""Files written, with their rows."""


class EasyQuestion(NamedTuple):
    """One question of a split; ``number`` is its position in the package's file."""

    id: str
    number: int
    text: str
    answer: str
    image: Path

    @property
    def kind(self) -> str:
        """What is asked for: a color, a shape, or whether something exists."""
        return "color" if self.answer in COLOURS else "shape" if self.answer in SHAPES else "existence"


def read_split(split: str) -> list[EasyQuestion]:
    """The questions of ``train`` or ``test``, shuffled by a hash so that the first N of them represent all."""
    # found by its metadata: the name easy_vqa is also that of the script that calls this
    folder = Path(str(distribution("easy-vqa").locate_file(f"easy_vqa/data/{split}")))
    rows = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    questions = [
        EasyQuestion(f"{split}-{number}", number, text, answer, folder / "images" / f"{image}.png")
        for number, (text, answer, image) in enumerate(rows)
    ]
    return sorted(questions, key=lambda question: key_hash(question.id))


def write_seed(output: Path) -> Written:
    """Write the train split as ``seed.jsonl`` (Data-Juicer's multimodal rows) and ``images/``."""
    questions = read_split("train")
    copy_images(questions, output / "images")
    rows = [
        {
            "id": question.id,
            "images": [f"images/{question.image.name}"],
            "text": f"{JUICER_IMAGE_MARK}\n[[human]]: {question.text}\n[[gpt]]: {question.answer} {JUICER_END_MARK}",
        }
        for question in questions
    ]
    return [(output / "seed.jsonl", write_jsonl(output / "seed.jsonl", rows))]


def write_benchmarks(output: Path) -> Written:
    """Write the test split in the formats of TextVQA (``textvqa/``) and of MMBench (``mmbench/table.tsv``)."""
    questions = read_split("test")
    copy_images(questions, output / "textvqa" / "images")
    return [*_write_textvqa(questions, output / "textvqa"), *_write_mmbench(questions, output / "mmbench")]


def copy_images(questions: list[EasyQuestion], folder: Path) -> None:
    """Copy the questions' images, byte for byte."""
    with atomic_directory(folder) as temporary:
        for image in sorted({question.image for question in questions}):
            shutil.copyfile(image, temporary / image.name)


def _write_textvqa(questions: list[EasyQuestion], folder: Path) -> Written:
    """Annotations of TextVQA's schema 0.5.1, ten equal answers each, and LLaVA's question file, without OCR tokens."""
    annotations = {
        "dataset_type": "val",
        "dataset_name": STAND_IN.format("TextVQA"),
        "dataset_version": "0.5.1",
        "data": [
            {
                "question_id": question.number,
                "image_id": question.image.stem,
                "question": question.text,
                "question_tokens": question.text.rstrip("?").split(),
                "answers": [question.answer] * 10,
                "image_classes": [question.kind],
                "image_width": 64,
                "image_height": 64,
                "set_name": "val",
            }
            for question in questions
        ],
    }
    lines = [
        {
            "question_id": question.image.stem,
            "image": question.image.name,
            "text": f"{question.text}\nAnswer the question using a single word or phrase.",
            "category": question.kind,
        }
        for question in questions
    ]
    write_json(folder / "annotations.json", annotations)
    write_jsonl(folder / "questions.jsonl", lines)
    return [(folder / "annotations.json", len(questions)), (folder / "questions.jsonl", len(lines))]


def _write_mmbench(questions: list[EasyQuestion], folder: Path) -> Written:
    """MMBench's table: a question's rotations follow it, with ``index + 1,000,000 x rotation``."""
    count = 0
    with (
        atomic_file(folder / "table.tsv") as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.DictWriter(file, MMBENCH_COLUMNS, delimiter="\t", lineterminator="\n", restval="")
        table.writeheader()
        for question in questions:
            options = choose_options(question)
            for rotation in range(len(options)):
                table.writerow(_mmbench_row(question, options, rotation))
                count += 1
    return [(folder / "table.tsv", count)]


def choose_options(question: EasyQuestion) -> list[str]:
    """The answer among all shapes, yes and no, or three other colors, in an order that a hash decides."""

    def order(option: str) -> str:
        return key_hash(question.id, option)

    if question.kind == "color":
        others = sorted((colour for colour in COLOURS if colour != question.answer), key=order)[:3]
        return sorted([question.answer, *others], key=order)
    return sorted(SHAPES if question.kind == "shape" else EXISTENCE, key=order)


def _mmbench_row(question: EasyQuestion, options: list[str], rotation: int) -> dict[str, str | int]:
    """One rotation: the options moved up by ``rotation`` places."""
    rotated = options[rotation:] + options[:rotation]
    return {
        "index": question.number + 1_000_000 * rotation,
        "question": question.text,
        **dict(zip("ABCD", rotated, strict=False)),
        "answer": "ABCD"[rotated.index(question.answer)],
        "category": question.kind,
        "image": base64.b64encode(question.image.read_bytes()).decode(),
        "source": STAND_IN.format("MMBench"),
        "l2-category": "easy-VQA",
        "split": "dev",
    }
