"""A run's score on a benchmark, from its predictions and the annotations."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from syntune.benchmarks.findings import Findings
from syntune.benchmarks.metrics import METRICS, Answer, Marks, Series
from syntune.benchmarks.predictions import Prediction
from syntune.benchmarks.protocol import Protocol, Question, QuestionId
from syntune.benchmarks.statistics import estimate
from syntune.benchmarks.uncontaminated import score_without
from syntune.errors import UserError


def score_run(
    run: str,
    protocol: Protocol,
    questions: Sequence[Question],
    predictions: Sequence[Prediction],
    findings: Sequence[Findings] = (),
) -> dict[str, Any]:
    """The score file of ``run``: metrics as shares of 1, with error bars, and what they rest on.

    Args:
        run: the run's name.
        protocol: the benchmark.
        questions: all its questions; those within its limit are scored.
        predictions: the answers to those within its limit, in their order.
        findings: what was found of the benchmark in each dataset that the run is trained on.
    """
    asked = protocol.limited(list(questions))
    check_references(protocol, asked)
    answers = [
        Answer(prediction.text, protocol.extract(question, prediction.text))
        for question, prediction in zip(asked, predictions, strict=True)
    ]
    marks = METRICS[protocol.metric].mark(asked, answers)
    main = marks.series[marks.primary]
    first = predictions[0]
    return {
        "run": run,
        "benchmark": protocol.name,
        "protocol": protocol.settings.protocol,
        "metrics": {name: asdict(estimate(of.values, of.clusters)) for name, of in marks.series.items()},
        "primary": marks.primary,
        "questions": [list(row) for row in zip(main.ids, main.values, main.clusters, strict=True)],
        "breakdown": _breakdown(asked, marks),
        "contamination": score_without(asked, main, findings),
        "baseline": _baseline(protocol, asked),
        "metadata": {
            "label": protocol.label(),
            **protocol.metadata(),
            "clusters": protocol.clusters,
            "questions_in_benchmark": protocol.size(questions),
            "answers": len(predictions),
            "adapter": first.adapter,
            "questions_hash": first.benchmark,
            "decoding": first.decoding,
        },
    }


def check_references(protocol: Protocol, questions: Sequence[Question]) -> None:
    """Refuse to score questions whose answers are kept secret."""
    without = sum(not question.references for question in questions)
    if without:
        raise UserError(
            f"benchmark {protocol.name}: {without} of {len(questions)} questions have no reference answer, so they "
            "cannot be scored here; write the server's file with score.py --submission"
        )


def _baseline(protocol: Protocol, questions: Sequence[Question]) -> dict[str, Any]:
    """What one answer to everything scores: the most frequent one, which needs no look at any image."""
    metric = METRICS[protocol.metric]
    answer = metric.majority(questions)
    marks = metric.mark(questions, [Answer(answer, answer)] * len(questions))
    shares = {name: sum(of.values) / len(of.values) for name, of in marks.series.items()}
    return {"majority": shares[marks.primary], "answer": answer, "metrics": shares}


def _breakdown(questions: Sequence[Question], marks: Marks) -> dict[str, Any]:
    """The metrics that are told by category, by each kind of category; and the counts of answers."""
    categories = {question.id: question.categories for question in questions}
    kinds = dict.fromkeys(kind for of in categories.values() for kind in of)
    parts = {
        f"{name}_by_{kind}": _by_category(marks.series[name], categories, kind)
        for name in marks.by_category
        for kind in kinds
    }
    return {**parts, "answers": marks.counts}


def _by_category(series: Series, categories: dict[QuestionId, dict[str, str]], kind: str) -> dict[str, dict]:
    """The mean and number of scores in each category of a kind."""
    values = defaultdict(list)
    for id, value in zip(series.ids, series.values, strict=True):
        values[categories[id].get(kind, "none")].append(value)
    return {part: {"value": sum(of) / len(of), "n": len(of)} for part, of in sorted(values.items())}
