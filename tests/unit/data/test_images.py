"""Images are turned as their tags ask, and read within limits, whatever metadata comes with them."""

import io
import os
import struct
import threading
import zlib
from pathlib import Path

import pytest
from datasets import Image as HfImage
from PIL import Image, ImageOps

from syntune.errors import UserError
from syntune.images import UPRIGHT, has_transparent_pixels, open_image, orientation_of, read_image
from syntune.settings.pixels import PixelSettings

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF")


def tagged(format: str, orientation: int | None, size: tuple[int, int] = (48, 32)) -> bytes:
    """A red picture with a white corner at the top left, as it is stored, and a tag."""
    image = Image.new("RGB", size, "red")
    image.paste("white", (0, 0, 16, 16))
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, format, exif=exif, **({"lossless": True} if format == "WEBP" else {}))
    return stream.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(*chunks: bytes, at_end: bool = False) -> bytes:
    """A red PNG of 48 x 32 with more chunks after its header, or after its pixels."""
    plain = tagged("PNG", None)
    place = len(plain) - 12 if at_end else 33
    return plain[:place] + b"".join(chunks) + plain[place:]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tag_is_applied_as_viewers_and_load_dataset_do(format, orientation):
    content = tagged(format, orientation)
    opened = open_image(content, "x")
    shown = HfImage().decode_example({"bytes": content, "path": None}).convert("RGB")
    assert (opened.size, opened.tobytes()) == (shown.size, shown.tobytes())
    assert opened.size == ((32, 48) if orientation > 4 else (48, 32))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_tag_that_is_ignored_leaves_the_stored_pixels(format):
    stored = open_image(tagged(format, None), "x")
    assert open_image(tagged(format, 6), "x", pixels=PixelSettings(orientation="ignore")).tobytes() == stored.tobytes()
    assert orientation_of(tagged(format, 6)) == 6
    assert [orientation_of(tagged(format, tag)) for tag in (None, 1, 9)] == [UPRIGHT] * 3


def drawing(mode: str) -> bytes:
    """A black stroke on a transparent ground whose hidden colour is black, too, as drawing programs store it."""
    image = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 10, 10))
    stream, options = io.BytesIO(), {}
    if mode == "L":  # a transparent colour in place of an alpha channel
        image, options = Image.new("L", (20, 10), 3), {"transparency": 3}
        image.paste(0, (0, 0, 10, 10))
    image = image if mode == "L" else image.quantize(4) if mode == "P" else image.convert(mode)
    image.save(stream, "PNG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L"])
def test_transparent_pixels_are_shown_on_a_colour_or_in_the_one_that_they_hide(mode):
    content = drawing(mode)
    assert has_transparent_pixels(content)
    stroke = (0, 0, 0)
    for on, ground in (("white", (255, 255, 255)), ("black", stroke), ("ignore", (3, 3, 3) if mode == "L" else stroke)):
        shown = open_image(content, "x", pixels=PixelSettings(transparency=on))
        assert (shown.getpixel((2, 2)), shown.getpixel((15, 2))) == (stroke, ground)


def test_an_image_without_transparent_pixels_is_as_it_is():
    stream = io.BytesIO()
    Image.new("RGBA", (4, 4), (10, 200, 30, 255)).save(stream, "PNG")
    assert not has_transparent_pixels(stream.getvalue())
    assert open_image(stream.getvalue(), "x").getpixel((1, 1)) == (10, 200, 30)
    assert [has_transparent_pixels(content) for content in (tagged("JPEG", None), b"no image")] == [False, False]


def test_a_png_may_name_its_orientation_in_xmp():
    content = png_with(chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'), at_end=True)
    assert orientation_of(content) == 6
    wanted = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert open_image(content, "x").tobytes() == wanted.tobytes()


def test_a_tag_that_cannot_be_read_is_none():
    content = tagged("JPEG", 6)
    broken = content.replace(b"Exif\0\0MM", b"Exif\0\0ZZ")
    assert broken != content
    assert open_image(broken, "x").size == (48, 32)
    assert orientation_of(broken) == orientation_of(b"no image") == UPRIGHT


LONG = zlib.compress(bytes(3 * 2**20))


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk(b"iCCP", b"profile\0\0" + LONG)],
        [chunk(b"zTXt", b"Raw profile type icc\0\0" + LONG)],
        [chunk(b"zTXt", b"Raw profile type exif\0\0" + LONG)],
        [chunk(b"iTXt", b"note\0\1\0\0\0" + LONG)],
        [chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG)],
        [chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + bytes(3 * 2**20))],
        [chunk(b"tEXt", b"note\0" + b"x" * 2**20)] * 65,
        [chunk(b"zTXt", b"note\0\7")],
    ],
)
@pytest.mark.parametrize("at_end", [False, True])
def test_long_metadata_does_not_make_a_png_a_bad_one(chunks, at_end):
    content = png_with(*chunks, at_end=at_end)
    assert open_image(content, "x").tobytes() == open_image(tagged("PNG", None), "x").tobytes()
    assert orientation_of(content) == UPRIGHT


def test_a_damaged_png_is_still_one():
    whole = png_with(chunk(b"iCCP", b"profile\0\0" + LONG))
    with pytest.raises(UserError, match="damaged"):
        open_image(whole[: len(whole) - 40], "x")


def test_a_file_is_measured_before_it_is_read(tmp_path):
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(10**12)  # sparse: nothing is written
    with pytest.raises(UserError, match=r"huge.jpg: 1000000000000 bytes are more than max_bytes 1000"):
        read_image(path, max_bytes=1000)
    with pytest.raises(UserError, match="more than max_bytes 10"):
        open_image(tagged("PNG", None), "x", max_bytes=10)


def test_a_pipe_or_folder_is_no_image(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    caught = []
    opening = threading.Thread(target=lambda: caught.append(refusal(tmp_path / "pipe.png")), daemon=True)
    opening.start()
    opening.join(timeout=10)
    assert caught == [f"{tmp_path / 'pipe.png'}: not a regular file"]
    assert refusal(tmp_path).endswith("not a regular file")


def refusal(path: Path) -> str:
    """Why a file is not opened."""
    with pytest.raises(UserError) as caught:
        open_image(path, str(path))
    return str(caught.value)


def test_max_pixels_counts_alone(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    stream = io.BytesIO()
    Image.new("1", (70, 50)).save(stream, "PNG")  # more than three times Pillow's limit
    with pytest.raises(UserError, match="pixels than max_pixels 900"):
        open_image(stream.getvalue(), "x", max_pixels=900)
    with pytest.raises(UserError, match="70 x 50 pixels are more than max_pixels 3400"):
        open_image(stream.getvalue(), "x", max_pixels=3400)
    assert open_image(stream.getvalue(), "x", max_pixels=3500).size == (70, 50)
    assert open_image(stream.getvalue(), "x", max_pixels=None).size == (70, 50)


def test_other_libraries_open_such_png_too():
    """Data-Juicer's operators and ``load_dataset`` open images by themselves, within Pillow's limits."""
    content = png_with(chunk(b"iCCP", b"profile\0\0" + LONG), chunk(b"zTXt", b"note\0\0" + LONG))
    assert HfImage().decode_example({"bytes": content, "path": None}).size == (48, 32)
    huge = png_with(chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2**26 + 1))))
    with pytest.raises(ValueError, match="too large"):
        Image.open(io.BytesIO(huge))
    assert open_image(huge, "x").size == (48, 32)


def test_whole_numbers_beyond_16_bits_are_refused_not_clipped():
    stream = io.BytesIO()
    for most, is_good in ((65_535, True), (65_536, False)):
        stream.seek(0)
        image = Image.new("I", (8, 8), 257 * 100)
        image.putpixel((0, 0), most)
        image.save(stream, "TIFF")
        if is_good:
            assert open_image(stream.getvalue(), "a.tif").getpixel((1, 1)) == (100, 100, 100)
        else:
            with pytest.raises(UserError, match="a.tif: its pixels are whole numbers beyond 16 bits"):
                open_image(stream.getvalue(), "a.tif")
