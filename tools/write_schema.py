"""Write schemas/config.schema.json and docs/reference/config.md from the settings classes: make schema."""

import json
import sys
from pathlib import Path

from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from syntune.settings.strict import Strict  # noqa: E402
from syntune.settings.tree import json_schema  # noqa: E402


def classes(parent: type[Strict]) -> dict[str, type[Strict]]:
    """The settings classes below one, by name."""
    found = {child.__name__: child for child in parent.__subclasses__()}
    return found | {name: each for child in found.values() for name, each in classes(child).items()}


CLASSES = classes(Strict)


def kind(value: dict) -> str:
    """A property's type, in words."""
    if "enum" in value or "const" in value:
        return " or ".join(f"`{choice}`" for choice in value.get("enum", [value.get("const")]))
    if "anyOf" in value:
        return " or ".join(kind(one) for one in value["anyOf"])
    if "$ref" in value:
        name = value["$ref"].split("/")[-1]
        return f"[{name}](#{name.lower()})"
    if value.get("type") == "array":
        return f"list of {kind(value.get('items', value.get('prefixItems', [{}])[0]))}"
    if "patternProperties" in value:
        (entry,) = value["patternProperties"].values()
        return f"by name: {kind(entry)}"
    if "oneOf" in value:
        return " or ".join(kind(one) for one in value["oneOf"])
    return value.get("type", "any")


def default_of(field: FieldInfo) -> str:
    """A key's default, in words."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "see there" if isinstance(value, Strict) else f"`{json.dumps(value, ensure_ascii=False)}`"


def table(name: str, definition: dict) -> list[str]:
    """The keys of one class as a Markdown table."""
    fields = CLASSES[name].model_fields
    rows = ["| key | type | default | what it is |", "|---|---|---|---|"]
    for key, value in definition["properties"].items():
        default = default_of(fields[key])
        text = f"{kind(value)} | {default} | {value.get('description', '')}".replace("\n", " ")
        rows.append(f"| `{key}` | {text} |")
    return rows


def reference(schema: dict) -> str:
    """The whole reference page."""
    lines = [
        "# Every key of the config",
        "",
        "Generated from the settings classes by `make schema`; unknown keys are refused. For completion in an editor, "
        "point its YAML schema at `schemas/config.schema.json`.",
        "",
        "## Settings",
        "",
        schema.get("description", ""),
        "",
        *table("Settings", schema),
    ]
    for name, definition in schema["$defs"].items():
        lines += ["", f"## {name}", "", definition.get("description", ""), "", *table(name, definition)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    schema = json_schema()
    (ROOT / "schemas/config.schema.json").write_text(json.dumps(schema, indent=2) + "\n")
    (ROOT / "docs/reference/config.md").write_text(reference(schema))
