"""Rows in chunks by content: a row's id alone decides in which chunk it lies, and where.

The order is that of the hash of the id, and a chunk is a range of hashes. So the chunks one after the other hold the
rows in one order, whatever their number, and a row that is added or changed touches one chunk. Beside each chunk lies
a manifest of its own, which says nothing but what the chunk holds: whoever works on a chunk waits for that one alone.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from syntune.artifacts.manifests import Manifest, Part
from syntune.data.ordering import key_hash
from syntune.files import canonical_json, sha256_bytes, write_json

SAMPLE, SAMPLE_ROWS = "sample", 20
"""The chunk that recipes are rehearsed on: the first rows of all, which lie in the other chunks too."""

_SPILLED = 256
"""Files that rows are dealt out to before they are sorted: one of them is in memory at a time."""

_HASH = 64
"""Characters of a hash."""


def order_of(row_id: str) -> str:
    """The hash that a row is ordered by."""
    return key_hash("order", row_id)


def chunk_name(chunk: int | str) -> str:
    """The file name of a chunk, of rows as JSON lines: ``chunk-00000.jsonl``, or ``chunk-sample.jsonl``."""
    return f"chunk-{chunk:05d}.jsonl" if isinstance(chunk, int) else f"chunk-{chunk}.jsonl"


def chunk_of(order: str, chunks: int) -> int:
    """The chunk that a hash lies in: each takes an equal range of them."""
    return int(order[:16], 16) * chunks >> 64


def write_chunks(rows: Iterable[dict], folder: Path, chunks: int, seed: str) -> list[int]:
    """Write rows, in any order, as chunks with a manifest each, and the sample; returns the rows of each chunk.

    A chunk may be empty: few rows seldom reach every range. Memory holds 1/256 of the rows at a time.

    Args:
        rows: canonical rows, of unique ids.
        folder: where the files are written; for a while they take their size there once more.
        chunks: how many there are.
        seed: the name of the seed, for the manifests.
    """
    counts = [0] * chunks
    sample: list[bytes] = []
    for index in range(chunks):
        (folder / chunk_name(index)).touch()
    for index, group in groupby(_in_order(rows, folder), lambda pair: chunk_of(pair[0], chunks)):
        with (folder / chunk_name(index)).open("wb") as file:
            for _, line in group:
                file.write(line)
                counts[index] += 1
                if len(sample) < SAMPLE_ROWS:
                    sample.append(line)
    (folder / chunk_name(SAMPLE)).write_bytes(b"".join(sample))
    for index, count in enumerate(counts):
        _write_manifest(folder, index, count, seed)
    _write_manifest(folder, SAMPLE, len(sample), seed)
    return counts


def _in_order(rows: Iterable[dict], folder: Path) -> Iterator[tuple[str, bytes]]:
    """The rows as lines in the order of their hashes, each with its hash."""
    with TemporaryDirectory(dir=folder) as spill:
        paths = [Path(spill, str(number)) for number in range(_SPILLED)]
        with ExitStack() as stack:
            files: list[BinaryIO] = [stack.enter_context(path.open("wb")) for path in paths]
            for row in rows:
                order = order_of(row["id"])
                line = json.dumps(row, ensure_ascii=False, allow_nan=False)
                files[int(order[:2], 16)].write(f"{order}{line}\n".encode())
        for path in paths:
            # a line begins with its hash
            for line in sorted(path.read_bytes().splitlines(keepends=True)):
                yield line[:_HASH].decode(), line[_HASH:]
            path.unlink()


def _write_manifest(folder: Path, chunk: int | str, rows: int, seed: str) -> None:
    """Say what a chunk holds, and nothing of how it came about: equal rows give an equal manifest."""
    file = folder / chunk_name(chunk)
    part = Part.from_file(file, folder, rows)
    content = sha256_bytes(canonical_json([[part.path, part.sha256]]).encode())
    manifest = Manifest(stage="ingest_seed", name=seed, content=content, parts=[part], rows_out=rows)
    write_json(file.with_suffix(".manifest.json"), manifest.as_written())
