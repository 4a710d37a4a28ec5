"""Which rows a dataset is made of: its own, and those of other datasets by number, share or weight, some repeated.

A row's id decides everything. Of each source the rows with the lowest hashes of their ids are taken first: a higher
number keeps the same rows and more. Only when all have been taken once does the second round begin.
"""

import logging
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from syntune.artifacts.manifests import read_manifest
from syntune.data.candidates import candidates
from syntune.data.dataset_lineage import DatasetLineage
from syntune.data.holdout import HELD_OUT, HeldOut, seed_of
from syntune.data.ordering import key_hash
from syntune.data.row_table import Place, RowTable
from syntune.settings.datasets import DatasetSettings, MixSettings

log = logging.getLogger("mixing")

OVER_LIMIT = "over the limit"


class Mixture(NamedTuple):
    """The rows of a dataset in the order of the shards: rows in + added = places + those dropped."""

    places: RowTable
    rows_in: int
    added: int
    sources: dict[str, dict[str, int]]
    """For ``rows`` and each ``mix.NAME``: rows that are available, wanted and taken, and repeats among the taken."""


def mix_rows(
    settings: DatasetSettings,
    rows_manifest: Path,
    mix: dict[str, Path],
    story: DatasetLineage,
    database: sqlite3.Connection,
    held_out: HeldOut | None = None,
) -> Mixture:
    """Choose a dataset's rows; ``mix`` holds the manifests of the datasets that are mixed in.

    Mixed rows get their dataset's name in front of their id, and a repeat ``#repeat-1`` behind it. The lineage is told
    of each row that is left out or repeated. What is held out is left out before any limit or amount. All tables are
    made in ``database``.
    """
    held_out = held_out or HeldOut()
    own = RowTable(database, "own", _kept(rows_manifest, "", story, held_out))
    others = {
        name: RowTable(database, f"mix.{name}", _kept(path, f"{name}/", story, held_out)) for name, path in mix.items()
    }
    amounts = {name: settings.mix.get(name, MixSettings()) for name in mix}
    rows_in = len(own) + sum(map(len, others.values())) + story.dropped.total()
    places = RowTable(database, "places")
    kept = min(settings.limit or len(own), len(own))
    take_rows(own, kept, places, story)
    sources = {"rows": _figures(own, settings.limit or len(own), kept)}
    _leave_out(own.read(kept), "", story)
    wanted = wanted_rows(kept, {name: len(rows) for name, rows in others.items()}, amounts)
    for name, rows in others.items():
        taken = min(wanted[name], len(rows) * amounts[name].repeat)
        take_rows(rows, taken, places, story, f"{name}/")
        sources[f"mix.{name}"] = _figures(rows, wanted[name], taken)
        _leave_out(rows.read(taken), f"{name}/", story)
        if taken < wanted[name]:
            log.warning("mix.%s: %d rows are wanted and %d taken: there are no more", name, wanted[name], taken)
    return Mixture(places, rows_in, sum(source["repeated"] for source in sources.values()), sources)


def _kept(manifest: Path, prefix: str, story: DatasetLineage, held_out: HeldOut) -> Iterator[Place]:
    """The rows of a manifest that a model can learn from and that are not held out."""
    seed = seed_of(read_manifest(manifest))
    for row, images in candidates(manifest, story.drop, prefix):
        if held_out.holds(row, images, seed):
            story.drop(HELD_OUT, row.seed_id, prefix + row.id)
        else:
            yield row


def _leave_out(rows: Iterable[Place], prefix: str, story: DatasetLineage) -> None:
    """Tell of the rows that were not wanted."""
    for row in rows:
        story.drop(OVER_LIMIT, row.seed_id, prefix + row.id)


def _figures(rows: RowTable, wanted: int, taken: int) -> dict[str, int]:
    """What became of a source."""
    return {"available": len(rows), "wanted": wanted, "taken": taken, "repeated": max(0, taken - len(rows))}


def in_shards(row: Place, row_id: str | None = None) -> Place:
    """Where a row stands in shards, by a hash of its id, or of the one that it gets."""
    row_id = row.id if row_id is None else row_id
    return row._replace(order=key_hash("order", row_id), id=row_id)


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


def take_rows(rows: RowTable, number: int, places: RowTable, story: DatasetLineage, prefix: str = "") -> None:
    """Put the first ``number`` rows into ``places``, ``prefix`` in front of their ids.

    From the second round on they get ids of their own, and the lineage is told of them. So does, untold, a row whose id
    is taken: a seed that was another dataset may hold ids such as this one gives.
    """
    for begun in range(0, number, len(rows) or 1):
        for row in rows.read(0, number - begun):
            place = in_shards(row, prefix + row.id)
            while places.holds(place.order, place.id):
                place = in_shards(row, f"{place.id}#repeat-{max(1, begun // len(rows))}")
            if begun:
                story.repeat(row.seed_id, place.id)
            places.add(place)
