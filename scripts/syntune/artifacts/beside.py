"""Where a folder's manifest lies."""

from pathlib import Path


def manifest_of(folder: Path) -> Path:
    """The manifest of a folder that one job made: beside it, with its name."""
    return folder.with_name(f"{folder.name}.manifest.json")
