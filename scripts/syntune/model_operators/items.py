"""What is shown to a model: images of rows, read by content, and a text with them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from syntune.batches import in_batches
from syntune.errors import UserError
from syntune.files import canonical_json, sha256_bytes
from syntune.images import open_image
from syntune.settings.pixels import AS_VIEWERS, PixelSettings


@dataclass(frozen=True)
class Item:
    """Images, and a text that belongs to them.

    Attributes:
        row: the row's id.
        paths: the images' files.
        hashes: their SHA-256.
        text: None where only images are looked at.
        pixels: how the images are seen.
    """

    row: str
    paths: tuple[str, ...]
    hashes: tuple[str, ...]
    text: str | None = None
    pixels: PixelSettings = AS_VIEWERS

    @cached_property
    def key(self) -> str:
        """SHA-256 over the content: equal images, seen alike, and texts give equal keys, wherever they lie."""
        seen = [] if self.pixels == AS_VIEWERS else [self.pixels.model_dump()]
        return sha256_bytes(canonical_json([self.text, self.hashes, *seen]).encode())

    def images(self) -> list[Image.Image]:
        """The images, decoded.

        Raises:
            UserError: a file is missing, is another one than the row was made with, or cannot be decoded.
        """
        pairs = zip(self.paths, self.hashes, strict=True)
        return [_image(self.row, path, sha256, self.pixels) for path, sha256 in pairs]


def item_of(row: dict[str, Any], text: str | None, pixels: PixelSettings, places: slice = slice(None)) -> Item:
    """A row's images, or those at some places, with a text: a caption, a prompt, or None."""
    return Item(row["id"], tuple(row["images"][places]), tuple(row["image_sha256"][places]), text, pixels)


def images_of(row: dict[str, Any], pixels: PixelSettings = AS_VIEWERS) -> list[Item]:
    """Each image of a row alone."""
    return [item_of(row, None, pixels, slice(place, place + 1)) for place in range(len(row["images"]))]


def decoded(items: Sequence[Item], size: int, threads: int) -> Iterator[list[tuple[Item, list[Image.Image]]]]:
    """Batches of items with their images; one batch is decoded ahead by other threads."""
    batches = in_batches(items, size)
    with ThreadPoolExecutor(threads) as pool:

        def begin() -> tuple[list[Item], list[Any]]:
            batch = next(batches, [])
            return batch, [pool.submit(item.images) for item in batch]

        batch, coming = begin()
        while batch:
            following = begin()
            yield [(item, images.result()) for item, images in zip(batch, coming, strict=True)]
            batch, coming = following


def _image(row: str, path: str, sha256: str, pixels: PixelSettings) -> Image.Image:
    """One image, checked against its hash."""
    name = f"row {row}: {path}"
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror}); ingest the seed again") from error
    if sha256_bytes(content) != sha256:
        raise UserError(f"{name}: is another file than the row was made with; ingest the seed again")
    return open_image(content, name, max_pixels=None, pixels=pixels)  # it was judged as the seed was read
