"""Whether training went well: what did not learn, which health checks say so, and whose answers are all the same."""

import math
from collections import Counter
from collections.abc import Iterator

from syntune import formats
from syntune.artifacts.training_records import StepMetrics, TrainingSummary
from syntune.reporting.records import Records
from syntune.reporting.remarks import Remark, Sign, told


def unlearned(records: Records) -> dict[str, str]:
    """The trainings that taught their model nothing, each with what was seen.

    The check ``learned`` says so; of a training without that check, a loss that did not fall.
    """
    found = {}
    for run, summary in records.summaries.items():
        losses = finite_losses(records.metrics.get(run, []))
        if summary.learned == "failed":
            found[run] = next((check.detail for check in summary.verdicts if check.name == "learned"), "")
        elif summary.learned is None and not fell(losses):
            found[run] = f"loss {formats.number(losses[0])} to {formats.number(losses[-1])}"
    return found


def finite_losses(steps: list[StepMetrics]) -> list[float]:
    """The losses of the steps that have one."""
    return [step.loss for step in steps if step.loss is not None and math.isfinite(step.loss)]


def fell(losses: list[float]) -> bool:
    """Whether a loss fell from the first tenth of the steps to the last; a single step does not tell."""
    tenth = max(1, len(losses) // 10)
    return len(losses) < 2 or sum(losses[-tenth:]) < sum(losses[:tenth])


def same_answers(records: Records) -> dict[tuple[str, str], str]:
    """The one answer that a run gives to every question of a benchmark, where there are several; it may be empty."""
    texts = {pair: [line.text.strip() for line in lines] for pair, lines in records.predictions.items()}
    return {pair: given[0] for pair, given in texts.items() if len(given) > 1 and len(set(given)) == 1}


def silent(records: Records) -> list[tuple[str, str]]:
    """The runs and benchmarks of which every answer is empty."""
    return [pair for pair, answer in same_answers(records).items() if not answer]


def lifeless(records: Records) -> Iterator[Sign]:
    """What did not learn, and what answers everything alike: the first that a reader must know."""
    for run, seen in unlearned(records).items():
        text = f"{run} did not learn: {seen}." if seen else f"{run} did not learn."
        yield Sign("bad", text, "These runs did not learn.", {"run": run, "seen": seen})
    for (run, benchmark), answer in same_answers(records).items():
        shown = f"“{formats.words(answer, 60)}”" if answer else "empty"
        if not answer and (unscored := records.unscored.get((run, benchmark))):
            shown += f"; not scored: {unscored.not_scored}"
        row = {"run": run, "benchmark": benchmark, "answer": shown}
        yield Sign(
            "bad",
            f"{run} on {benchmark}: every answer is {shown}.",
            "Every answer to a benchmark is the same, or empty.",
            row,
        )


def went_well(records: Records) -> bool:
    """Whether no check and no answer says anything against the trainings."""
    warned = any(not passed(check.status) for summary in records.summaries.values() for check in summary.verdicts)
    dead = any(sign.row["run"] in records.summaries for sign in lifeless(records))
    return bool(records.summaries) and not warned and not unhealthy(records) and not dead


def unhealthy(records: Records) -> list[str]:
    """The trainings that are not known to be healthy."""
    return [run for run, summary in records.summaries.items() if summary.healthy is not True]


def training_in_short(records: Records) -> Iterator[Sign]:
    """A sentence or two on the trainings, for the top of the verdict; what did not learn is told before."""
    for run, summary in records.summaries.items():
        for check in summary.verdicts:
            if check.status.lower() == "warning":
                yield Sign(
                    "look",
                    f"{run}: {check.detail}.",
                    f"{formats.sentence(check.name)}: a warning.",
                    {"run": run, "seen": check.detail},
                )
    sick = [run for run in unhealthy(records) if run not in unlearned(records)]
    if sick:
        yield Sign("bad", f"Training of {formats.listing(sick)} is not known to have been healthy.")
    elif went_well(records):
        yield Sign("good", "Training was healthy.")
    elif records.summaries and not unhealthy(records):
        yield Sign("note", "No health check of training failed.")


def health(records: Records) -> list[Remark]:
    """Whether training went well, check by check."""
    signs = [sign for summary in records.summaries.values() for sign in _health_of(summary)]
    checks = [check for summary in records.summaries.values() for check in summary.verdicts]
    good = sum(passed(check.status) for check in checks)
    runs = formats.plural(len(records.summaries), "trained run")
    counted = f"{runs}, {formats.count(good)} of {formats.plural(len(checks), 'check')} passed"
    if went_well(records):
        signs.insert(0, Sign("good", f"Training was healthy: {counted}."))
    elif records.summaries:
        but = "".join(
            f", but {formats.listing(runs)} gave only empty answers{where}" for where, runs in _mute(records).items()
        )
        signs.append(Sign("note", f"Health checks: {counted}{but}."))
    return told(signs)


def _mute(records: Records) -> dict[str, list[str]]:
    """The trained runs that gave a benchmark nothing but empty answers, by the words for which, unless it is all."""
    empty: dict[str, list[str]] = {}
    for run, benchmark in silent(records):
        if run in records.summaries:
            empty.setdefault(run, []).append(benchmark)
    asked = Counter(run for run, _ in records.predictions)
    runs: dict[str, list[str]] = {}
    for run, to in empty.items():
        runs.setdefault("" if len(to) == asked[run] else f" to {formats.listing(to)}", []).append(run)
    return runs


def _health_of(summary: TrainingSummary) -> Iterator[Sign]:
    """What is not well with one run's training."""
    run = summary.run
    if summary.healthy is None:
        text = "whether training was healthy is not recorded."
        yield Sign("look", f"{run}: {text}", formats.sentence(text), {"run": run})
    elif not summary.healthy:
        yield Sign("bad", f"{run}: training is not healthy.", "Training is not healthy.", {"run": run})
    for check in summary.verdicts:
        if not passed(check.status):
            level = "look" if check.status.lower() == "warning" or summary.healthy else "bad"
            text, detail = f"{check.name} ({check.status})", check.detail or "no detail"
            row = {"run": run, "seen": detail}
            yield Sign(level, f"{run}: {text}: {detail}.", f"{formats.sentence(text)}.", row)
    if summary.masked_rows:
        rows = formats.plural(summary.masked_rows, "row")
        yield Sign(
            "look", f"{run}: {rows} without a supervised token were dropped, not trained on.",
            "Rows without a supervised token were dropped, not trained on.",
            {"run": run, "rows": formats.count(summary.masked_rows)},
        )  # fmt: skip


def passed(status: str) -> bool:
    """Whether a check's status says that all is well."""
    return status.lower() in {"ok", "pass", "passed", "good", "healthy"}
