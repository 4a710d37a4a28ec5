"""Rows of Parquet shards, read at random: one row group at a time, the last few kept."""

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pyarrow import Table
from pyarrow.parquet import ParquetFile

from syntune.artifacts.shards import shard_files

_BYTES_KEPT = 64 * 2**20
"""Memory for row groups that were read: a small dataset is read once."""

_GROUPS_KNOWN = 20_000
"""Row groups, at most, of the shards that are open together: the footer takes about 5 KB for each."""


class Spot(NamedTuple):
    """Where a row stands."""

    shard: int
    group: int
    offset: int


class Shards:
    """The shards of a dataset. Nothing of them is in memory but a few row groups; a copy in a worker opens its own."""

    def __init__(self, manifest: Path) -> None:
        """Find the shards that a manifest names.

        Raises:
            UserError: a shard is missing or is not the manifest's.
        """
        self.paths = shard_files(manifest)
        self._open: OrderedDict[int, ParquetFile] = OrderedDict()
        self._groups: OrderedDict[tuple[int, int], Table] = OrderedDict()
        self._bytes = 0  # of the groups; adding them up anew for each row would cost as much as reading one

    def __getstate__(self) -> dict[str, Any]:
        """What a worker is given: no open files."""
        return {**self.__dict__, "_open": OrderedDict(), "_groups": OrderedDict(), "_bytes": 0}

    def close(self) -> None:
        """Forget open files and row groups."""
        self._open.clear()
        self._groups.clear()
        self._bytes = 0

    def texts(self) -> Iterator[tuple[Spot, str, list[dict[str, str]], int]]:
        """Every row's place, id, messages and number of images, in order; no image is read."""
        for shard in range(len(self.paths)):
            file = self._file(shard)
            for group in range(file.num_row_groups):
                columns = ["id", "messages", "images.list.element.path"]
                for offset, row in enumerate(file.read_row_group(group, columns=columns).to_pylist()):
                    yield Spot(shard, group, offset), row["id"], row["messages"], len(row["images"])

    def row(self, spot: Spot) -> dict[str, Any]:
        """A whole row: id, messages and images (bytes and path)."""
        key = (spot.shard, spot.group)
        if key not in self._groups:
            self._groups[key] = self._file(spot.shard).read_row_group(spot.group, use_threads=False)
            self._bytes += self._groups[key].nbytes
            while self._bytes > _BYTES_KEPT and len(self._groups) > 1:
                self._bytes -= self._groups.popitem(last=False)[1].nbytes
        self._groups.move_to_end(key)
        return self._groups[key].slice(spot.offset, 1).to_pylist()[0]

    def _file(self, shard: int) -> ParquetFile:
        """A shard, open; those not read for longest are closed once the open ones have too many row groups."""
        if shard not in self._open:
            file = ParquetFile(self.paths[shard])
            known = file.num_row_groups + sum(opened.num_row_groups for opened in self._open.values())
            while self._open and known > _GROUPS_KNOWN:
                known -= self._open.popitem(last=False)[1].num_row_groups
            self._open[shard] = file
        self._open.move_to_end(shard)
        return self._open[shard]
