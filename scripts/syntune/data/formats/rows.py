"""From a row of any format to a record: its keys tell what it is."""

import re
from pathlib import Path
from typing import Any

from syntune.artifacts.shards import IMAGE_MARK
from syntune.data.conversations import JUICER_END_MARK, JUICER_IMAGE_MARK, Message, to_text
from syntune.data.formats.marks import place_marks
from syntune.data.formats.pictures import brief, locate, pictures_in
from syntune.data.formats.records import FORGED, NO_TEXT, UNREAD_PICTURES, WRONG_VALUE, Record, Row, Unreadable
from syntune.data.formats.turns import KEYS as TURN_KEYS
from syntune.data.formats.turns import ROLES, SYSTEM, SYSTEM_KEPT, read_turns, without_system
from syntune.settings.seed_files import is_image

SYSTEM_KEYS = ("system", "system_prompt")
"""Keys that hold what a conversation begins with."""

TEXT_KEYS = ("text", "caption")
"""Keys that hold a text; the first that is there is read, if no key holds a conversation."""

_NAMED_IN_TEXT = re.compile(r"<img>([^<>\n]+)</img>")
"""A picture as Qwen-VL's data name it."""

_TURN = re.compile(r"^\[\[(human|gpt|user|assistant|system)\]\]: ?", re.MULTILINE)


def read_row(row: Row, images: Path | None) -> Record:
    """A row as a record.

    Args:
        row: as its file holds it.
        images: the folder that image paths start from; None takes the row's own.

    Raises:
        Unreadable: the row lacks something or holds a wrong value; the message names the key.
    """
    fields = row.value
    if not isinstance(fields, dict):
        raise Unreadable(WRONG_VALUE, f"must be a dictionary, not {brief(fields)}")
    row_id = id_of(fields)
    turns_key = next((key for key in TURN_KEYS if fields.get(key)), None)
    text_key = next((key for key in TEXT_KEYS if fields.get(key) is not None), None)
    key = turns_key or text_key
    if key is None:
        raise Unreadable(NO_TEXT, _lack(fields))
    pictures, images_key = pictures_in(fields, ("id", *TURN_KEYS, *TEXT_KEYS))
    unused = {name for name, value in fields.items() if value is not None and name not in (images_key, "id", key)}
    if turns_key:
        chat = read_turns(fields[key], key)
        unused.update(chat.unused)
        if chat.pictures and pictures and chat.pictures != pictures:
            raise Unreadable(UNREAD_PICTURES, f"{key} and the row's own keys name different images; leave one of them")
        pictures = chat.pictures or pictures
        told = next((name for name in SYSTEM_KEYS if isinstance(fields.get(name), str)), None)
        begun = [{"role": SYSTEM, "content": fields[told]}] if told else []
        unused.discard(told)
        text, notes = _conversation(begun + chat.messages, len(pictures), key)
    else:
        text, notes = _text(fields[key], len(pictures), key)
    if not pictures and (named := _NAMED_IN_TEXT.search(text)) and is_image(named[1].strip()):
        raise Unreadable(
            UNREAD_PICTURES, f"{key}: {named[0]} is not read; name the picture under images, with <image> in its place"
        )
    root = images or row.folder
    located = [locate(picture, root, images_key or key) for picture in pictures]
    return Record(row.where, row_id, located, text, tuple(sorted(unused)), tuple(notes))


def id_of(fields: Any) -> str | None:
    """A row's id: text, or a whole number that becomes text; None if it has none."""
    value = fields.get("id") if isinstance(fields, dict) else None
    if value == "" or isinstance(value, bool) or not isinstance(value, int | str | None):
        raise Unreadable(WRONG_VALUE, f"id: must be text or a whole number, not {brief(value)}")
    return None if value is None else str(value)


def _lack(fields: dict[str, Any]) -> str:
    """What to say of a row without text."""
    for key in (*TURN_KEYS, *TEXT_KEYS):
        if key in fields:
            return f"{key} is {'empty' if fields[key] is not None else 'null'}"
    return (
        f"has none of the keys {', '.join((*TURN_KEYS, *TEXT_KEYS))}; there are {', '.join(map(str, fields)) or 'none'}"
    )


def _conversation(messages: list[Message], images: int, key: str) -> tuple[str, list[str]]:
    """Turns as Data-Juicer text, and what is counted of them."""
    placed, notes = place_marks(messages, images, key)
    told, has_system = without_system(placed)
    if has_system:
        notes.append(SYSTEM_KEPT)
    try:
        text = to_text(told)
    except ValueError as error:
        raise Unreadable(FORGED, f"{key}: {error}") from error
    return _in_front(text, images), notes


def _text(value: Any, images: int, key: str) -> tuple[str, list[str]]:
    """A caption, or a conversation in Data-Juicer's notation; one that is spelled right stays as it is."""
    if not isinstance(value, str):
        raise Unreadable(WRONG_VALUE, f"{key}: must be text, not {brief(value)}")
    head, *turns = _TURN.split(value)
    known = set(turns[::2]) <= {"human", "gpt"}
    if IMAGE_MARK not in value and known and value.count(JUICER_IMAGE_MARK) in (0, images):
        return _in_front(value, images), []
    if not turns:
        (caption,), notes = place_marks([{"role": "user", "content": value}], images, key)
        return _in_front(caption["content"], images), notes
    messages = [
        {"role": ROLES[name], "content": content.replace(JUICER_END_MARK, "").strip()}
        for name, content in zip(turns[::2], turns[1::2], strict=True)
    ]
    first = next((message for message in messages if message["role"] == "user"), messages[0])
    first["content"] = f"{head.strip()}\n{first['content']}".strip()
    return _conversation(messages, images, key)


def _in_front(text: str, images: int) -> str:
    """A text without marks gets one for each image in front."""
    return text if JUICER_IMAGE_MARK in text else f"{JUICER_IMAGE_MARK}\n" * images + text
