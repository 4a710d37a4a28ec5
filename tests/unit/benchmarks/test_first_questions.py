"""What of one's own questions is seen before anything runs."""

import json

import pytest

from syntune.benchmarks.first_questions import FIRST, check_first_questions
from syntune.errors import UserError
from syntune.settings.benchmarks import VqaSettings

ROW = {"id": 1, "image": "a.png", "question": "What?", "answer": "this"}


@pytest.fixture
def check(tmp_path):
    """Write a file's rows or bytes, with one picture beside it, and check it."""

    def check(content: list[dict] | bytes, name: str = "q.jsonl") -> None:
        (tmp_path / "a.png").touch()
        text = content if isinstance(content, bytes) else "\n".join(map(json.dumps, content)).encode()
        (tmp_path / name).write_bytes(text)
        check_first_questions(VqaSettings(protocol="vqa", questions=str(tmp_path / name)), "benchmarks.b.questions")

    return check


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "q.jsonl: has no questions"),
        ([ROW, ROW | {"anser": 1, "id": 2}], "q.jsonl: line 2: anser: unknown key; did you mean 'answer'"),
        ([ROW, ROW | {"image": "b.png", "id": 2}], "q.jsonl: id '2': image: .*b.png is not there"),
        ([ROW, ROW | {"image": "A" * 5000, "id": 2}], "q.jsonl: id '2': image: .*A is not there"),
        ([ROW | {"id": None}, ROW | {"answer": ""}], "q.jsonl: line 1: id: is missing; line 2: answer: "),
        (b"\x89PNG", "q.jsonl: not UTF-8 text"),
    ],
)
def test_what_the_first_rows_lack_is_named(check, content, said):
    with pytest.raises(UserError, match=f"^benchmarks.b.questions: .*{said}"):
        check(content)


def test_rows_further_down_are_left_to_the_rehearsal(check):
    check([ROW | {"id": number} for number in range(FIRST)] + [{"id": 1}])


@pytest.mark.parametrize("content", [b"", b"PAR1 cut", b"version https://git-lfs.github.com/spec/v1"])
def test_what_is_no_parquet_is_named(check, content):
    with pytest.raises(UserError, match="q.parquet: is no Parquet file, or not a whole one"):
        check(content, "q.parquet")


def test_what_begins_and_ends_as_parquet_is_taken(check):
    check(b"PAR1 rows PAR1", "q.parquet")
