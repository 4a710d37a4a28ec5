"""What a careful reader would ask about before believing the scores."""

import math
from collections import Counter
from collections.abc import Iterator

from syntune import formats
from syntune.artifacts.predictions import Prediction
from syntune.artifacts.scores import Score
from syntune.artifacts.training_records import StepMetrics
from syntune.reporting.records import Records
from syntune.reporting.verdict import Remark

SAME_ANSWER_SHARE = 0.9  # from this share of one and the same answer on, it is worth a look
EMPTY_SHARE = 0.01  # so is this share of empty answers
LOST_SHARE = 0.05  # so is this share of texts in which no answer is recognised
CONTAMINATED_SHARE = 0.01  # so is this share of questions that stand in the training data with their image
CUT_SHARE = 0.05  # and this share of answers that ran to the longest length


def suspicions(records: Records) -> list[Remark]:
    """Everything odd about metrics, answers and scores."""
    found = [
        *(remark for run, steps in records.metrics.items() for remark in _odd_metrics(run, steps)),
        *(remark for pair, answers in records.predictions.items() for remark in _odd_answers(*pair, answers)),
        *_same_answers(records),
        *_different_questions(records),
        *_parts(records),
        *(remark for score in records.scores.values() for remark in _odd_score(score)),
        *(remark for score in records.scores.values() for remark in _contaminated(score)),
        *_missing(records),
    ]
    if found:
        return found
    answers = sum(map(len, records.predictions.values()))
    among = f" in {formats.plural(answers, 'answer')}" if records.predictions else ""
    return [Remark("good", f"Nothing suspicious was found{among}.")]


def _odd_metrics(run: str, steps: list[StepMetrics]) -> Iterator[Remark]:
    """Gaps, repeats and values that are not numbers in a run's metrics."""
    numbers = [step.step for step in steps]
    if not steps:
        yield Remark("look", f"{run}: metrics.jsonl is empty.")
    elif numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        yield Remark("look", f"{run}: steps are missing from metrics.jsonl, or stand there twice.")
    endless = [step.step for step in steps if step.loss is not None and not math.isfinite(step.loss)]
    if endless:
        yield Remark("bad", f"{run}: the loss is not a number at {formats.plural(len(endless), 'step')}.")
    losses = [step.loss for step in steps if step.loss is not None and math.isfinite(step.loss)]
    tenth = max(1, len(losses) // 10)
    if len(losses) > 1 and sum(losses[-tenth:]) >= sum(losses[:tenth]):
        yield Remark("look", f"{run}: the loss did not fall from the first tenth of the steps to the last.")


def _odd_answers(run: str, benchmark: str, predictions: list[Prediction]) -> Iterator[Remark]:
    """Answers that are empty, all the same, or cut off."""
    where = f"{run} on {benchmark}"
    if not predictions:
        yield Remark("bad", f"{where}: there are no answers.")
        return
    total = len(predictions)
    texts = [prediction.text.strip() for prediction in predictions]
    empty = texts.count("")
    if empty > EMPTY_SHARE * total:
        yield Remark("look", f"{where}: {formats.percent(empty / total)} of {formats.count(total)} answers are empty.")
    lost = sum(prediction.answer == "" != text for prediction, text in zip(predictions, texts, strict=True))
    if lost > LOST_SHARE * total:
        yield Remark("look", f"{where}: no answer is recognised in {formats.percent(lost / total)} of the texts.")
    answer, times = Counter(filter(None, texts)).most_common(1)[0] if empty < total else ("", 0)
    if total > 1 and times == total:
        yield Remark("bad", f"{where}: every answer is “{formats.words(answer, 60)}”.")
    elif times >= SAME_ANSWER_SHARE * total:
        share = formats.percent(times / total)
        yield Remark("look", f"{where}: {share} of the answers are “{formats.words(answer, 60)}”.")
    cut = sum(
        prediction.tokens is not None and prediction.tokens == (prediction.decoding or {}).get("max_new_tokens")
        for prediction in predictions
    )
    if cut > CUT_SHARE * total:
        yield Remark("look", f"{where}: {formats.percent(cut / total)} of the answers ran to the longest length.")


def _same_answers(records: Records) -> Iterator[Remark]:
    """Runs that answer exactly as the baseline run does: an adapter that is not applied looks like that."""
    baseline = records.comparison.baseline
    for (run, benchmark), predictions in records.predictions.items():
        others = records.predictions.get((baseline, benchmark))
        if run == baseline or not others or not predictions:
            continue
        if [(one.question_id, one.text) for one in predictions] == [(one.question_id, one.text) for one in others]:
            yield Remark("bad", f"{run} on {benchmark}: every answer equals {baseline}'s; was the adapter applied?")


def _different_questions(records: Records) -> Iterator[Remark]:
    """Benchmarks whose questions were not the same for all runs."""
    for benchmark in records.benchmarks:
        asked = {
            prediction.benchmark
            for (_, answered), predictions in records.predictions.items()
            for prediction in predictions
            if answered == benchmark
        }
        if len(asked) > 1:
            yield Remark("bad", f"{benchmark}: the runs did not answer the same questions.")


def _odd_score(score: Score) -> Iterator[Remark]:
    """Scores that do not beat an answer without looking."""
    where, main, majority = f"{score.run} on {score.benchmark}", score.main, score.baseline.majority
    if (main.interval or (main.value,))[0] <= majority:
        yield Remark(
            "look",
            f"{where}: {formats.percent(main.value)} is not shown to be better than always giving the most frequent "
            f"answer ({formats.percent(majority)}).",
        )


def _contaminated(score: Score) -> Iterator[Remark]:
    """Scores that rest on questions of which text and image stand in one row of the training data."""
    found = score.contamination.without.get("both") if score.contamination else None
    if found and score.main.n and found.left_out > CONTAMINATED_SHARE * score.main.n:
        share = formats.percent(found.left_out / score.main.n)
        clean = f"{formats.percent(found.value)} without them" if found.n else "nothing without them"
        yield Remark(
            "look",
            f"{score.run} on {score.benchmark}: {share} of the questions stand in its training data with an image that "
            f"is the same or similar; the score is {formats.percent(score.main.value)} with all and {clean}.",
        )


def _parts(records: Records) -> Iterator[Remark]:
    """Benchmarks of which only a part was asked."""
    parts = {
        score.benchmark: (score.main.n, score.metadata.questions_in_benchmark)
        for score in records.scores.values()
        if score.main.n < score.metadata.questions_in_benchmark
    }
    for benchmark, (asked, there) in parts.items():
        part = f"{formats.count(asked)} of {formats.count(there)} questions"
        yield Remark("look", f"{benchmark}: scored on {part}; only the score on all of them counts.")


def _missing(records: Records) -> Iterator[Remark]:
    """Runs that were not scored on every benchmark."""
    for run in records.trainings:
        for benchmark in records.benchmarks:
            if (run, benchmark) not in records.scores:
                yield Remark("look", f"{run} was not scored on {benchmark}.")
