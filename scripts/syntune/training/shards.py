"""Rows of Parquet shards, read at random: one row group at a time, the last few kept."""

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pyarrow.parquet import ParquetFile

from syntune.errors import UserError
from syntune.manifests import read_manifest

_GROUPS_KEPT = 2


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
        read = read_manifest(manifest)
        self.content = read.content
        self.paths = [manifest.parent / part.path for part in read.parts]
        for path, part in zip(self.paths, read.parts, strict=True):
            if not path.is_file() or path.stat().st_size != part.bytes:
                raise UserError(f"{path}: missing, or not the file that {manifest} names; run snakemake data again")
        self._open: dict[int, ParquetFile] = {}
        self._groups: OrderedDict[tuple[int, int], list[dict[str, Any]]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """What a worker is given: no open files."""
        return {**self.__dict__, "_open": {}, "_groups": OrderedDict()}

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
            if len(self._groups) >= _GROUPS_KEPT:
                self._groups.popitem(last=False)
            self._groups[key] = self._file(spot.shard).read_row_group(spot.group).to_pylist()
        self._groups.move_to_end(key)
        return self._groups[key][spot.offset]

    def _file(self, shard: int) -> ParquetFile:
        """A shard, opened once."""
        if shard not in self._open:
            self._open[shard] = ParquetFile(self.paths[shard])
        return self._open[shard]
