"""Which rows a dataset is made of: its own, and those of other datasets by number, share or weight, some repeated.

A row's id decides everything. Of each source the rows with the lowest hashes of their ids are taken first: a higher
number keeps the same rows and more. Only when all have been taken once does the second round begin.
"""

import logging
from pathlib import Path
from typing import NamedTuple

from syntune.artifacts.manifests import read_manifest
from syntune.data.candidates import Candidate, candidates
from syntune.data.dataset_lineage import DatasetLineage
from syntune.data.holdout import HELD_OUT, HeldOut, seed_of
from syntune.data.ordering import key_hash
from syntune.settings.datasets import DatasetSettings, MixSettings

log = logging.getLogger("mixing")

OVER_LIMIT = "over the limit"


class Place(NamedTuple):
    """Where a row stands: in the shards, sorted by ``order``, and in the file that it is read from."""

    order: str
    id: str
    seed_id: str
    file: Path
    offset: int


class Mixture(NamedTuple):
    """The rows of a dataset in the order of the shards: rows in + added = places + those dropped."""

    places: list[Place]
    rows_in: int
    added: int
    sources: dict[str, dict[str, int]]
    """For ``rows`` and each ``mix.NAME``: rows that are available, wanted and taken, and repeats among the taken."""


def mix_rows(
    settings: DatasetSettings,
    rows_manifest: Path,
    mix: dict[str, Path],
    story: DatasetLineage,
    held_out: HeldOut | None = None,
) -> Mixture:
    """Choose a dataset's rows; ``mix`` holds the manifests of the datasets that are mixed in.

    Mixed rows get their dataset's name in front of their id, and a repeat ``#repeat-1`` behind it. The lineage is told
    of each row that is left out or repeated. What is held out is left out before any limit or amount.
    """
    held_out = held_out or HeldOut()
    own = _kept(rows_manifest, "", story, held_out)
    others = {name: _kept(path, f"{name}/", story, held_out) for name, path in mix.items()}
    amounts = {name: settings.mix.get(name, MixSettings()) for name in mix}
    rows_in = len(own) + sum(map(len, others.values())) + story.dropped.total()
    places = take_rows(own[: settings.limit], story=story)
    sources = {"rows": _figures(own, settings.limit or len(own), places)}
    _leave_out(own[len(places) :], "", story)
    wanted = wanted_rows(len(places), {name: len(rows) for name, rows in others.items()}, amounts)
    for name, rows in others.items():
        taken = take_rows(rows, min(wanted[name], len(rows) * amounts[name].repeat), f"{name}/", story)
        sources[f"mix.{name}"] = _figures(rows, wanted[name], taken)
        _leave_out(rows[len(taken) :], f"{name}/", story)
        if len(taken) < wanted[name]:
            log.warning("mix.%s: %d rows are wanted and %d taken: there are no more", name, wanted[name], len(taken))
        places += taken
    return Mixture(sorted(places), rows_in, sum(source["repeated"] for source in sources.values()), sources)


def _kept(manifest: Path, prefix: str, story: DatasetLineage, held_out: HeldOut) -> list[Candidate]:
    """The rows of a manifest that a model can learn from and that are not held out, by rank."""
    seed = seed_of(read_manifest(manifest))
    kept = []
    for row, images in candidates(manifest, story.drop, prefix):
        if held_out.holds(row, images, seed):
            story.drop(HELD_OUT, row.seed_id, prefix + row.id)
        else:
            kept.append(row)
    return sorted(kept)


def _leave_out(rows: list[Candidate], prefix: str, story: DatasetLineage) -> None:
    """Tell of the rows that were not wanted."""
    for row in rows:
        story.drop(OVER_LIMIT, row.seed_id, prefix + row.id)


def _figures(rows: list[Candidate], wanted: int, taken: list[Place]) -> dict[str, int]:
    """What became of a source."""
    repeated = max(0, len(taken) - len(rows))
    return {"available": len(rows), "wanted": wanted, "taken": len(taken), "repeated": repeated}


def in_order(rows: list[Candidate]) -> list[Place]:
    """Rows, each once, in the order that a hash of their ids gives them in shards."""
    return sorted(take_rows(rows))


def wanted_rows(own: int, available: dict[str, int], mix: dict[str, MixSettings]) -> dict[str, int]:
    """How many rows of each mixed dataset are wanted, repeats among them.

    Args:
        own: rows of the dataset that they are mixed into.
        available: rows that each mixed dataset has.
        mix: what the config says of each.

    A share is one of the whole mixture: with shares that add up to s, the rest, own rows among it, is 1 - s of it.
    """
    wanted = {}
    for name, one in mix.items():
        if one.share is None:
            number = one.rows or (round(one.weight * own) if one.weight else available[name] * one.repeat)
            wanted[name] = min(number, one.cap or number)
    rest = own + sum(min(number, available[name] * mix[name].repeat) for name, number in wanted.items())
    whole = rest / (1 - sum(one.share or 0 for one in mix.values()))
    for name, one in mix.items():
        if one.share is not None:
            number = round(one.share * whole)
            wanted[name] = min(number, one.cap or number)
    return wanted


def take_rows(
    rows: list[Candidate], number: int | None = None, prefix: str = "", story: DatasetLineage | None = None
) -> list[Place]:
    """The first ``number`` rows, or all; from the second round on they get ids of their own, and are told of."""
    number = len(rows) if number is None else number
    taken = {row.id for row in rows} if number > len(rows) else set()
    places = []
    for index in range(number):
        row = rows[index % len(rows)]
        row_id = row.id
        if index >= len(rows):
            while row_id in taken:
                row_id = f"{row_id}#repeat-{index // len(rows)}"
            taken.add(row_id)
            if story:
                story.repeat(row.seed_id, prefix + row_id)
        places.append(Place(key_hash("order", prefix + row_id), prefix + row_id, row.seed_id, row.file, row.offset))
    return places
