"""What a careful reader would ask about before believing the scores."""

import math
from collections import Counter
from collections.abc import Iterator
from statistics import fmean

from syntune import formats
from syntune.artifacts.predictions import Prediction
from syntune.artifacts.scores import Score
from syntune.artifacts.training_records import StepMetrics
from syntune.reporting.learning import fell, finite_losses, silent
from syntune.reporting.records import Records
from syntune.reporting.remarks import Remark, Sign, told
from syntune.settings.methods import METHODS

SAME_ANSWER_SHARE = 0.9  # from this share of one and the same answer on, it is worth a look
EMPTY_SHARE = 0.01  # so is this share of empty answers
LOST_SHARE = 0.05  # so is this share of texts in which no answer is recognised
CONTAMINATED_SHARE = 0.01  # so is this share of questions that stand in the training data with their image
CUT_SHARE = 0.05  # and this share of answers that ran to the longest length
LOST_CATEGORY = 0.1  # by so much, and by two standard errors, a run that beats another may fall behind in a category


def suspicions(records: Records) -> list[Remark]:
    """Everything odd about metrics, answers and scores."""
    found = [
        *(sign for run, steps in records.metrics.items() for sign in _odd_metrics(run, steps)),
        *(sign for pair, answers in records.predictions.items() for sign in _odd_answers(*pair, answers)),
        *_same_answers(records),
        *_different_questions(records),
        *_parts(records),
        *_odd_scores(records),
        *(sign for score in records.scores.values() for sign in _contaminated(score)),
        *_fallen_behind(records),
        *_missing(records),
    ]
    if found:
        return told(found)
    answers = sum(map(len, records.predictions.values()))
    among = f" in {formats.plural(answers, 'answer')}" if records.predictions else ""
    return [Remark("good", f"Nothing suspicious was found{among}.")]


def _odd_metrics(run: str, steps: list[StepMetrics]) -> Iterator[Sign]:
    """Gaps, repeats and values that are not numbers in a run's metrics."""
    numbers = [step.step for step in steps]
    if not steps:
        yield Sign("look", f"{run}: metrics.jsonl is empty.", "metrics.jsonl is empty.", {"run": run})
    elif numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        text = "steps are missing from metrics.jsonl, or stand there twice."
        yield Sign("look", f"{run}: {text}", formats.sentence(text), {"run": run})
    endless = [step.step for step in steps if step.loss is not None and not math.isfinite(step.loss)]
    if endless:
        number = formats.plural(len(endless), "step")
        text = f"{run}: the loss is not a number at {number}."
        yield Sign("bad", text, "The loss is not a number.", {"run": run, "at": number})
    losses = finite_losses(steps)
    if not fell(losses):
        text = "the loss did not fall from the first tenth of the steps to the last."
        ends = {"first": formats.number(losses[0], 4), "last": formats.number(losses[-1], 4)}
        yield Sign("look", f"{run}: {text}", formats.sentence(text), {"run": run, **ends})


def _odd_answers(run: str, benchmark: str, predictions: list[Prediction]) -> Iterator[Sign]:
    """Answers that are empty, all the same, or cut off."""
    where, pair = f"{run} on {benchmark}", {"run": run, "benchmark": benchmark}
    if not predictions:
        yield Sign("bad", f"{where}: there are no answers.", "There are no answers.", pair)
        return
    total = len(predictions)
    texts = [prediction.text.strip() for prediction in predictions]
    cut = [prediction.text.strip() for prediction in predictions if _ran_on(prediction)]
    often_cut = len(cut) > CUT_SHARE * total
    ran_on = f"{formats.percent(len(cut) / total)} of the answers ran to the longest length" if often_cut else ""
    empty = texts.count("")
    if empty > EMPTY_SHARE * total:
        share = formats.percent(empty / total)
        text = f"{where}: {share} of {formats.count(total)} answers are empty"
        why = f"; {ran_on}, in control or blank tokens only" if often_cut and not any(cut) else ""
        yield Sign("look", f"{text}{why}.", "Answers are empty.", pair | {"empty": share})
    answer, times = Counter(filter(None, texts)).most_common(1)[0] if empty < total else ("", 0)
    shown = f"“{formats.words(answer, 60)}”"
    if total > 1 and times == total:
        yield Sign("bad", f"{where}: every answer is {shown}.", "Every answer is the same.", pair | {"answer": shown})
    elif times >= SAME_ANSWER_SHARE * total:
        share = formats.percent(times / total)
        row = pair | {"answer": shown, "share": share}
        yield Sign("look", f"{where}: {share} of the answers are {shown}.", "Most answers are the same.", row)
    if any(cut) and often_cut:
        share = formats.percent(len(cut) / total)
        yield Sign("look", f"{where}: {ran_on}.", "Answers ran to the longest length.", pair | {"answers": share})


def _ran_on(prediction: Prediction) -> bool:
    """Whether an answer is as long as an answer may be."""
    longest = (prediction.decoding or {}).get("max_new_tokens")
    return prediction.tokens is not None and prediction.tokens == longest


def _same_answers(records: Records) -> Iterator[Sign]:
    """Runs that answer exactly as the baseline run does: an adapter that is not applied looks like that.

    Empty answers are told as such.
    """
    baseline = records.comparison.baseline
    for (run, benchmark), predictions in records.predictions.items():
        others = records.predictions.get((baseline, benchmark))
        if run == baseline or not others or not any(prediction.text.strip() for prediction in predictions):
            continue
        if [(one.question_id, one.text) for one in predictions] == [(one.question_id, one.text) for one in others]:
            text = f"every answer equals {baseline}'s{_why_equal(records, run)}"
            row = {"run": run, "benchmark": benchmark}
            yield Sign("bad", f"{run} on {benchmark}: {text}", formats.sentence(text), row)


def _why_equal(records: Records, run: str) -> str:
    """The end of a sentence on a run that answers as another does: what to ask, by what the run's training wrote."""
    method = METHODS.get(records.summaries[run].method) if run in records.summaries else None
    if method is None or not method.is_trained:
        return "."
    return "; was the adapter applied?" if method.writes == "adapter" else "; did training change anything?"


def _different_questions(records: Records) -> Iterator[Sign]:
    """Benchmarks whose questions were not the same for all runs."""
    for benchmark in records.benchmarks:
        asked = {
            prediction.benchmark
            for (_, answered), predictions in records.predictions.items()
            for prediction in predictions
            if answered == benchmark
        }
        if len(asked) > 1:
            yield Sign("bad", f"{benchmark}: the runs did not answer the same questions.")


def _odd_scores(records: Records) -> Iterator[Sign]:
    """Odd scores; of empty answers it is told that they are empty."""
    mute = silent(records)
    for pair, score in records.scores.items():
        if pair not in mute:
            yield from _odd_score(score)


def _odd_score(score: Score) -> Iterator[Sign]:
    """Scores that do not beat an answer without looking, or that rest on texts without an answer."""
    main, majority = score.main, score.baseline.majority
    lost, total = score.breakdown.get("answers", {}).get("not recognised", 0), score.metadata.answers
    if lost > LOST_SHARE * total:
        share = formats.percent(lost / total)
        text = f"{score.run} on {score.benchmark}: no answer is recognised in {share} of the texts."
        row = {"run": score.run, "benchmark": score.benchmark, "texts": share}
        yield Sign("look", text, "No answer is recognised in some texts.", row)
    if (main.interval or (main.value,))[0] <= majority:
        value, without = formats.percent(main.value), formats.percent(majority)
        yield Sign(
            "look",
            f"{score.run} on {score.benchmark}: {value} is not shown to be better than always giving the most frequent "
            f"answer ({without}).",
            "Scores are not shown to be better than always giving the most frequent answer.",
            {"run": score.run, "benchmark": score.benchmark, "score": value, "most frequent answer": without},
        )


def _contaminated(score: Score) -> Iterator[Sign]:
    """Scores that rest on questions of which text and image stand in one row of the training data."""
    found = score.contamination.without.get("both") if score.contamination else None
    if found and score.main.n and found.left_out > CONTAMINATED_SHARE * score.main.n:
        share, value = formats.percent(found.left_out / score.main.n), formats.percent(score.main.value)
        clean = formats.percent(found.value) if found.n else "nothing"
        yield Sign(
            "look",
            f"{score.run} on {score.benchmark}: {share} of the questions stand in its training data with an image that "
            f"is the same or similar; the score is {value} with all and {clean} without them.",
            "Questions stand in the training data with an image that is the same or similar.",
            {"run": score.run, "benchmark": score.benchmark, "questions": share, "score": value, "without them": clean},
        )


def _fallen_behind(records: Records) -> Iterator[Sign]:
    """Categories in which a run that beats another one scores much less."""
    for benchmark, compared in records.compared:
        for found in compared.differences:
            if found.interval is None or found.interval[0] <= 0:
                continue
            sides = [records.scores_of(run, benchmark) for run in (found.run, found.beside)]
            lost = [
                f"{category} ({formats.percent(own)} against {formats.percent(other)} of {formats.count(n)})"
                for category, own, other, n in _by_category(*sides)
                if other - own >= max(LOST_CATEGORY, 2 * ((own * (1 - own) + other * (1 - other)) / n) ** 0.5)
            ]
            if lost:
                parts = formats.listing(lost)
                text = f"{found.run} beats {found.beside} on {benchmark}, but falls behind in {parts}."
                row = {"run": found.run, "beside": found.beside, "benchmark": benchmark, "categories": parts}
                yield Sign("look", text, "Runs that beat another fall behind in categories.", row)


def _by_category(scores: list[Score], beside: list[Score]) -> Iterator[tuple[str, float, float, int]]:
    """Each category of the primary metric with two runs' scores, means over their trainings, and its number."""
    first = scores[0]
    for kind in (kind for kind in first.breakdown if kind.startswith(f"{first.primary}_by_")):
        for category, part in first.breakdown[kind].items():
            own, other = ([score.breakdown[kind][category].value for score in side] for side in (scores, beside))
            yield category, fmean(own), fmean(other), part.n


def _parts(records: Records) -> Iterator[Sign]:
    """Benchmarks of which only a part was asked."""
    parts = {
        score.benchmark: (score.main.n, score.metadata.questions_in_benchmark)
        for score in records.scores.values()
        if score.main.n < score.metadata.questions_in_benchmark
    }
    for benchmark, (asked, there) in parts.items():
        part = f"{formats.count(asked)} of {formats.count(there)} questions"
        text = "only the score on all of them counts."
        row = {"benchmark": benchmark, "scored on": part}
        yield Sign("look", f"{benchmark}: scored on {part}; {text}", f"Scored on a part of the questions; {text}", row)


def _missing(records: Records) -> Iterator[Sign]:
    """Runs that were not scored on every benchmark."""
    for run in records.trainings:
        for benchmark in records.benchmarks:
            if (run, benchmark) not in records.answered:
                row = {"run": run, "benchmark": benchmark}
                yield Sign("look", f"{run} was not scored on {benchmark}.", "Runs were not scored.", row)
