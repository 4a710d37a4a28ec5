"""The report of a chunk of a stage: the small file that is its edge in the graph of jobs."""

from typing import Any

from syntune.artifacts.schema import Artifact, Schema


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
