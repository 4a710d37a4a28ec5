"""Two notations of one conversation: Data-Juicer's text, and messages with roles.

Data-Juicer keeps a row's text in one string: ``<__dj__image>`` stands for each image, ``[[human]]:`` and ``[[gpt]]:``
at the start of a line begin the turns (LLaVA's names), ``<|__dj__eoc|>`` ends the text. Without turns it is a caption.
"""

import re

from syntune.artifacts.rows import JUICER_END_MARK, JUICER_IMAGE_MARK
from syntune.artifacts.shards import IMAGE_MARK

ROLES = {"human": "user", "gpt": "assistant"}
"""LLaVA's names of the speakers, and ours."""

_TURN = re.compile(r"^\[\[(human|gpt)\]\]: ?", re.MULTILINE)

Message = dict[str, str]
"""``{"role": "user" or "assistant", "content": text}``"""


def to_text(messages: list[Message]) -> str:
    """Messages as Data-Juicer text.

    Raises:
        ValueError: a message itself holds one of the marks, so that the text would not read back the same.
    """
    names = {role: name for name, role in ROLES.items()}
    turns = (f"[[{names[message['role']]}]]: {message['content'].strip()}" for message in messages)
    text = "\n".join(turns).replace(IMAGE_MARK, JUICER_IMAGE_MARK)
    if JUICER_END_MARK in text or len(_TURN.findall(text)) != len(messages):
        raise ValueError(f"a turn holds one of Data-Juicer's own marks ([[human]]:, [[gpt]]:, {JUICER_END_MARK})")
    return f"{text} {JUICER_END_MARK}"


def to_messages(text: str, caption_prompt: str) -> list[Message]:
    """Data-Juicer text as messages, ``<image>`` where an image stands.

    Marks before the first turn belong to the first user turn. A caption becomes the answer to ``caption_prompt``; an
    answer that is empty is kept as it is, for the caller to judge.
    """
    text = text.replace(JUICER_END_MARK, "").replace(JUICER_IMAGE_MARK, IMAGE_MARK)
    head, *turns = _TURN.split(text)
    if not turns:
        marks = [IMAGE_MARK] * head.count(IMAGE_MARK)
        caption = head.replace(IMAGE_MARK, "").strip()
        return [
            {"role": "user", "content": "\n".join([*marks, caption_prompt])},
            {"role": "assistant", "content": caption},
        ]
    names, contents = turns[::2], turns[1::2]
    contents[0] = f"{head.strip()}\n{contents[0]}"
    return [{"role": ROLES[name], "content": content.strip()} for name, content in zip(names, contents, strict=True)]


def fault_of(messages: list[Message], images: int) -> str | None:
    """Why a model cannot learn from ``messages`` about so many images; None where it can."""
    questions = [message["content"] for message in messages if message["role"] == "user"]
    answers = [message["content"] for message in messages if message["role"] == "assistant"]
    if not answers or not all(answers):
        return "no answer"
    if not all(questions):
        return "no question"
    if [message["role"] for message in messages] != ["user", "assistant"] * len(answers):
        return "turns out of order"
    if sum(question.count(IMAGE_MARK) for question in questions) != images or IMAGE_MARK in "".join(answers):
        return "images and their marks differ"
    return None
