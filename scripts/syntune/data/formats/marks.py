"""Which ``<image>`` stands for an image, and which is a word."""

import re

from syntune.artifacts.shards import IMAGE_MARK
from syntune.data.conversations import JUICER_IMAGE_MARK, Message
from syntune.data.formats.records import MARKS_DIFFER, Unreadable

WORD = "<image> read as a word"
MARKED_AGAIN = "images that several turns mark: first marks kept"
OTHER_MARK = "another model's image mark read as <image>"
"""What is counted of records that were read so."""

_MARK = f"(?:{IMAGE_MARK}|{JUICER_IMAGE_MARK})"
_STANDING = re.compile(rf"\A(?:\s*{_MARK})+|^(?:[ \t]*{_MARK})+[ \t\r]*$", re.MULTILINE)
"""Marks at a turn's start, or alone on a line: where data sets put those that stand for an image."""
_OTHER_MARKS = re.compile(
    r"<ImageHere>|<image_placeholder>|<\|image\|>|<\|vision_start\|><\|image_pad\|><\|vision_end\|>|<start_of_image>"
)
"""Marks of InternLM-XComposer, DeepSeek-VL, mPLUG-Owl, Qwen2-VL and Gemma 3, which are no words."""


def place_marks(messages: list[Message], images: int, key: str) -> tuple[list[Message], list[str]]:
    """Messages in which ``<__dj__image>`` stands once for each image and ``<image>`` is a word; and what is counted.

    Only a question asks about an image: in an answer, ``<image>`` is a word. In questions it is a mark if there are as
    many as images; else those that stand at a turn's start or alone on a line are, if they are as many. Images that
    each turn marks again are marked once. Without any mark, they go in front.

    Args:
        messages: the turns; of a caption, one question.
        images: how many the record has.
        key: what messages call the text.

    Raises:
        Unreadable: images and marks differ in another way.
    """
    if any(JUICER_IMAGE_MARK in message["content"] for message in messages if message["role"] != "user"):
        raise Unreadable(MARKS_DIFFER, f"{key}: an image stands in a turn that is no question")
    asked = {index: message["content"] for index, message in enumerate(messages) if message["role"] == "user"}
    texts = {index: _OTHER_MARKS.sub(IMAGE_MARK, text) for index, text in asked.items()}
    every = {index: text.replace(IMAGE_MARK, JUICER_IMAGE_MARK) for index, text in texts.items()}
    standing = {index: _STANDING.sub(_spelled, text) for index, text in texts.items()}
    ending = {index: _spelled_last(text) for index, text in standing.items()}
    notes = [OTHER_MARK] if texts != asked else []
    if not _count(every) or (images and _count(texts) == images):
        chosen = texts
    elif images and _count(every) == images:
        chosen = every
    elif _count(standing) == images:
        chosen = standing
    elif images and (again := next((texts for texts in (standing, ending) if _each_marks(texts, images)), None)):
        chosen = _first_only(again)
        notes.append(MARKED_AGAIN)
    else:
        marks = _count(standing) or _count(every)
        raise Unreadable(MARKS_DIFFER, f"{key} marks {marks} images, the record has {images}")
    placed = [{**message, "content": chosen.get(index, message["content"])} for index, message in enumerate(messages)]
    if any(IMAGE_MARK in message["content"] for message in placed):
        notes.append(WORD)
    return placed, notes


def _count(texts: dict[int, str]) -> int:
    """Marks in Data-Juicer's spelling."""
    return sum(text.count(JUICER_IMAGE_MARK) for text in texts.values())


def _each_marks(texts: dict[int, str], images: int) -> bool:
    """Whether each text that has marks has one for each image."""
    return {text.count(JUICER_IMAGE_MARK) for text in texts.values()} - {0} == {images}


def _spelled(found: re.Match[str]) -> str:
    """A mark as Data-Juicer spells it."""
    return found[0].replace(IMAGE_MARK, JUICER_IMAGE_MARK)


def _spelled_last(text: str) -> str:
    """A text with the marks at its end as Data-Juicer spells them: where each turn marks its images again, some do."""
    head = text
    while (bare := head.rstrip()).endswith(IMAGE_MARK):
        head = bare.removesuffix(IMAGE_MARK)
    return head + text[len(head) :].replace(IMAGE_MARK, JUICER_IMAGE_MARK)


def _first_only(texts: dict[int, str]) -> dict[int, str]:
    """Texts without the marks behind the first."""
    first = next(index for index, text in texts.items() if JUICER_IMAGE_MARK in text)
    return {
        index: text if index == first else text.replace(JUICER_IMAGE_MARK, "").strip() for index, text in texts.items()
    }
