"""Syntune's messages as transformers' chat templates take them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from PIL import Image

from syntune.artifacts.shards import IMAGE_MARK
from syntune.errors import UserError

Message = dict[str, Any]
"""``{"role": ..., "content": [{"type": "image", "image": ...} or {"type": "text", "text": ...}, ...]}``"""


def as_chat(
    messages: Sequence[dict[str, str]], images: Sequence[Image.Image], control_tokens: Iterable[str]
) -> list[Message]:
    """Put the images where their marks stand.

    Args:
        messages: ``{"role": "user" or "assistant", "content": text}``, in turn; a first one of the assistant's is left
            out. ``<image>`` in a question stands for an image; line breaks beside it are the template's business.
        images: one for each ``<image>`` in a question, in their order.
        control_tokens: what a text must not spell out; it is read as text, with a space behind its first character.

    Raises:
        UserError: the turns do not alternate, a question is empty, or marks and images differ in number.
    """
    if messages and messages[0]["role"] == "assistant":
        messages = messages[1:]
    marks = sum(message["content"].count(IMAGE_MARK) for message in messages if message["role"] == "user")
    if marks != len(images):
        raise UserError(f"{marks} {IMAGE_MARK} marks, but {len(images)} images")
    disarm = _Disarmed(control_tokens)
    given = iter(images)
    chat = []
    for index, message in enumerate(messages):
        expected = ("user", "assistant")[index % 2]
        if message["role"] != expected:
            raise UserError(f"message {index}: role {message['role']!r} where {expected!r} should be")
        if expected == "user":
            content = list(_question(message["content"], given, disarm))
            if not content:
                raise UserError(f"message {index}: the question is empty")
        else:
            content = [{"type": "text", "text": disarm(message["content"].strip())}]
        chat.append({"role": expected, "content": content})
    return chat


def images_of(chat: Sequence[Message]) -> list[Image.Image]:
    """The images of a chat, in their order."""
    return [part["image"] for message in chat for part in message["content"] if part["type"] == "image"]


def text_of(message: Message) -> str:
    """The text of a message, without its images."""
    return "".join(part["text"] for part in message["content"] if part["type"] == "text")


def _question(text: str, images: Iterator[Image.Image], disarm: "_Disarmed") -> Iterator[dict[str, Any]]:
    """The parts of a question."""
    for index, piece in enumerate(text.split(IMAGE_MARK)):
        if index:
            yield {"type": "image", "image": next(images)}
        if piece.strip():
            yield {"type": "text", "text": disarm(piece.strip("\n"))}


class _Disarmed:
    """Text in which control tokens are no longer such."""

    def __init__(self, control_tokens: Iterable[str]) -> None:
        longest_first = sorted((token for token in control_tokens if len(token) > 1), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def __call__(self, text: str) -> str:
        """``text``, with a space behind the first character of each control token."""
        return self._pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
