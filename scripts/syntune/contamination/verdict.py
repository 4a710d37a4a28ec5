"""What was found, by benchmark, and whether it is too much."""

from collections.abc import Iterable
from typing import Any

from syntune.contamination.questions import QuestionIndex
from syntune.contamination.search import Findings, Sighting
from syntune.errors import UserError

EXAMPLES = 10
"""Examples of each kind, at most."""


def by_benchmark(index: QuestionIndex, findings: Findings) -> dict[str, dict[str, Any]]:
    """Counts, contaminated questions and rows, and examples of each benchmark, as they are written.

    A question counts as ``image_near`` where its image is not there pixel for pixel; ``question_ids`` of ``image`` are
    those of both.
    """
    places: dict[str, list[int]] = {}
    for place, question in enumerate(index.questions):
        places.setdefault(question.benchmark, []).append(place)
    return {name: _of_benchmark(name, of, index, findings) for name, of in places.items()}


def _of_benchmark(name: str, places: list[int], index: QuestionIndex, findings: Findings) -> dict[str, Any]:
    """One benchmark; ``places`` are its questions'."""
    asked = index.questions
    near = {image: seen for image, seen in findings.near.items() if image not in findings.same}
    kinds: dict[str, dict[int, Sighting]] = {
        "text": {place: findings.texts[asked[place].text] for place in places if asked[place].text in findings.texts},
        "image_exact": {
            place: findings.same[asked[place].image] for place in places if asked[place].image in findings.same
        },
        "image_near": {place: near[asked[place].image] for place in places if asked[place].image in near},
        "both": {place: findings.both[place] for place in places if place in findings.both},
    }
    return {
        "questions": len(places),
        **{kind: len(found) for kind, found in kinds.items()},
        "share": len(kinds["both"]) / len(places),
        "question_ids": {
            "text": [asked[place].id for place in kinds["text"]],
            "image": [asked[place].id for place in sorted(kinds["image_exact"] | kinds["image_near"])],
            "both": [asked[place].id for place in kinds["both"]],
        },
        "row_ids": findings.rows_of.get(name, []),
        "examples": {kind: _examples(found.items(), index) for kind, found in kinds.items()},
    }


def _examples(found: Iterable[tuple[int, Sighting]], index: QuestionIndex) -> list[dict[str, Any]]:
    """The first sightings, as they are written."""
    return [
        {
            "question_id": index.questions[place].id,
            "question": index.texts[index.questions[place].text],
            "row": sighting.row,
            "distance": sighting.distance,
        }
        for place, sighting in list(found)[:EXAMPLES]
    ]


def check_share(dataset: str, benchmarks: dict[str, dict[str, Any]], max_share: float | None) -> None:
    """Refuse a dataset that holds more than ``max_share`` of any benchmark's questions with their images."""
    over = [name for name, of in benchmarks.items() if max_share is not None and of["share"] > max_share]
    if not over:
        return
    worst = max(over, key=lambda name: benchmarks[name]["share"])
    of = benchmarks[worst]
    example = of["examples"]["both"][0]
    others = f" ({len(over) - 1} more benchmarks are over it too)" if len(over) > 1 else ""
    raise UserError(
        f"dataset '{dataset}' holds {of['both']} of the {of['questions']} questions of benchmark '{worst}' with their "
        f"images, a share of {of['share']:.4g} over contamination.max_share {max_share:g}{others}; e.g. question "
        f"{example['question_id']} in row '{example['row']}'; take such rows out of the seed, or set max_share to null "
        "to train all the same and have the report say so"
    )
