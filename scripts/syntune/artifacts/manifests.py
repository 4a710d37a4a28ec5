"""Manifests: the small files that are the edges of the DAG.

A stage's manifest holds the content hash, rows and bytes of each part it made, the rows it dropped and why, the
settings that made it and the interpreter that ran it. It holds no time and no host: the same work gives the same bytes,
and Snakemake, which compares small inputs by checksum, then sees nothing new downstream.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from syntune.artifacts.remaking import known_by, remake
from syntune.artifacts.schema import Artifact, Schema, sealed
from syntune.errors import UserError, one_line
from syntune.files import canonical_json, sha256_bytes, sha256_file, side_by_side, write_json
from syntune.interpreter import describe_interpreter


class Part(Schema):
    """One file of a stage's output; ``path`` is relative to the manifest's folder."""

    path: str
    sha256: str
    bytes: int
    rows: int | None = None

    @classmethod
    def from_file(cls, file: Path, root: Path, rows: int | None = None) -> "Part":
        """Describe ``file``, which lies under ``root``."""
        return cls(
            path=file.relative_to(root).as_posix(), sha256=sha256_file(file), bytes=file.stat().st_size, rows=rows
        )


class Manifest(Artifact):
    """What one stage made, of what, and how."""

    stage: str = Field(description="the rule that wrote it")
    name: str = Field(description="the seed, dataset, model, run or benchmark")
    content: str = Field(description="SHA-256 over the hashes of the parts, save documents: the identity of the output")
    parts: list[Part]
    rows_in: int | None = None
    rows_out: int | None = None
    dropped: dict[str, int] = Field(default_factory=dict, description="rows dropped, by reason")
    added: int = Field(default=0, description="rows that synthesis added")
    inputs: dict[str, str] = Field(default_factory=dict, description="content hashes of what it was made from")
    settings: dict[str, Any] = Field(default_factory=dict)
    interpreter: dict[str, str] = Field(default_factory=dict)
    details: dict[str, Any] = Field(default_factory=dict, description="figures of this stage alone")

    def as_written(self) -> dict[str, Any]:
        """The object with all its fields and its seal."""
        return sealed(self.model_dump())

    @model_validator(mode="after")
    def _rows_add_up(self) -> "Manifest":
        """Nothing is skipped in silence: rows in + added = rows out + dropped."""
        if self.rows_in is None or self.rows_out is None:
            return self
        dropped = sum(self.dropped.values())
        if self.rows_in + self.added != self.rows_out + dropped:
            raise ValueError(
                f"{self.stage} {self.name}: {self.rows_in} rows in + {self.added} added != "
                f"{self.rows_out} rows out + {dropped} dropped"
            )
        return self


def training_inputs(dataset: Manifest, starts: Sequence[Manifest]) -> dict[str, str]:
    """A checkpoint's ``inputs``: what it was trained on, and the checkpoints that it started from, in their order."""
    return {"dataset": dataset.content, **{f"start.{number}": start.content for number, start in enumerate(starts)}}


def write_manifest(
    path: str | Path,
    *,
    stage: str,
    name: str,
    parts: list[Part],
    documents: Sequence[Part] = (),
    packages: tuple[str, ...] = (),
    **fields: Any,
) -> Manifest:
    """Compute the content hash, record the interpreter with the versions of ``packages``, and write the manifest.

    ``documents`` are parts that describe the others and are no content: other words in them change no identity.
    """
    content = sha256_bytes(canonical_json([[part.path, part.sha256] for part in parts]).encode())
    manifest = Manifest(
        stage=stage,
        name=name,
        content=content,
        parts=[*parts, *documents],
        interpreter=describe_interpreter(packages),
        **fields,
    )
    write_json(path, manifest.as_written())
    return manifest


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest; a missing or foreign file is a :class:`UserError`."""
    try:
        return Manifest.model_validate_json(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        reason = _first_fault(error) if isinstance(error, ValidationError) else one_line(error)
        raise UserError(f"{path}: not a readable manifest ({reason}); {remake(path)}") from error


def _first_fault(error: ValidationError) -> str:
    """The first thing that is wrong with a manifest, and where."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"].removeprefix("Value error, ")


def part_files(path: str | Path, only: str | None = None) -> list[Path]:
    """The files of a manifest's parts, in its order, each checked against its size and hash.

    Args:
        path: the manifest.
        only: the path of one part; None takes them all.

    Raises:
        UserError: the manifest has no such part, or a file is missing or is not the one that it describes.
    """
    path = Path(path)
    parts = [part for part in read_manifest(path).parts if only in (None, part.path)]
    if only is not None and not parts:
        raise UserError(f"{path}: has no part {only}; {remake(path)}")
    files = [path.parent / part.path for part in parts]
    for file, is_whole in zip(files, side_by_side(_is_of_part, files, parts), strict=True):
        if not is_whole:
            raise UserError(
                f"{file}: missing, or not the file that {path} describes; "
                f"delete {known_by(file) or f'{file} and {path}'} and run snakemake again"
            )
    return files


def _is_of_part(file: Path, part: Part) -> bool:
    return file.is_file() and file.stat().st_size == part.bytes and sha256_file(file) == part.sha256
