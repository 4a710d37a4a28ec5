"""Rows' texts as models read them and write them."""

import re

from syntune.artifacts.rows import JUICER_END_MARK, JUICER_IMAGE_MARK

_MARKS = (JUICER_IMAGE_MARK, "<__dj__audio>", "<__dj__video>", JUICER_END_MARK)
_TURN = re.compile(r"^\[\[(human|gpt)\]\]:", re.MULTILINE)
_THOUGHT = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_QUOTES = {'"': '"', "'": "'", "\N{LEFT DOUBLE QUOTATION MARK}": "\N{RIGHT DOUBLE QUOTATION MARK}"}


def texts_with_images(text: str) -> list[tuple[str, range]]:
    """Each part of a row's text that has images: the part without marks, and the places of its images.

    As in Data-Juicer's filters of images and texts: parts end at the end mark, and a part without an image is left out.
    """
    parts, start = [], 0
    for part in text.split(JUICER_END_MARK):
        count = part.count(JUICER_IMAGE_MARK)
        if count:
            parts.append((_without_marks(part), range(start, start + count)))
            start += count
    return parts


def is_caption(text: str, images: int) -> bool:
    """Whether a row is one caption of one image."""
    return images == 1 and len(texts_with_images(text)) == 1 and not _TURN.search(text)


def caption_text(caption: str) -> str:
    """The text of a row that is a caption of one image."""
    return f"{JUICER_IMAGE_MARK}\n{caption} {JUICER_END_MARK}"


def cleaned(reply: str) -> str:
    """A model's reply as a caption: one line, without thoughts, control characters and quotes around it.

    A reply that holds a mark, which would change how the row is read, becomes empty.
    """
    text = " ".join(_CONTROL.sub(" ", _THOUGHT.sub("", reply)).split())
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    has_mark = any(mark in text for mark in (*_MARKS, "<image>", "[[human]]:", "[[gpt]]:"))
    return "" if has_mark else text


def _without_marks(text: str) -> str:
    """A text without Data-Juicer's marks and outer white space."""
    for mark in _MARKS:
        text = text.replace(mark, "").strip()
    return text
