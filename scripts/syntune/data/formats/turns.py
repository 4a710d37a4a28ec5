"""Conversations as data sets spell them: names of speakers, content parts, system turns."""

import re
from typing import Any, NamedTuple

from syntune.artifacts.shards import IMAGE_MARK
from syntune.data.conversations import JUICER_IMAGE_MARK, Message
from syntune.data.formats.json_files import parse_json
from syntune.data.formats.pictures import KEYS as IMAGE_KEYS
from syntune.data.formats.pictures import brief, pictures_of, pictures_within
from syntune.data.formats.records import MARKS_DIFFER, NO_TEXT, UNKNOWN_ROLE, UNREAD_PICTURES, WRONG_VALUE, Unreadable

KEYS = ("conversations", "messages", "conversation", "texts")
"""Keys that hold a conversation; the first that holds anything is read."""

SYSTEM = "system"
ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "system": SYSTEM,
    "developer": SYSTEM,
}
"""What data sets call the speakers, and our names."""

SYSTEM_KEPT = "system turn put before its question"

_READ = ("role", "from", "content", "value")

_HOLDERS = ("image", "image_url", "url", "path", "bytes")
"""Keys of a part that hold its image; without any, it is a mark for one of the row's."""

_TEXT_KINDS, _IMAGE_KINDS = ("text", "input_text"), ("image", "image_url", "input_image")
_KINDS = (*_TEXT_KINDS, *_IMAGE_KINDS)
_PART_KEYS = {"type", "text", "index", *_HOLDERS}

_SPELLED_PARTS = re.compile(r'\s*\[\s*\{\s*"(type|text|image)"\s*:')


class Chat(NamedTuple):
    """A conversation as it stands."""

    messages: list[Message]
    """With :data:`SYSTEM` among the roles; ``<__dj__image>`` where a content part is an image."""
    pictures: list[str | bytes]
    """Images that content parts hold themselves."""
    unused: tuple[str, ...]
    """Keys of turns that are not read."""


def read_turns(value: Any, key: str) -> Chat:
    """The turns under a row's ``key``.

    Raises:
        Unreadable: there is none, one has no known speaker or no text, or a part is neither text nor an image.
    """
    turns = _as_list(value, key)
    if not turns:
        raise Unreadable(NO_TEXT, f"{key} is empty")
    messages, pictures, unused = [], [], set()
    indexes: set[int] = set()
    for index, turn in enumerate(turns):
        name = f"{key}.{index}"
        if not isinstance(turn, dict):
            raise Unreadable(WRONG_VALUE, f"{name}: must be a dictionary of role and content, or of from and value")
        speaker, said = _key(turn, "role", "from", name), _key(turn, "content", "value", name)
        role = ROLES.get(str(turn[speaker]).lower())
        if role is None:
            raise Unreadable(UNKNOWN_ROLE, f"{name}.{speaker}: {brief(turn[speaker])} is not one of {', '.join(ROLES)}")
        content = _text(turn[said], f"{name}.{said}", pictures, indexes)
        if len(turn) > 2:
            own, others = _more(turn, name)
            if not any(mark in content for mark in (IMAGE_MARK, JUICER_IMAGE_MARK)):
                content = f"{JUICER_IMAGE_MARK}\n" * len(own) + content
            pictures += own
            unused.update(f"{key}.{other}" for other in others)
        messages.append({"role": role, "content": content})
    return Chat(messages, pictures, tuple(sorted(unused)))


def _more(turn: dict[str, Any], name: str) -> tuple[list[str | bytes], list[str]]:
    """The images that a turn names beside its text, as Ollama's messages do, and its keys that are not read."""
    images = [key for key in IMAGE_KEYS if turn.get(key)]
    others = [key for key, value in turn.items() if value is not None and key not in (*_READ, *images)]
    for key in others:
        if any(pictures_within(turn[key])):
            raise Unreadable(UNREAD_PICTURES, f"{name}.{key} names images, but is not read; rename it to images")
    return [picture for key in images for picture in pictures_of(turn[key], f"{name}.{key}")], others


def without_system(messages: list[Message]) -> tuple[list[Message], bool]:
    """Each system turn put before the next question, as Gemma's chat template does; and whether there was one.

    One that no question follows is put behind the last.

    Not every model's chat form has a system turn, and a shard's rows are for all of them.
    """
    told: list[str] = []
    kept: list[Message] = []
    found = False
    for message in messages:
        content = message["content"]
        if message["role"] == SYSTEM:
            found = found or bool(content.strip())
            told += [content.strip()] if content.strip() else []
        elif message["role"] == "user" and told:
            kept.append({"role": "user", "content": "\n\n".join([*told, content])})
            told = []
        else:
            kept.append(message)
    last = next((index for index in reversed(range(len(kept))) if kept[index]["role"] == "user"), None)
    if told and last is not None:
        kept[last] = {"role": "user", "content": "\n\n".join([kept[last]["content"], *told])}
    return kept, found


def _as_list(value: Any, key: str) -> list[Any]:
    """A list of turns, which may be spelled as JSON, or be a struct of lists, or pairs of user and assistant."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = parse_json(value, key)
        except ValueError as error:
            raise Unreadable(WRONG_VALUE, str(error)) from error
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        if len({len(column) for column in value.values()}) > 1:
            raise Unreadable(WRONG_VALUE, f"{key}: its columns differ in length")
        value = [dict(zip(value, fields, strict=True)) for fields in zip(*value.values(), strict=True)]
    if not isinstance(value, list):
        raise Unreadable(WRONG_VALUE, f"{key}: must be a list of turns, not {brief(value)}")
    return [turn for each in value for turn in _turns_in(each)]


def _turns_in(each: Any) -> list[Any]:
    """The two turns of a pair, as the_cauldron and FineVision have it; any other turn alone."""
    if not isinstance(each, dict) or "user" not in each or "assistant" not in each:
        return [each]
    rest = {key: value for key, value in each.items() if key not in ("user", "assistant")}
    return [{**rest, "role": role, "content": each[role]} for role in ("user", "assistant")]


def _key(turn: dict[str, Any], one: str, other: str, name: str) -> str:
    """The one of two keys that a turn has."""
    if turn.get(one) is not None:
        return one
    if turn.get(other) is not None:
        return other
    if one in turn or other in turn:
        raise Unreadable(WRONG_VALUE, f"{name}.{one if one in turn else other}: is null")
    there = ", ".join(map(str, turn)) or "no keys"
    raise Unreadable(WRONG_VALUE, f"{name}: has no {one} or {other}; there are {there}")


def _text(content: Any, name: str, pictures: list[str | bytes], indexes: set[int]) -> str:
    """A turn's text; images among its parts are added to ``pictures``, those with nothing inside to no list."""
    if isinstance(content, str):
        content = _parts_in(content)
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Unreadable(WRONG_VALUE, f"{name}: must be text or a list of parts, not {brief(content)}")
    parts = [_joined(part, f"{name}.{index}", pictures, indexes) for index, part in enumerate(content)]
    return "".join(parts).removesuffix("\n")


def _parts_in(text: str) -> str | list[dict[str, Any]]:
    """The parts that a text spells as JSON, as tables do; any other text, such as JSON that is an answer, as it is."""
    if not _SPELLED_PARTS.match(text):
        return text
    try:
        parts = parse_json(text, "")
    except ValueError:
        return text
    own = all(isinstance(part, dict) and part.keys() <= _PART_KEYS and part.get("type") in _KINDS for part in parts)
    return parts if own else text


def _joined(part: Any, name: str, pictures: list[str | bytes], indexes: set[int]) -> str:
    """A part with the line break behind it."""
    if isinstance(part, str):
        return f"{part}\n"
    if not isinstance(part, dict):
        raise Unreadable(WRONG_VALUE, f"{name}: must be a part with a type, not {brief(part)}")
    held = next((key for key in _HOLDERS if part.get(key)), None)
    text = part["text"] if isinstance(part.get("text"), str) else None
    kind = part.get("type") or ("image" if held or ("image" in part and text is None) else "text")
    if kind in _TEXT_KINDS and text is not None:
        _refuse_others(part, ("text",), name)
        return f"{text}\n"
    if kind in _IMAGE_KINDS:
        if text:
            raise Unreadable(WRONG_VALUE, f"{name}: holds an image and a text; make two parts of it")
        if held:
            pictures.extend(pictures_of(part[held], f"{name}.{held}"))
            return f"{JUICER_IMAGE_MARK}\n"
        _refuse_others(part, (), name)
        return f"{JUICER_IMAGE_MARK}\n" if _is_new(part.get("index"), indexes, name) else ""
    raise Unreadable(WRONG_VALUE, f"{name}: is neither text nor an image, but {brief(part)}")


def _refuse_others(part: dict[str, Any], read: tuple[str, ...], name: str) -> None:
    """Refuse a part with an image under a key that is not ``read``."""
    for key, value in part.items():
        if key not in read and any(pictures_within(value)):
            raise Unreadable(
                UNREAD_PICTURES, f"{name}.{key} names images, but is not read; put it under image in a part of its own"
            )


def _is_new(index: Any, indexes: set[int], name: str) -> bool:
    """Whether a mark for one of the row's images is the first of it; ``indexes`` are those of the marks before.

    Marks stand for the images in order, so an index that jumps would show another image than it says.
    """
    if not isinstance(index, int) or isinstance(index, bool):
        return True
    if not 0 <= index <= len(indexes):
        raise Unreadable(
            MARKS_DIFFER, f"{name}.index: is {index} where image {len(indexes)} comes next; order the images so"
        )
    is_new = index not in indexes
    indexes.add(index)
    return is_new
