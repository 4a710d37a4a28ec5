"""The rows that a run will be trained on: from manifests where there are any, else from the config."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syntune.artifacts.manifests import Manifest, read_manifest
from syntune.settings.seed_files import watched_files
from syntune.settings.tree import Settings

TEXT_TOKENS, SUPERVISED = 150, 0.6
"""A row's tokens beside its images, and the share of them that is supervised, where no manifest tells: those of the
rows that the predictions were measured with."""

_LINES, _LARGE = (".jsonl", ".ndjson"), 2**30
"""Endings of files with a row on each line, and the bytes up to which such lines are counted: about a second."""

_TOKENS_A_WORD = 1.35
_TEMPLATE = 12
"""Tokens that a chat template puts around a question and its answer."""


@dataclass(frozen=True)
class Rows:
    """What is known of a dataset's rows.

    Attributes:
        number: of rows; None where neither a manifest nor the config tells.
        text: mean tokens beside the images.
        supervised: mean supervised tokens.
        images: mean images.
        made: whether the dataset exists, so that all of this is from its manifest.
    """

    number: int | None
    text: float = TEXT_TOKENS
    supervised: float = SUPERVISED * TEXT_TOKENS
    images: float = 1.0
    made: bool = False


def rows_of(settings: Settings, name: str, results: Path) -> Rows:
    """The rows of a dataset."""
    path = results / f"data/{name}.manifest.json"
    if path.is_file():
        return rows_of_manifest(read_manifest(path))
    return Rows(_expected(settings, name, results))


def rows_of_manifest(manifest: Manifest) -> Rows:
    """Counts are the manifest's; tokens are estimated from its words."""
    details, number = manifest.details, manifest.rows_out or 0
    answers = details.get("answers")
    a_row = answers / number if answers and number else 1.0
    asked, answered = _mean(details.get("question_words")), _mean(details.get("answer_words"))
    images = details.get("images_per_row")
    mean_images = sum(int(many) * rows for many, rows in images.items()) / number if images and number else 1.0
    if asked is None or answered is None:
        return Rows(number, images=mean_images, made=True)
    supervised = a_row * (answered * _TOKENS_A_WORD + 2)
    return Rows(number, a_row * (asked * _TOKENS_A_WORD + _TEMPLATE) + supervised, supervised, mean_images, True)


def _mean(histogram: dict[str, Any] | None) -> float | None:
    """The mean of a histogram of words, each bin at its middle; of the last, open one at its lower end."""
    if not histogram or not sum(histogram["counts"]):
        return None
    ends = histogram["up_to"]
    middles = [ends[0], *((low + 1 + high) / 2 for low, high in zip(ends, ends[1:], strict=False)), ends[-1]]
    pairs = zip(histogram["counts"], middles, strict=True)
    return sum(number * middle for number, middle in pairs) / sum(histogram["counts"])


def seed_rows(settings: Settings, name: str, results: Path) -> int | None:
    """A seed's rows: its manifest's or, before it is read, its limit and the lines of its JSON lines; None without."""
    manifest = results / f"seed/{name}.manifest.json"
    if manifest.is_file():
        return read_manifest(manifest).rows_out
    seed = settings.seeds[name]
    files = [Path(file) for file in watched_files(seed)]
    readable = files and all(file.is_file() and file.suffix in _LINES for file in files)
    counted = readable and sum(file.stat().st_size for file in files) <= _LARGE
    lines = sum(map(_lines, files)) if counted else None
    return min((number for number in (seed.limit, lines) if number is not None), default=None)


def _lines(file: Path) -> int:
    """The lines of a file, for what has a row on each."""
    with file.open("rb") as opened:
        return sum(1 for line in opened if not line.isspace())


def _expected(settings: Settings, name: str, results: Path) -> int | None:
    """Rows of a dataset that is not made: its limit, or its seed's rows, and what is mixed in.

    As if recipes neither dropped nor added any.
    """
    dataset = settings.datasets[name]
    there = seed_rows(settings, dataset.seed, results)
    own = min((number for number in (dataset.limit, there) if number is not None), default=None)
    if own is None:
        return None
    mixed = 0
    for other, amount in dataset.mix.items():
        if amount.rows is not None:
            mixed += amount.rows
        elif amount.weight is not None:
            mixed += round(own * amount.weight)
        elif amount.share is not None:
            mixed += round(own * amount.share / (1 - amount.share))
        else:
            all_rows = rows_of(settings, other, results).number
            if all_rows is None:
                return None
            mixed += all_rows
    return own + mixed
