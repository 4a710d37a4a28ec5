"""Rows that another stage wrote, found through its manifest."""

from pathlib import Path

from syntune.errors import UserError
from syntune.files import sha256_file
from syntune.manifests import Manifest


def part_file(manifest: Manifest, manifest_path: Path, name: str) -> Path:
    """The file of a manifest's part, which must still be what the manifest says.

    Raises:
        UserError: the manifest has no such part, or the file is missing or was changed.
    """
    file = manifest_path.parent / name
    for part in manifest.parts:
        if part.path == name:
            if not file.is_file() or sha256_file(file) != part.sha256:
                raise UserError(
                    f"{file}: missing or changed since {manifest_path} was written; delete that and run again"
                )
            return file
    raise UserError(f"{manifest_path}: has no part {name}; delete it and run snakemake again")
