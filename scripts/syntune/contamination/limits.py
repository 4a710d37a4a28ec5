"""Whether what was found in a dataset is too much to train on it."""

from syntune.artifacts.findings import BenchmarkFindings, Findings, FoundQuestion
from syntune.errors import UserError
from syntune.settings.contamination import ContaminationSettings

_SHOWN = 3
"""Pairs that an error shows, at most."""


def check_findings(findings: Findings, limits: ContaminationSettings, page: str) -> None:
    """Refuse a dataset that holds too many of a benchmark's questions with their images.

    Args:
        findings: those on the dataset.
        limits: ``max_share`` and ``max_questions``, both of which must be exceeded.
        page: where the pairs can be seen, for the message.

    Raises:
        UserError: it holds too many.
    """
    over = {name: found for name, found in findings.benchmarks.items() if _is_too_much(found, limits)}
    if not over:
        return
    worst = max(over, key=lambda name: over[name].share)
    found = over[worst]
    others = f" ({len(over) - 1} more benchmarks are over it too)" if len(over) > 1 else ""
    pairs = "; ".join(_told(example) for example in found.examples["both"][:_SHOWN])
    raise UserError(
        f"dataset '{findings.dataset}' holds {found.both} of the {found.questions} questions of benchmark '{worst}' "
        f"with their images, a share of {found.share:.4g} over contamination.max_share {limits.max_share:g}{others}: "
        f"{pairs}; see them in {page}. If they are the same, take these rows out of the seed; if the images only look "
        f"alike, lower contamination.max_distance (now {limits.max_distance}); or raise max_share, or set it to null "
        "to train all the same and have the report say so"
    )


def _is_too_much(found: BenchmarkFindings, limits: ContaminationSettings) -> bool:
    """Whether a benchmark is over both limits."""
    return limits.max_share is not None and found.share > limits.max_share and found.both > limits.max_questions


def _told(example: FoundQuestion) -> str:
    """A pair in a few words."""
    how = "the same image" if example.distance is None else f"distance {example.distance}"
    return f"question {example.question_id} in row '{example.row}' ({how})"
