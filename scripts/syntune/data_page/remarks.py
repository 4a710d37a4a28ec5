"""What stands out in a dataset, in the order of its way: the first thing to read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from syntune import formats
from syntune.data_page.records import DataRecords


@dataclass(frozen=True)
class Observation:
    """A line; ``level`` says whether it is fine, worth a look, or a fault."""

    level: Literal["good", "look", "bad"]
    text: str

    @property
    def mark(self) -> str:
        """The sign before the line."""
        return {"good": "✓", "look": "?", "bad": "✗"}[self.level]


_OPERATORS = ("_mapper", "_filter", "_deduplicator", "_selector")
"""How the names of Data-Juicer's operators end."""

_MOST = 0.5
"""A share that is worth a look."""


def remarks(records: DataRecords) -> list[Observation]:
    """What stands out; one good line if nothing does."""
    found = [*_steps(records), *_pictures(records), *_content(records)]
    rows = formats.plural(records.shards.rows_out or 0, "row")
    seed = formats.plural(records.seed.rows_out or 0, "seed row")
    first = Observation("good", f"{rows} from {seed}; every row that was dropped has its reason.")
    return [first, *found] if found else [first, Observation("good", "Nothing stands out. Look at the samples.")]


def _steps(records: DataRecords) -> Iterator[Observation]:
    """Steps that drop most, or nothing."""
    for step in records.steps:
        share = step.dropped / step.rows_in if step.rows_in else 0
        if step.stage == "seed" and share > 0.01:
            yield Observation(
                "look", f"{formats.percent(share)} of the seed's records could not be used; the reasons are below."
            )
        elif share > 0.95:
            yield Observation("bad", f"{step.name} drops {formats.percent(share)} of what reaches it.")
        elif share > _MOST:
            yield Observation(
                "look", f"{step.name} drops {formats.percent(share)} of what reaches it: more than it keeps."
            )

    operators = [step for step in records.steps if step.name.endswith(_OPERATORS)]
    idle = [step.name for step in operators if step.rows_in and not (step.dropped or step.changed or step.added)]
    if idle:  # as on data that is clean
        yield Observation("good", f"Nothing to drop or change for {formats.listing(idle)}, by their counts and limits.")


def _pictures(records: DataRecords) -> Iterator[Observation]:
    """What the seed's images look like."""
    details, images = records.seed.details, records.seed.details.get("images", 0)
    transparent, plain = (details.get(f"images_{name}", 0) for name in ("with_transparent_pixels", "of_one_colour"))
    if transparent:
        yield Observation(
            "look",
            f"{transparent} of {formats.plural(images, 'image')} of the seed have transparent pixels. Runs see them on "
            "white, unless their transparency says otherwise.",
        )
    if plain:
        yield Observation("look", f"{plain} of {formats.plural(images, 'image')} of the seed show a single colour.")


def _content(records: DataRecords) -> Iterator[Observation]:
    """What the shards hold."""
    details, rows = records.shards.details, records.shards.rows_out or 1
    duplicates = details.get("duplicate_rows", 0) - records.shards.added  # repeats are meant
    if duplicates > 0.01 * rows:
        yield Observation(
            "look", f"{formats.percent(duplicates / rows)} of the rows are equal to an earlier one, images and text."
        )
    without = details.get("images_per_row", {}).get("0", 0)
    if without:
        yield Observation(
            "look", f"{formats.plural(without, 'row')} ({formats.percent(without / rows)}) have no image."
        )
    counted = sum(records.words.answers.values())
    if counted:
        answer, count = records.words.answers.most_common(1)[0]
        if count > _MOST * counted:
            yield Observation(
                "look", f"{formats.percent(count / counted)} of the answers are “{formats.words(answer, 40)}”."
            )
    sides = details.get("longer_side")
    if sides:
        small = sum(n for bound, n in zip(sides["up_to"], sides["counts"], strict=False) if bound <= 224)
        if small > _MOST * sum(sides["counts"]):
            yield Observation(
                "look", f"{formats.percent(small / sum(sides['counts']))} of the images have at most 224 pixels a side."
            )
