"""Rows between ingest, synthesis and shards: JSON lines ``{"id", "images", "image_sha256", "text"}``.

Synthesis adds ``"seed_id"``, the seed row that a row came from, and ``"stats"``: ``{name: number or list of numbers}``.
"""

from pathlib import Path

from syntune.errors import UserError
from syntune.files import sha256_bytes

JUICER_IMAGE_MARK = "<__dj__image>"
JUICER_END_MARK = "<|__dj__eoc|>"
"""What stands for an image in a row's text, and what ends it: Data-Juicer's marks."""

AGAIN = "read the seed again: snakemake --forcerun ingest_seed"
"""What to do about an image that is not the one that its row was made with."""


def read_row_image(path: str, sha256: str, name: str = "") -> bytes:
    """The content of a row's image, which must still be the one that the seed was read with.

    Raises:
        UserError: the file is gone or another one; the message begins with ``name``, or with the path.
    """
    name = name or path
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{name}: cannot be read any more ({error.strerror}); {AGAIN}") from error
    if sha256_bytes(content) != sha256:
        raise UserError(f"{name}: changed since the seed was read; {AGAIN}")
    return content
