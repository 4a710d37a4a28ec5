"""Untrusted images, read and decoded within limits, and shown as viewers show them: turned by their tag, on white."""

import io
import stat
import warnings
import zlib
from pathlib import Path

from PIL import Image, PngImagePlugin
from PIL.ExifTags import Base
from PIL.Image import Transpose

from syntune.errors import UserError
from syntune.settings.pixels import AS_VIEWERS, PixelSettings

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""The formats that are decoded; Pillow's other decoders are never reached."""

UPRIGHT = 1
"""The orientation of an image that is stored as it is shown."""

_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What each orientation of EXIF 2.32 (tag 0x0112) asks for."""

_MAX_ASPECT = 100
_MAX_SQUARE = 4
"""An image may not grow beyond this many times ``max_pixels`` when it is padded to a square."""

_MAX_16_BIT = 2**16 - 1
_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_PNG_TAGS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
"""The texts of a PNG that may hold an orientation."""
_PNG_LONGEST_TAGS = 2**20
"""Longest such text, in bytes, unpacked."""

# For libraries that open images by themselves, such as Data-Juicer: a PNG that is good here must open there.
PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = 2**26, 2**28

# open_image counts the pixels itself, so the warning would only repeat that
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def read_image(path: Path, max_bytes: int | None = None, name: str = "") -> bytes:
    """The content of an image file.

    Args:
        path: the file.
        max_bytes: the largest file that is read; its size is looked at before it is. None reads any.
        name: what messages call it; by default its path.

    Raises:
        UserError: the file is missing, unreadable, too large, or no regular file: a pipe would never end.
    """
    name = name or str(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{name}: not a regular file")
        _check_bytes(status.st_size, name, max_bytes)
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        raise UserError(f"{name}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def open_image(
    source: bytes | Path,
    name: str,
    max_pixels: int | None = 50_000_000,
    max_bytes: int | None = None,
    pixels: PixelSettings = AS_VIEWERS,
) -> Image.Image:
    """Decode an image whole, as 8-bit RGB; of an animation, the first frame.

    16-bit grey is scaled to 8 bits.

    Args:
        source: the file's content, or its path.
        name: what messages call it.
        max_pixels: the largest width x height that is decoded; it is checked before anything is. None is for images
            that were checked before.
        max_bytes: the largest file that is read.
        pixels: whether to turn the image as its orientation tag asks, and what to show transparent pixels on. Pillow
            turns a TIFF in any case.

    Raises:
        UserError: the image is missing, of another format, truncated, empty, too large, too elongated, or of pixels
            that are fractions or beyond 16 bits.
    """
    if isinstance(source, Path):
        source = read_image(source, max_bytes, name)
    _check_bytes(len(source), name, max_bytes)
    _lift_pillows_limit(max_pixels)
    try:
        with _opened(source) as image:
            _check_size(image, name, max_pixels)
            if image.mode == "F":
                raise UserError(f"{name}: its pixels are fractions of an unknown range; convert it to 8 bits")
            if image.mode == "I" and not 0 <= min(image.getextrema()) <= max(image.getextrema()) <= _MAX_16_BIT:
                raise UserError(f"{name}: its pixels are whole numbers beyond 16 bits; convert it to 8 bits")
            turn = _TURNS.get(_tag(image)) if pixels.orientation == "apply" else None
            image.load()
            rgb = _to_rgb(image, pixels.transparency)
            return rgb if turn is None else rgb.transpose(turn)
    except UserError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UserError(f"{name}: not an image of a known format ({', '.join(FORMATS)})") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{name}: far more pixels than max_pixels {max_pixels}") from error
    # Pillow's decoders raise many kinds of error on damaged content (OSError, SyntaxError, struct.error, ...)
    except Exception as error:
        raise UserError(f"{name}: the image is damaged and cannot be decoded ({error})") from error


def orientation_of(content: bytes) -> int:
    """The orientation that an image's tag names, 2 to 8; ``UPRIGHT`` where there is no such tag, or no image.

    Also ``UPRIGHT`` for a TIFF: Pillow turns it as it decodes, so no setting changes what is seen of it. Nothing is
    decoded but, of a PNG that has metadata, its pixels.
    """
    if content.startswith(_PNG) and not any(name in content for name in (b"eXIf", *_PNG_TAGS)):
        return UPRIGHT
    try:
        with _opened(content) as image:
            return _tag(image)
    except Exception:
        return UPRIGHT


def has_transparent_pixels(content: bytes) -> bool:
    """Whether some pixel of an image is transparent, at least in part; False where there is no image.

    Only images with an alpha channel or a transparent colour are decoded.
    """
    try:
        with _opened(content) as image:
            return image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema()[0] < 255
    except Exception:
        return False


def format_of(content: bytes) -> str:
    """The name of the format of an image that :func:`open_image` decodes, in lower case."""
    with _opened(content) as image:
        return (image.format or "png").lower()


def _opened(content: bytes) -> Image.Image:
    """An image whose header is read."""
    return Image.open(io.BytesIO(_without_texts(content)), formats=FORMATS)


def _tag(image: Image.Image) -> int:
    """The orientation that an open image's tag names. A tag that cannot be read does not make the image a bad one."""
    if image.format == "TIFF":
        return UPRIGHT
    try:
        found = image.getexif().get(Base.Orientation)
    except Exception:
        return UPRIGHT
    return found if found in _TURNS else UPRIGHT


def _lift_pillows_limit(max_pixels: int | None) -> None:
    """Let Pillow, which has one limit for the whole process, refuse nothing that ``max_pixels`` allows."""
    own = Image.MAX_IMAGE_PIXELS
    if own is not None and (max_pixels is None or max_pixels > own):
        Image.MAX_IMAGE_PIXELS = max_pixels


def _check_bytes(size: int, name: str, max_bytes: int | None) -> None:
    """Refuse a file that is too large."""
    if max_bytes is not None and size > max_bytes:
        raise UserError(f"{name}: {size} bytes are more than max_bytes {max_bytes}; raise it or shrink the image")


def _check_size(image: Image.Image, name: str, max_pixels: int | None) -> None:
    """Refuse an image without pixels, with too many, or so elongated that a square of its length has too many."""
    width, height = image.size
    if not width or not height:
        raise UserError(f"{name}: the image is empty ({width} x {height} pixels)")
    if max_pixels is None:
        return
    if width * height > max_pixels:
        raise UserError(
            f"{name}: {width} x {height} pixels are more than max_pixels {max_pixels}; raise it or shrink the image"
        )
    length, breadth = max(width, height), min(width, height)
    if length > _MAX_ASPECT * breadth or length**2 > _MAX_SQUARE * max_pixels:
        raise UserError(f"{name}: {width} x {height} pixels are too elongated to be padded to a square")


def _to_rgb(image: Image.Image, transparency: str) -> Image.Image:
    """``image`` in mode RGB, transparent pixels shown on a colour or, with "ignore", in the one that they hide.

    Pillow alone would clip 16-bit grey to white.
    """
    if image.mode in _SIXTEEN_BIT:
        image = image.convert("I").point(lambda value: value / 257).convert("L")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        if transparency != "ignore":
            image = Image.alpha_composite(Image.new("RGBA", image.size, transparency), image)
    return image.convert("RGB")


def _without_texts(content: bytes) -> bytes:
    """A PNG without its color profile and texts, which Pillow refuses where they are long; other content as it is.

    Neither changes a pixel here. Texts that may hold an orientation stay.
    """
    if not content.startswith(_PNG):
        return content
    kept, start, end = [], 0, len(_PNG)
    while end + 8 <= len(content):
        at, length, kind = end, int.from_bytes(content[end : end + 4], "big"), content[end + 4 : end + 8]
        end = at + 12 + length  # length, kind, body, checksum
        if kind == b"IEND":
            break
        if kind == b"iCCP" or (kind in _PNG_TEXTS and not _may_hold_tags(kind, content[at + 8 : end - 4])):
            kept.append(content[start:at])
            start = end
    return b"".join([*kept, content[start:]]) if kept else content


def _may_hold_tags(kind: bytes, body: bytes) -> bool:
    """Whether a text of a PNG is one that may hold an orientation, and short enough for Pillow."""
    keyword = next((name for name in _PNG_TAGS if body.startswith(name)), None)
    if keyword is None or len(body) > _PNG_LONGEST_TAGS:
        return False
    packed = body[len(keyword) + 1 :] if kind == b"zTXt" else b""
    if kind == b"iTXt" and body[len(keyword) : len(keyword) + 1] == b"\1":
        packed = body[len(keyword) + 2 :].split(b"\0", 2)[-1]
    try:
        unpacking = zlib.decompressobj()
        unpacking.decompress(packed, _PNG_LONGEST_TAGS)
    except zlib.error:
        return False
    return not unpacking.unconsumed_tail
