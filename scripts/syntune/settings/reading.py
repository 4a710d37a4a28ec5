"""Reading settings, with one clear line for a key that is wrong."""

import difflib
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from syntune.errors import UserError
from syntune.settings.strict import NAME_PATTERN

T = TypeVar("T")


def read_settings(value: Any, kind: type[T], source: str) -> T:
    """Validate ``value`` as ``kind``; the first mistake becomes a :class:`UserError` that names ``source`` and key."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise UserError(_one_line(error, kind, source)) from error


def read_params(text: str, kind: type[T]) -> T:
    """Read a section from a rule's ``--settings``: JSON text, or ``@FILE`` with such text."""
    source = "--settings"
    if text.startswith("@"):
        source = text[1:]
        try:
            text = Path(source).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"--settings: cannot read {source}: {error.strerror}") from error
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        raise UserError(_one_line(error, kind, source)) from error


def _one_line(error: ValidationError, kind: Any, source: str) -> str:
    """The first mistake of ``error`` as ``source: key: what is wrong``, with the number of further ones."""
    # an unknown key explains a missing one that it stands for, so it goes first
    mistakes = sorted(error.errors(), key=lambda mistake: mistake["type"] != "extra_forbidden")
    first = mistakes[0]
    path = list(first["loc"])
    if _names_no_text(first):
        path = path[:-2] if path[-1] == "[key]" else path[:-1]  # without the key, which pydantic has as 1 for yes
    key = ".".join(str(part) for part in _without_tags(kind, path))
    message = _in_words(first, kind)
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    return ": ".join(part for part in (source, key, message) if part) + more


def _in_words(mistake: Any, kind: Any) -> str:
    """What is wrong, in plain words; ``mistake`` is one of pydantic's."""
    path, context, value = list(mistake["loc"]), mistake.get("ctx", {}), mistake["input"]
    tag = context.get("discriminator", "").strip("'")
    match mistake["type"]:
        case "invalid_key" | "string_type" if _names_no_text(mistake):
            return f"YAML takes a name for {value}; write it in quotes, as all of yes, no, on, off and numbers"
        case "missing":
            return "is missing"
        case "too_short" if not context["actual_length"]:
            return "must not be empty"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be keys with values"
        case "extra_forbidden":
            names = _fields(kind, path[:-1])
            near = difflib.get_close_matches(str(path[-1]), names, n=1, cutoff=0.5)
            return f"unknown key; did you mean '{near[0]}'?" if near else f"unknown key; known: {', '.join(names)}"
        case "string_pattern_mismatch" if context["pattern"] == NAME_PATTERN:
            return (
                f"{value!r} cannot be a name: letters from a to z, digits, - and _, with a letter or a digit in front"
            )
        case "string_pattern_mismatch":
            field = _fields(kind, path[:-1]).get(str(path[-1]))
            wanted = field.description if field else context["pattern"]
            return f"does not fit; wanted: {wanted}"  # without the value, which may hold a secret
        case "union_tag_not_found":
            return f"{tag} is missing"
        case "union_tag_invalid":
            return f"{tag}: {context['tag']!r} is not one of {context['expected_tags']}"
    return mistake["msg"].removeprefix("Value error, ")


def _names_no_text(mistake: Any) -> bool:
    """Whether a key of the file is no text: YAML reads ``yes`` as true."""
    return mistake["type"] == "invalid_key" or (mistake["type"] == "string_type" and mistake["loc"][-1] == "[key]")


def _descend(kind: Any, part: Any) -> tuple[Any, bool]:
    """The type below ``kind`` at ``part``, and whether ``part`` is a union's tag rather than a key of the file."""
    if get_origin(kind) is Annotated:
        return _descend(get_args(kind)[0], part)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return (field.annotation if field else Any), False
    if get_origin(kind) is dict:
        return get_args(kind)[1], False
    if get_origin(kind) in (Union, UnionType):
        for member in get_args(kind):
            if isinstance(member, type) and issubclass(member, BaseModel) and _carries_tag(member, part):
                return member, True
        members = [member for member in get_args(kind) if member is not type(None)]
        return _descend(members[0], part)
    return Any, False


def _carries_tag(member: type[BaseModel], tag: Any) -> bool:
    """Whether one of the member's literal fields admits ``tag``: then it is the union's member of that name."""
    return any(tag in get_args(field.annotation) for field in member.model_fields.values())


def _fields(kind: Any, path: list[Any]) -> dict[str, FieldInfo]:
    """The keys known at ``path``, and what is said of them."""
    for part in path:
        kind, _ = _descend(kind, part)
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}


def _without_tags(kind: Any, path: list[Any]) -> list[Any]:
    """``path`` as it stands in the file: pydantic adds a discriminated union's tag to it."""
    keys = []
    for part in path:
        kind, tag = _descend(kind, part)
        if not tag and part != "[key]":
            keys.append(part)
    return keys
