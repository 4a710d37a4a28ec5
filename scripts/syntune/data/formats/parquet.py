"""Rows of Parquet files, and of Hugging Face datasets that were saved to disk."""

from collections.abc import Iterator
from pathlib import Path

from syntune.data.formats.records import Row
from syntune.errors import UserError, one_line
from syntune.files import read_json

_ROWS = 64
"""Rows in memory at a time, images and all."""


def read_parquet(path: Path) -> Iterator[Row]:
    """The rows of a file.

    Raises:
        UserError: it is not a readable Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=_ROWS):
                for value in batch.to_pylist():
                    number += 1
                    yield Row(f"{path}: row {number}", value, path.parent)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({one_line(error)})") from error


def read_saved(folder: Path) -> Iterator[Row]:
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
                        for value in batch.slice(start, _ROWS).to_pylist():
                            number += 1
                            yield Row(f"{path}: row {number}", value, folder)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path}: not a readable Arrow file ({one_line(error)})") from error


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
