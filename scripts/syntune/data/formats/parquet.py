"""Rows of Parquet files, and of Hugging Face datasets that were saved to disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from syntune.data.formats.records import WRONG_VALUE, Fault, Row
from syntune.errors import UserError, one_line
from syntune.files import read_json

if TYPE_CHECKING:
    from pyarrow import RecordBatch

_ROWS = 64
"""Rows in memory at a time, images and all."""


def read_parquet(path: Path) -> Iterator[Row | Fault]:
    """The rows of a file.

    Raises:
        UserError: it is not a readable Parquet file, or two of its columns have one name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if repeated := [name for name in names if names.count(name) > 1]:
                raise UserError(f"{path}: has two columns {repeated[0]}; rename one")
            number = 0
            for batch in file.iter_batches(batch_size=_ROWS):
                yield from _rows(batch, path, number, path.parent)
                number += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({one_line(error)})") from error


def read_saved(folder: Path) -> Iterator[Row | Fault]:
    """The rows of a dataset that ``save_to_disk`` wrote; of a DatasetDict, its only split.

    Raises:
        UserError: there are several splits, or a file is damaged.
    """
    import pyarrow as pa

    folder = _split(folder)
    state = _read(folder / "state.json")
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise UserError(f"{folder}: holds a selection of rows; save it again with a newer version of datasets")
    for named in state.get("_data_files", []):
        path = folder / str(named["filename"])
        number = 0
        try:
            with pa.memory_map(str(path)) as mapped, pa.ipc.open_stream(mapped) as batches:
                for batch in batches:
                    for start in range(0, len(batch), _ROWS):
                        yield from _rows(batch.slice(start, _ROWS), path, number + start, folder)
                    number += len(batch)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path}: not a readable Arrow file ({one_line(error)})") from error


def _rows(batch: "RecordBatch", path: Path, before: int, folder: Path) -> Iterator[Row | Fault]:
    """The rows of a batch, ``before`` of which others were read; one that Python cannot hold is a fault."""
    try:
        values = batch.to_pylist()
    except (ValueError, OverflowError):  # text that is not UTF-8, a date beyond all calendars
        values = None
    for index in range(len(batch)):
        where = f"{path}: row {before + index + 1}"
        yield Row(where, values[index], folder) if values else _row(batch.slice(index, 1), where, folder)


def _row(batch: "RecordBatch", where: str, folder: Path) -> Row | Fault:
    """The one row of a batch."""
    fields = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            (fields[name],) = column.to_pylist()
        except (ValueError, OverflowError) as error:
            return Fault(where, None, WRONG_VALUE, f"{name}: cannot be read ({one_line(error)})")
    return Row(where, fields, folder)


def _split(folder: Path) -> Path:
    """The folder of the one split."""
    listing = folder / "dataset_dict.json"
    if not listing.is_file():
        return folder
    splits = _read(listing).get("splits", [])
    if len(splits) != 1:
        names = ", ".join(f"{folder}/{split}" for split in splits) or "none"
        raise UserError(f"{folder}: holds several splits; set path to one of them: {names}")
    return folder / str(splits[0])


def _read(path: Path) -> dict:
    """One of the files that datasets writes beside its rows."""
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({one_line(error)})") from error
