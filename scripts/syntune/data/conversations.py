"""Two notations of one conversation: Data-Juicer's text, and messages with roles.

Data-Juicer keeps a row's text in one string: ``<__dj__image>`` stands for each image, ``[[human]]:`` and ``[[gpt]]:``
at the start of a line begin the turns (LLaVA's names), ``<|__dj__eoc|>`` ends the text. Without turns it is a caption.
"""

import re

from syntune.artifacts.rows import JUICER_END_MARK, JUICER_IMAGE_MARK
from syntune.artifacts.shards import IMAGE_MARK
from syntune.data.ordering import key_hash

ROLES = {"human": "user", "gpt": "assistant"}
"""LLaVA's names of the speakers, and ours."""

_TURN = re.compile(r"^\[\[(human|gpt)\]\]: ?", re.MULTILINE)

Message = dict[str, str]
"""``{"role": "user" or "assistant", "content": text}``"""

FIRST_ANSWER = "first answer without a question"
LAST_QUESTION = "last question without an answer"
NO_PAIR = "pair without a question or an answer"
"""What may be left out of a conversation while the rest is kept."""


def to_text(messages: list[Message]) -> str:
    """Messages as Data-Juicer text; ``<__dj__image>`` in them stands for an image.

    Raises:
        ValueError: a message itself holds one of the marks, so that the text would not read back the same.
    """
    names = {role: name for name, role in ROLES.items()}
    turns = (f"[[{names[message['role']]}]]: {message['content'].strip()}" for message in messages)
    text = "\n".join(turns)
    if JUICER_END_MARK in text or len(_TURN.findall(text)) != len(messages):
        raise ValueError(f"a turn holds one of Data-Juicer's own marks ([[human]]:, [[gpt]]:, {JUICER_END_MARK})")
    return f"{text} {JUICER_END_MARK}"


def to_messages(text: str, caption_prompt: str) -> list[Message]:
    """Data-Juicer text as messages; in a question, ``<image>`` where an image stands.

    Marks before the first turn belong to the first user turn. A caption becomes the answer to ``caption_prompt``; an
    answer that is empty is kept as it is, for the caller to judge. Where a question spells ``<image>`` out as a word,
    a space sets it apart from a mark: ``< image>``.
    """
    head, *turns = _TURN.split(text.replace(JUICER_END_MARK, ""))
    if not turns:
        marks = [IMAGE_MARK] * head.count(JUICER_IMAGE_MARK)
        caption = head.replace(JUICER_IMAGE_MARK, "").strip()
        return [
            {"role": "user", "content": "\n".join([*marks, caption_prompt])},
            {"role": "assistant", "content": caption},
        ]
    names, contents = turns[::2], turns[1::2]
    first = names.index("human") if "human" in names else 0
    contents[first] = f"{head.strip()}\n{contents[first]}"
    return [_message(ROLES[name], content) for name, content in zip(names, contents, strict=True)]


def pair_turns(messages: list[Message]) -> tuple[list[Message], list[str]]:
    """The pairs of question and answer that a model can learn from, and what was left out of the conversation.

    As LLaVA's trainer does, a first answer without a question and a last question without an answer are left out; so is
    a pair that lacks either. Images of a question that is left out are asked about by the next one, or the last.
    Turns that do not alternate, or of which nothing would be left, come back as they are: :func:`fault_of` judges them.
    """
    left_out = []
    turns = messages
    if turns and turns[0]["role"] == "assistant":
        turns = turns[1:]
        left_out.append(FIRST_ANSWER)
    lost_marks = 0
    if turns and turns[-1]["role"] == "user":
        lost_marks = turns[-1]["content"].count(IMAGE_MARK)
        turns = turns[:-1]
        left_out.append(LAST_QUESTION)
    if [turn["role"] for turn in turns] != ["user", "assistant"] * (len(turns) // 2):
        return messages, []
    kept: list[Message] = []
    waiting = 0
    for question, answer in zip(turns[::2], turns[1::2], strict=True):
        if question["content"] and answer["content"]:
            kept += [_with_marks(question, waiting), answer]
            waiting = 0
        else:
            waiting += question["content"].count(IMAGE_MARK)
            left_out.append(NO_PAIR)
    if not kept:
        return messages, []
    kept[-2] = _with_marks(kept[-2], waiting + lost_marks, behind=True)
    return kept, left_out


def trained_messages(text: str, row_id: str, caption_prompts: list[str]) -> tuple[list[Message], list[str]]:
    """A row's messages as a model is trained on them, and what was left out; a hash of the id chooses the prompt."""
    prompt = caption_prompts[int(key_hash("prompt", row_id), 16) % len(caption_prompts)]
    return pair_turns(to_messages(text, prompt))


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
    if sum(question.count(IMAGE_MARK) for question in questions) != images or JUICER_IMAGE_MARK in "".join(answers):
        return "images and their marks differ"
    return None


def _message(role: str, content: str) -> Message:
    """A turn; only in a question does a mark stand for an image."""
    if role == "user":
        content = content.replace(IMAGE_MARK, f"{IMAGE_MARK[0]} {IMAGE_MARK[1:]}")
        content = content.replace(JUICER_IMAGE_MARK, IMAGE_MARK)
    return {"role": role, "content": content.strip()}


def _with_marks(question: Message, marks: int, behind: bool = False) -> Message:
    """A question with more marks, in front of it or behind."""
    if not marks:
        return question
    lines = [*[IMAGE_MARK] * marks, question["content"]]
    if behind:
        lines = lines[-1:] + lines[:-1]
    return {**question, "content": "\n".join(lines)}
