"""What a row says its images are: paths under a folder, or the images themselves."""

import base64
import binascii
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from syntune.data.formats.json_files import parse_json
from syntune.data.formats.records import BAD_IMAGE, OUTSIDE, UNREAD_PICTURES, WRONG_VALUE, Unreadable
from syntune.settings.seed_files import is_image

KEYS = ("images", "image", "file_names", "file_name", "image_paths", "image_path", "image_files", "image_file")
"""Keys that name a row's images; the first that holds any is read."""

_OTHER_MEDIA = ("videos", "video", "audios", "audio")

_NAMES_A_PICTURE = re.compile(r"(^|_)(image|img|picture|photo|frame)s?(_?\d+)?(_(path|file|name|url)s?)?$", re.I)
_TELLS_OF_A_PICTURE = re.compile(
    r"_?(image|img|picture|photo)s?_?\d*_?((path|file|name|url|id|list)s?|b64|base64|bytes)?", re.I
)
"""Keys by which a row has an image, whatever stands there: ``image_id`` of COCO's captions is a number."""

_DATA_URI = re.compile(r"data:(?:image/[\w.+-]+|application/octet-stream)?;base64,", re.I)
_BASE64 = re.compile(
    r"\s*(?:(?:/9j/|iVBORw0KGgo|R0lGOD|UklGR)[A-Za-z0-9+/\s]{40,}|(?:Qk|SUkq|TU0A)[A-Za-z0-9+/\s]{100,})={0,2}\s*"
)
"""An image as text, by how the files of its formats begin; no path is so long without a dot."""


def pictures_in(row: dict[str, Any], text_keys: tuple[str, ...]) -> tuple[list[str | bytes], str | None]:
    """The images that a row's keys hold, each a path or bytes, and the key that was read.

    ``text_keys`` hold text, whatever it looks like.

    Raises:
        Unreadable: a value is no image, two keys name different images, or images lie under a key that is not read.
    """
    held = {key: pictures_of(row[key], key) for key in KEYS if row.get(key) is not None}
    key = next((key for key, pictures in held.items() if pictures), None)
    pictures = held[key] if key else []
    for other, also in held.items():
        if any(not _is_among(picture, pictures) for picture in also):
            raise Unreadable(UNREAD_PICTURES, f"{other} and {key} name different images; leave one of them")
    for other in _OTHER_MEDIA:
        if row.get(other):
            raise Unreadable(UNREAD_PICTURES, f"{other} is not read: Syntune takes images alone")
    for other, value in row.items():
        if other in (*held, *text_keys):
            continue
        if _is_unread_picture(other, value, pictures):
            raise Unreadable(UNREAD_PICTURES, f"{other} names images, but is not read; rename it to images")
        if not pictures and _TELLS_OF_A_PICTURE.fullmatch(other) and _is_told(value):
            raise Unreadable(
                UNREAD_PICTURES, f"{other} tells of an image, but no key names its file; put that under images"
            )
    return pictures, key or next(iter(held), None)


def pictures_of(value: Any, key: str) -> list[str | bytes]:
    """The images of one value: none, one or a list, each a path, bytes, or Hugging Face's struct of both.

    A list may be spelled as JSON, as tables do.
    """
    if value in (None, ""):
        return []
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        with suppress(ValueError):  # a path may look so, too
            value = parse_json(value, key)
    if not isinstance(value, list):
        return [_picture_of(value, key)]
    return [_picture_of(each, f"{key}.{index}") for index, each in enumerate(value)]


def locate(picture: str | bytes, root: Path, key: str) -> Path | bytes:
    """An image's bytes, or its path: relative to the working folder where it lies in that.

    Args:
        picture: bytes, base64, a data URI, or a path that starts from ``root`` and must lie in it.
        root: the images' folder. A link in it is followed wherever it leads.
        key: what messages call it.

    Raises:
        Unreadable: the path leaves ``root``, or what lies there is neither a file nor missing.
    """
    if isinstance(picture, bytes):
        return picture
    if _DATA_URI.match(picture):
        return _decoded(picture.partition(",")[2], key)
    if _BASE64.fullmatch(picture):
        return _decoded(picture, key)
    # text operations: pathlib would take most of the time of reading a record
    top = os.path.abspath(root)
    path = os.path.normpath(os.path.join(top, picture.removeprefix("file://")))
    if _below(path, top) is None:
        raise Unreadable(
            OUTSIDE, f"{key}: {picture} lies outside the images' folder {root}; set images to a folder that holds it"
        )
    if not _may_be_read(path):
        raise Unreadable(BAD_IMAGE, f"{key}: {picture} is not a regular file")
    return Path(_below(path, os.getcwd()) or path)


def _below(path: str, folder: str) -> str | None:
    """``path`` from ``folder`` on; None if it does not lie in there."""
    start = folder.rstrip("/") + "/"
    return path[len(start) :] if path.startswith(start) else None


def _picture_of(value: Any, key: str) -> str | bytes:
    """One image."""
    if isinstance(value, dict):
        found = next((value[name] for name in ("bytes", "path", "url", "image") if value.get(name)), None)
        if found is None and "bytes" in value:
            raise Unreadable(WRONG_VALUE, f"{key}: has neither bytes nor a path")
        value = found or value
    if not isinstance(value, str | bytes) or not value:
        raise Unreadable(WRONG_VALUE, f"{key}: must be a path or an image's bytes, not {brief(value)}")
    if isinstance(value, str) and re.match(r"https?://", value, re.I):
        raise Unreadable(WRONG_VALUE, f"{key}: {brief(value)} lies on the web; download it and name the file")
    return value


def brief(value: Any) -> str:
    """A value for a message."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_among(picture: str | bytes, pictures: list[str | bytes]) -> bool:
    """Whether an image is one of ``pictures``."""
    if isinstance(picture, bytes):
        return picture in pictures
    return any(isinstance(other, str) and _may_be_same(other, picture) for other in pictures)


def _may_be_same(one: str, other: str) -> bool:
    """Whether two paths or addresses may name one file.

    Of two that start from a folder, one must end in the other: ``before/1.png`` is not ``after/1.png``. Where one has
    a root, or lies on the web, the file's name decides.
    """
    if _is_rooted(one) != _is_rooted(other):
        return file_name(one) == file_name(other)
    parts = [[part for part in path.split("?")[0].split("/") if part not in ("", ".")] for path in (one, other)]
    return all(here == there for here, there in zip(*map(reversed, parts), strict=False))


def _is_rooted(path: str) -> bool:
    """Whether a path is absolute, or an address."""
    return path.startswith("/") or "://" in path


def _is_told(value: Any) -> bool:
    """Whether a value says something: a name, a number that may count from 0, a list that holds any."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value >= 0
    return isinstance(value, str | list | dict) and bool(value)


def _is_unread_picture(key: str, value: Any, pictures: list[str | bytes]) -> bool:
    """Whether a key that is not read holds an image that the row would then lack.

    In a row with images, only a key that is called an image's counts: the others say where the images came from.
    """
    seen = list(pictures_within(value))
    if pictures and not _NAMES_A_PICTURE.search(key):
        return False
    return any(not _is_among(picture, pictures) for picture in seen)


def pictures_within(value: Any) -> Iterator[str | bytes]:
    """What looks like an image in the value of an unknown key, however deep."""
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, str):
        if _DATA_URI.match(value) or _BASE64.fullmatch(value) or ("\n" not in value and is_image(value.split("?")[0])):
            yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from pictures_within(each)


def file_name(path: str) -> str:
    """The last part of a path or an address."""
    return path.split("?")[0].rstrip("/").rsplit("/", 1)[-1]


def _decoded(text: str, key: str) -> bytes:
    """The bytes of base64; line breaks in it are the writer's."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise Unreadable(BAD_IMAGE, f"{key}: broken base64 ({error})") from error


def _may_be_read(path: str) -> bool:
    """False for a folder, a pipe or a device, on which a read could hang; a missing file is found missing later."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return True
