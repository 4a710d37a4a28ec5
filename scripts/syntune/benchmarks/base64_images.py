"""An image as text: base64, as several writers spell it."""

import binascii
import json
import re

_DATA_URI = re.compile(r"data:[^,]{0,200};base64,", re.I)
_BETWEEN_IMAGES = re.compile(r"[\s,;|]+")
_BEGINNINGS = ("iVBORw0KGgo", "/9j/4", "/9j/2w", "R0lGOD", "UklGR")
"""How PNG, JPEG, GIF and WEBP begin in base64."""
_SHORTEST = 80
"""Characters of the smallest image; no path is so long without a dot."""


def is_image(text: str) -> bool:
    """Whether a text is an image, and not the path of one."""
    begins = text.lstrip().startswith(_BEGINNINGS) and len(text) >= _SHORTEST and "." not in text
    return begins or _DATA_URI.match(text) is not None


def decode_image(text: str) -> bytes:
    """The one image of a text: base64, also with line breaks, as a data URI or as a list of one; else ValueError."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return binascii.a2b_base64(_plain_base64(text), strict_mode=True)


def _plain_base64(text: str) -> str:
    """The base64 of the one image of a text, without all that may be written around it or in between."""
    if text.startswith("["):
        images = json.loads(text.replace("'", '"'))
        text = " ".join(map(str, images))
    parts = _BETWEEN_IMAGES.split(_DATA_URI.sub("", text).strip())
    if any(part.startswith(_BEGINNINGS) for part in parts[1:]):
        raise ValueError("several images, and a question has one")
    return _DATA_URI.sub("", "".join(text.split())).translate(str.maketrans("-_", "+/"))
