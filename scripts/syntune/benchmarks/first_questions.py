"""The first questions of one's own files, checked while jobs are planned: long before a model would be asked them."""

import os
from pathlib import Path

from syntune.benchmarks.question_file import ROWS, read_question_file
from syntune.errors import UserError
from syntune.settings.benchmarks import BenchmarkSettings

FIRST = 20
"""Rows that are looked at."""

_MARK = b"PAR1"
"""What a Parquet file begins and ends with; its rows can't be read where Snakemake runs."""


def check_first_questions(settings: BenchmarkSettings, where: str) -> None:
    """Refuse a file of questions whose first rows are not what the protocol takes, or name images that are not there.

    Raises:
        UserError: names file, row and key; the message begins with ``where``.
    """
    try:
        _check(settings)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _check(settings: BenchmarkSettings) -> None:
    """The same, without ``where``."""
    if settings.protocol not in ROWS or not settings.questions:
        return
    if settings.questions.endswith(".parquet"):
        _check_parquet(Path(settings.questions))
        return
    folder = Path(settings.images or Path(settings.questions).parent)
    rows = list(read_question_file(settings.questions, ROWS[settings.protocol], FIRST))
    if not rows:
        raise UserError(f"{settings.questions}: has no questions")
    for row in rows:
        image = row.source(folder)
        if isinstance(image, Path) and not os.path.isfile(image):
            raise UserError(f"{settings.questions}: id '{row.id}': image: {image} is not there")


def _check_parquet(path: Path) -> None:
    """Refuse a file that cannot be Parquet, such as a pointer of git-lfs."""
    with path.open("rb") as file:
        begins = file.read(len(_MARK))
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - len(_MARK), 0))
        ends = file.read()
    if begins != _MARK or ends != _MARK:
        raise UserError(f"{path}: is no Parquet file, or not a whole one")
