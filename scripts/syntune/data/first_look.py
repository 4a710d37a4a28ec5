"""A first look at data that no config names yet: what it is, how much, and some rows as they will be trained."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from syntune.data.conversations import Message, fault_of, trained_messages
from syntune.data.faults import counted
from syntune.data.formats.front import read_records
from syntune.data.formats.records import Fault, Record
from syntune.data.ids import own_id
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
"""Rows, or faults, that are shown."""
LOOKED_AT = 1000
"""Records whose pictures are decoded; bad ones further on, the ingest finds."""


class Example(NamedTuple):
    """A row as it will be trained."""

    where: str
    """The file and its own line or row."""
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
    looked_at: int
    """Records whose pictures were decoded."""
    bad_pictures: list[str]
    """What is wrong with those that cannot be."""
    examples: list[Example]

    @property
    def usable(self) -> int:
        """Records that can be read, less those whose pictures are known to be bad."""
        return self.records - len(self.bad_pictures)

    @property
    def has_short_answers(self) -> bool:
        """Whether the first answers are a few words, to be told right or wrong."""
        return all(len(example.messages[1]["content"].split()) <= SHORT for example in self.examples)


def look_at(seed: SeedSettings) -> FirstLook:
    """Read all records of a seed, and the pictures of the first thousand.

    Raises:
        UserError: nothing is there, its format cannot be told, or no record can be used.
    """
    path = seed.paths[0]
    format_ = "hub" if hub_path(path) else find_records(path, seed).format
    readable, faults, examples = 0, Counter(), []
    first_fault = why = ""
    bad_pictures = []
    for record in read_records(seed):
        if isinstance(record, Fault):
            faults[record.reason] += 1
            first_fault = first_fault or f"{record.where}: {record.message}"
            continue
        readable += 1
        if readable > LOOKED_AT:
            continue
        try:
            contents, shown = _pictures(record, seed)
        except UserError as error:
            is_placed = str(error).startswith(record.where)  # a picture of a folder is its own place
            bad_pictures.append(str(error) if is_placed else f"{record.where}: {error}")
            continue
        if len(examples) < SHOWN:
            try:
                examples.append(_example(record, contents, shown))
            except UserError as error:
                why = why or f"{record.where}: {error}"
    if not readable:
        raise UserError(f"{path}: none of its records can be read; {first_fault or 'there are none'}")
    if not examples:
        elsewhere = "; where the images lie elsewhere, name their folder with --images" if bad_pictures else ""
        raise UserError(f"{why or bad_pictures[0]}{elsewhere}")
    return FirstLook(format_, readable, faults, first_fault, min(readable, LOOKED_AT), bad_pictures, examples)


def _pictures(record: Record, seed: SeedSettings) -> tuple[list[bytes], list[str]]:
    """The content of a record's images, decoded once, and what is shown of each: its name and size."""
    contents, shown = [], []
    for image in record.images:
        name = "an image" if isinstance(image, bytes) else str(image)
        content = image if isinstance(image, bytes) else read_image(image, seed.max_bytes)
        width, height = open_image(content, name, seed.max_pixels, seed.max_bytes).size
        contents.append(content)
        shown.append(f"{Path(name).name} ({width} x {height})")
    return contents, shown


def _example(record: Record, contents: list[bytes], shown: list[str]) -> Example:
    """One record as a row of a dataset with the default prompts."""
    row_id = own_id(record, [sha256_bytes(content) for content in contents])
    messages, _ = trained_messages(record.text, row_id, DatasetSettings(seed="seed").caption_prompts)
    if fault := fault_of(messages, len(contents)):
        raise UserError(fault)
    return Example(record.where, messages, shown)


def told(look: FirstLook) -> str:
    """What was found, in lines for a terminal."""
    lines = [f"{count(look.records)} records of format {look.format}"]
    if look.faults:
        lines[0] += (
            f"; {count(look.faults.total())} cannot be read ({counted(look.faults)}), such as {look.first_fault}"
        )
    if look.bad_pictures:
        lines.append(
            f"{count(len(look.bad_pictures))} of the {count(look.looked_at)} whose pictures were looked at cannot be "
            "used; bad_image: drop sets them aside:"
        )
        lines += [f"  {bad}" for bad in look.bad_pictures[:SHOWN]]
    else:
        lines.append(f"the pictures of {count(look.looked_at)} were looked at, none is bad")
    for where, messages, images in look.examples:
        lines += ["", f"{where}: {', '.join(images) or 'no image'}"]
        lines += [
            f"  {message['role']}: {words(message['content'], 300)}".replace("\n", "\n    ") for message in messages
        ]
    return "\n".join(lines)
