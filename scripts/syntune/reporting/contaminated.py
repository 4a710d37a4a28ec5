"""Examples of contamination: a benchmark's question beside the training row that holds it, with both pictures."""

from dataclasses import dataclass

from syntune.artifacts.findings import BenchmarkFindings, ExamplePictures, FoundQuestion
from syntune.reporting.records import Records
from syntune.reporting.tables import KINDS


@dataclass(frozen=True)
class ContaminatedExample:
    """A question and a training row, what they share, and the pictures of both; none where none is there to show.

    ``distance`` is that of the images' perceptual hashes in bits; None for the same image, or none.
    """

    question_id: str
    question: str
    row: str
    kinds: str
    distance: int | None
    question_picture: str | None
    row_pictures: list[str]


def contaminated_examples(records: Records) -> dict[str, list[ContaminatedExample]]:
    """The examples of each benchmark in each dataset, by a caption."""
    nothing = ExamplePictures(dataset="", questions={}, rows={})
    examples = {
        f"{benchmark} in {findings.dataset}": _of_benchmark(
            benchmark, found, records.pictures.get(findings.dataset, nothing)
        )
        for findings in records.contamination
        for benchmark, found in findings.benchmarks.items()
    }
    return {caption: shown for caption, shown in examples.items() if shown}


def _of_benchmark(benchmark: str, found: BenchmarkFindings, pictures: ExamplePictures) -> list[ContaminatedExample]:
    """A benchmark's examples; one that shows several kinds is told once."""
    kinds: dict[tuple[str, str], dict[str, FoundQuestion]] = {}
    for kind, examples in found.examples.items():
        for example in examples:
            kinds.setdefault((str(example.question_id), example.row), {})[KINDS.get(kind, kind)] = example
    return [
        ContaminatedExample(
            question_id=question_id,
            question=next(iter(alike.values())).question,
            row=row,
            kinds=", ".join(alike),
            distance=next((example.distance for example in alike.values() if example.distance is not None), None),
            question_picture=pictures.questions.get(benchmark, {}).get(question_id),
            row_pictures=pictures.rows.get(row, []),
        )
        for (question_id, row), alike in kinds.items()
    ]
