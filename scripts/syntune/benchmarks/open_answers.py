"""How an open answer is compared with right answers: exactly, by edit distance, or as a number.

Each score is of 0 to 1, the best over the right answers. VQA accuracy is in ``vqa_accuracy.py``.
"""

import math
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

TOLERANCE = 0.05
"""How far a number may lie from the right one, as a share of it."""
THRESHOLD = 0.5
"""The least similarity that counts."""


def plain(answer: str) -> str:
    """An answer but for case, white space around and within, and a full stop at its end."""
    return " ".join(answer.casefold().split()).removesuffix(".").rstrip()


def exact_match(answer: str, references: Sequence[str]) -> float:
    """1 for an answer that is one of the right ones, as :func:`plain` has both."""
    return float(plain(answer) in set(map(plain, references)))


def anls(answer: str, references: Sequence[str]) -> float:
    """Average normalised Levenshtein similarity of one answer.

    1 - edits / length of the longer text, without case and surplus white space; 0 below 0.5 (Biten et al., 2019, Scene
    text visual question answering, section 4; at 0.5 as the challenge's own script has it).
    """
    given = " ".join(answer.lower().split())
    best = max(Levenshtein.normalized_similarity(given, " ".join(right.lower().split())) for right in references)
    return best if best >= THRESHOLD else 0.0


def relaxed_accuracy(answer: str, references: Sequence[str]) -> float:
    """1 for a number within 5% of the right one, or for the same text but for case.

    Methani et al. (2020, PlotQA) as ChartQA (Masry et al., 2022, section 5.1) takes it, computed as pix2struct does: a
    percentage is its share of 1, and where the right number is zero, or one side is no number, texts are compared.
    """
    return float(any(_close(answer.strip(), right.strip()) for right in references))


def _close(answer: str, right: str) -> bool:
    """Whether an answer is close to one right answer."""
    given, wanted = _number(answer), _number(right)
    if given is not None and wanted:
        return abs(given - wanted) / abs(wanted) <= TOLERANCE
    return answer.lower() == right.lower()


def _number(text: str) -> float | None:
    """The number that a text is; None if it is none."""
    try:
        value = float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
