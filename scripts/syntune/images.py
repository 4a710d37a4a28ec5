"""Untrusted images, decoded within limits."""

import io
import warnings
from pathlib import Path

from PIL import Image

from syntune.errors import UserError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""The formats that are decoded; Pillow's other decoders are never reached."""

_MAX_ASPECT = 100
_MAX_SQUARE = 4
"""An image may not grow beyond this many times ``max_pixels`` when it is padded to a square."""

_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")


def open_image(source: bytes | Path, name: str, max_pixels: int = 50_000_000) -> Image.Image:
    """Decode an image whole, as 8-bit RGB; of an animation, the first frame.

    Transparent pixels keep their colour, 16-bit grey is scaled to 8 bits. Orientation tags are not applied.

    Args:
        source: the file's content, or its path.
        name: what messages call it.
        max_pixels: the largest width x height that is decoded; it is checked before anything is.

    Raises:
        UserError: the image is missing, of another format, truncated, empty, too large, too elongated, or of
            floating-point pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
                _check_size(image, name, max_pixels)
                if image.mode == "F":
                    raise UserError(f"{name}: its pixels are fractions of an unknown range; convert it to 8 bits")
                image.load()
                return _to_rgb(image)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{name}: there is no such image") from error
    except Image.UnidentifiedImageError as error:
        raise UserError(f"{name}: not an image of a known format ({', '.join(FORMATS)})") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{name}: too many pixels to decode safely") from error
    # Pillow's decoders raise many kinds of error on damaged content (OSError, SyntaxError, struct.error, ...)
    except Exception as error:
        raise UserError(f"{name}: the image is damaged and cannot be decoded ({error})") from error


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    """Refuse an image without pixels, with too many, or so elongated that a square of its length has too many."""
    width, height = image.size
    if not width or not height:
        raise UserError(f"{name}: the image is empty ({width} x {height} pixels)")
    if width * height > max_pixels:
        raise UserError(
            f"{name}: {width} x {height} pixels are more than max_pixels {max_pixels}; raise it or shrink the image"
        )
    length, breadth = max(width, height), min(width, height)
    if length > _MAX_ASPECT * breadth or length**2 > _MAX_SQUARE * max_pixels:
        raise UserError(f"{name}: {width} x {height} pixels are too elongated to be padded to a square")


def _to_rgb(image: Image.Image) -> Image.Image:
    """``image`` in mode RGB; Pillow alone would clip 16-bit grey to white."""
    if image.mode in _SIXTEEN_BIT:
        image = image.convert("I").point(lambda value: value / 257).convert("L")
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")
