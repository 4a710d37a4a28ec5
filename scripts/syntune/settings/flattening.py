"""Nested settings as a table's rows."""

from typing import Any


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their path: ``{"lora": {"r": 16}}`` as ``{"lora.r": 16}``."""
    pairs = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            pairs |= flat(value, f"{prefix}{key}.")
        else:
            pairs[f"{prefix}{key}"] = value
    return pairs
