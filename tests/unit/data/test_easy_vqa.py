"""The demo's data: every question of the package, in the formats of seeds and benchmarks."""

import base64
import csv
import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from syntune.data.easy_vqa import choose_options, read_split, write_benchmarks, write_seed
from syntune.files import read_jsonl, sha256_file


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    output = tmp_path_factory.mktemp("easy-vqa")
    return output, [*write_seed(output), *write_benchmarks(output)]


def test_every_question_is_there(written):
    output, files = written
    assert {file.relative_to(output).as_posix(): rows for file, rows in files} == {
        "seed.jsonl": 38_575,
        "textvqa/annotations.json": 9_673,
        "textvqa/questions.jsonl": 9_673,
        "mmbench/table.tsv": sum(len(choose_options(question)) for question in read_split("test")),
    }


def test_seed_rows_find_their_images(written):
    output, _ = written
    rows = list(read_jsonl(output / "seed.jsonl"))
    assert len({row["id"] for row in rows}) == len(rows)
    assert {path for row in rows for path in row["images"]} == {
        f"images/{file.name}" for file in (output / "images").iterdir()
    }


def test_the_first_questions_represent_all():
    kinds = [question.kind for question in read_split("test")]
    all_kinds, first = Counter(kinds), Counter(kinds[:1000])
    assert all(abs(first[kind] / 1000 - all_kinds[kind] / len(kinds)) < 0.05 for kind in all_kinds)


def test_questions_and_annotations_agree(written):
    output, _ = written
    annotations = json.loads((output / "textvqa/annotations.json").read_text())
    assert "not the real benchmark" in annotations["dataset_name"]
    for row, line in zip(annotations["data"], read_jsonl(output / "textvqa/questions.jsonl"), strict=True):
        assert line["question_id"] == row["image_id"]
        assert line["text"] == row["question"] + "\nAnswer the question using a single word or phrase."
        assert len(row["answers"]) == 10
        assert (output / "textvqa/images" / line["image"]).is_file()
    keys = {(row["image_id"], row["question"]) for row in annotations["data"]}
    assert len(keys) == len(annotations["data"])


def test_rotations_ask_the_same_with_every_option_in_every_place(written):
    output, _ = written
    groups = defaultdict(list)
    with (output / "mmbench/table.tsv").open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            groups[int(row["index"]) % 1_000_000].append(row)
    answers = {question.number: question for question in read_split("test")}
    for number, rows in groups.items():
        options = [row[letter] for row in rows[:1] for letter in "ABCD" if row[letter]]
        assert len(rows) == len(options) == {"color": 4, "shape": 3, "existence": 2}[rows[0]["category"]]
        assert [int(row["index"]) // 1_000_000 for row in rows] == list(range(len(rows)))
        assert {row[row["answer"]] for row in rows} == {answers[number].answer}
        assert {row["answer"] for row in rows} == set("ABCD"[: len(rows)])
    assert len(groups) == 9_673
    assert base64.b64decode(rows[0]["image"]) == answers[number].image.read_bytes()


def test_the_same_bytes_again(written, tmp_path):
    output, files = written
    for file, _ in [*write_seed(tmp_path), *write_benchmarks(tmp_path)]:
        assert sha256_file(file) == sha256_file(output / Path(file).relative_to(tmp_path))
    assert len(files) == 4
