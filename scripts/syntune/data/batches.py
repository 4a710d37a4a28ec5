"""Records in batches of bounded size, images inside included."""

from collections.abc import Iterable, Iterator

from syntune.data.formats.records import Record

_RECORDS, _BYTES = 512, 64 * 2**20
"""A batch ends at either."""


def batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Records whose images are checked together: up to 512, or 64 MiB of images that came inside."""
    batch: list[Record] = []
    size = 0
    for record in records:
        batch.append(record)
        size += sum(len(image) for image in record.images if isinstance(image, bytes))
        if len(batch) == _RECORDS or size >= _BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
