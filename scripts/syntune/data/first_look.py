"""A first look at data that no config names yet: what it is, how much, and some rows as they will be trained."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from syntune.data.conversations import Message, fault_of, trained_messages
from syntune.data.faults import counted
from syntune.data.formats.front import read_records
from syntune.data.formats.records import Fault, Record
from syntune.data.ids import Ids
from syntune.errors import UserError
from syntune.files import sha256_bytes
from syntune.formats import count, words
from syntune.images import open_image, read_image
from syntune.settings.datasets import DatasetSettings
from syntune.settings.seed_files import find_records, hub_path
from syntune.settings.seeds import SeedSettings

SHORT = 3
"""Words of an answer up to which another wording is another answer."""
SHOWN = 3
TRIED = 20
"""Rows that are shown, and those that are tried for them; images that are missing elsewhere, the ingest finds."""


class Example(NamedTuple):
    """A row as it will be trained."""

    messages: list[Message]
    images: list[str]
    """The name and the size of each."""


class FirstLook(NamedTuple):
    """What a seed was found to be."""

    format: str
    records: int
    """Those that can be read."""
    faults: Counter[str]
    """Those that cannot, by reason."""
    first_fault: str
    examples: list[Example]

    @property
    def has_short_answers(self) -> bool:
        """Whether the first answers are a few words, to be told right or wrong."""
        return all(len(example.messages[1]["content"].split()) <= SHORT for example in self.examples)


def look_at(seed: SeedSettings) -> FirstLook:
    """Read all records of a seed, and the images of the first few.

    Raises:
        UserError: nothing is there, its format cannot be told, or no record can be used.
    """
    path = seed.paths[0]
    format_ = "hub" if hub_path(path) else find_records(path, seed).format
    readable, faults, first = 0, Counter(), []
    first_fault = ""
    for record in read_records(seed):
        if isinstance(record, Fault):
            faults[record.reason] += 1
            first_fault = first_fault or f"{record.where}: {record.message}"
            continue
        readable += 1
        if len(first) < TRIED:
            first.append(record)
    if not readable:
        raise UserError(f"{path}: none of its records can be read; {first_fault or 'there are none'}")
    return FirstLook(format_, readable, faults, first_fault, _examples(first))


def _examples(records: Iterable[Record]) -> list[Example]:
    """The first of ``records`` that can be trained on."""
    found, why = [], ""
    for record in records:
        try:
            found.append(_example(record))
        except UserError as error:
            why = why or f"{record.where}: {error}"
        if len(found) == SHOWN:
            break
    if not found:
        raise UserError(f"{why}; where the images lie elsewhere, name their folder with --images")
    return found


def _example(record: Record) -> Example:
    """One record as a row of a dataset with the default prompts."""
    contents = [image if isinstance(image, bytes) else read_image(image) for image in record.images]
    names = ["an image" if isinstance(image, bytes) else str(image) for image in record.images]
    sizes = [open_image(content, name).size for content, name in zip(contents, names, strict=True)]
    row_id = Ids("number").take(record, [sha256_bytes(content) for content in contents])
    messages, _ = trained_messages(record.text, row_id, DatasetSettings(seed="seed").caption_prompts)
    if fault := fault_of(messages, len(contents)):
        raise UserError(fault)
    shown = [f"{Path(name).name} ({width} x {height})" for name, (width, height) in zip(names, sizes, strict=True)]
    return Example(messages, shown)


def told(look: FirstLook) -> str:
    """What was found, in lines for a terminal."""
    lines = [f"{count(look.records)} records of format {look.format}"]
    if look.faults:
        lines[0] += (
            f"; {count(look.faults.total())} cannot be read ({counted(look.faults)}), such as {look.first_fault}"
        )
    for number, (messages, images) in enumerate(look.examples, start=1):
        lines += ["", f"row {number}: {', '.join(images) or 'no image'}"]
        lines += [
            f"  {message['role']}: {words(message['content'], 300)}".replace("\n", "\n    ") for message in messages
        ]
    return "\n".join(lines)
