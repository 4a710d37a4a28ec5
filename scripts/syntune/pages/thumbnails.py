"""Small copies of images inside a page, as many as its size allows."""

import base64
import io
from pathlib import Path

from syntune.errors import UserError
from syntune.images import open_image

_SIDE = 168
_QUALITY = 55


class Thumbnails:
    """Makes thumbnails until all together take ``room`` bytes of the page."""

    def __init__(self, room: int = 1_200_000) -> None:
        """Nothing made yet."""
        self.room = room

    def make(self, source: Path | bytes, name: str, max_pixels: int | None = None) -> str | None:
        """An image's thumbnail as a data URI; None if it can't be read, or the page is full.

        ``max_pixels`` is for images that were not checked before.
        """
        try:
            image = open_image(source, name, max_pixels)
        except (UserError, OSError):
            return None
        image.thumbnail((_SIDE, _SIDE))
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=_QUALITY)
        uri = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
        if len(uri) > self.room:
            return None
        self.room -= len(uri)
        return uri
