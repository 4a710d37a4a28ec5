"""The report of a chunk of a stage: the small file that is its edge in the graph of jobs."""

from pathlib import Path
from typing import Any

from syntune.artifacts.manifests import read_manifest
from syntune.artifacts.reading import read_json_file
from syntune.artifacts.remaking import remake
from syntune.artifacts.schema import Artifact, Schema
from syntune.errors import UserError
from syntune.files import sha256_file


class ReportedStep(Schema):
    """What one operator did: rows in + added = rows out + dropped."""

    operator: str
    rows_in: int
    added: int
    dropped: int
    rows_out: int


class ChunkReport(Artifact):
    """What a stage did to a chunk. It says nothing of how: equal rows give an equal report."""

    rows_in: int
    rows_out: int
    rows_sha256: str | None = None
    """The hash of the rows' file: the report changes when they do."""
    steps: list[ReportedStep]
    models: list[dict[str, Any]] = []
    """What a models stage tells of its operators."""
    stats_of: dict[str, list[str]] = {}
    """The statistics that a filter computes whose thresholds are percentiles."""


def read_report(path: Path) -> ChunkReport:
    """Read the report of a chunk."""
    return read_json_file(path, ChunkReport, remake(path))


def check_chunk(rows: Path, edge: Path) -> str:
    """The hash of a chunk's rows, which must be those that its report, or a seed's chunk's manifest, vouches for.

    Raises:
        UserError: the rows are missing or others.
    """
    sha256 = sha256_file(rows) if rows.is_file() else ""
    if edge.name.endswith(".manifest.json"):
        vouched = {Path(part.path).name: part.sha256 for part in read_manifest(edge).parts}.get(rows.name)
    else:
        vouched = read_report(edge).rows_sha256
    if not sha256 or sha256 != (vouched or sha256):
        raise UserError(f"{rows}: missing, or not the file that {edge} describes; {remake(rows)}")
    return sha256
