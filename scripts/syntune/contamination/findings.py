"""What was found, by benchmark."""

from syntune.artifacts.findings import BenchmarkFindings, ContaminatedIds, FoundQuestion
from syntune.contamination.questions import QuestionIndex
from syntune.contamination.search import Sighting, Sightings

EXAMPLES = 10
"""Examples of each kind, at most."""


def by_benchmark(index: QuestionIndex, sightings: Sightings) -> dict[str, BenchmarkFindings]:
    """Counts, contaminated questions and rows, and examples of each benchmark.

    A question counts as ``image_near`` where its image is not there pixel for pixel; ``question_ids`` of ``image`` are
    those of both.
    """
    places: dict[str, list[int]] = {}
    for place, question in enumerate(index.questions):
        places.setdefault(question.benchmark, []).append(place)
    return {name: _benchmark_findings(name, own, index, sightings) for name, own in places.items()}


def _benchmark_findings(name: str, places: list[int], index: QuestionIndex, sightings: Sightings) -> BenchmarkFindings:
    """One benchmark; ``places`` are its questions'."""
    asked = index.questions
    near = {image: seen for image, seen in sightings.near.items() if image not in sightings.same}
    kinds: dict[str, dict[int, Sighting]] = {
        "text": {place: seen for place in places if (seen := _first_of(asked[place].texts, sightings.texts))},
        "image_exact": {
            place: sightings.same[asked[place].image] for place in places if asked[place].image in sightings.same
        },
        "image_near": {place: near[asked[place].image] for place in places if asked[place].image in near},
        "both": {place: sightings.both[place] for place in places if place in sightings.both},
    }
    return BenchmarkFindings(
        questions=len(places),
        **{kind: len(seen) for kind, seen in kinds.items()},
        share=len(kinds["both"]) / len(places),
        question_ids=ContaminatedIds(
            text=[asked[place].id for place in kinds["text"]],
            image=[asked[place].id for place in sorted(kinds["image_exact"] | kinds["image_near"])],
            both=[asked[place].id for place in kinds["both"]],
        ),
        row_ids=sightings.rows_of.get(name, []),
        examples={kind: _examples(seen, index) for kind, seen in kinds.items()},
    )


def _first_of(texts: tuple[int, ...], seen: dict[int, Sighting]) -> Sighting | None:
    """Where the first of a question's texts that were seen was."""
    return next((seen[text] for text in texts if text in seen), None)


def _examples(seen: dict[int, Sighting], index: QuestionIndex) -> list[FoundQuestion]:
    """The first sightings of questions, which are known by their place."""
    return [
        FoundQuestion(
            question_id=index.questions[place].id,
            question=index.texts[index.questions[place].texts[0]],
            row=sighting.row,
            distance=sighting.distance,
        )
        for place, sighting in list(seen.items())[:EXAMPLES]
    ]
