"""The verdict: what was found, in plain words, each sentence with the figures that it rests on."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from syntune import formats
from syntune.artifacts.comparison import ComparedDifference
from syntune.artifacts.training_records import TrainingSummary
from syntune.reporting.learning import lifeless, silent, training_in_short
from syntune.reporting.records import Records
from syntune.reporting.remarks import Level, Remark, Sign, told
from syntune.settings.methods import METHODS


@dataclass(frozen=True)
class Outcome:
    """What a comparison shows, and how it is said of one run and of several."""

    level: Level
    one: str
    several: str


OUTCOMES = {
    "better": Outcome("good", "beats", "beat"),
    "worse": Outcome("bad", "is worse than", "are worse than"),
    "undecided": Outcome("note", "cannot be told apart from", "cannot be told apart from"),
    "unknown": Outcome("look", "has no interval beside", "have no interval beside"),
}


def what_was_run(records: Records) -> str:
    """The whole run of the workflow in two or three sentences."""
    rows = sum(manifest.rows_out or 0 for manifest in records.seeds)
    seeds = f"{formats.plural(len(records.seeds), 'seed')} ({formats.plural(rows, 'row')})"
    told = [f"{formats.plural(len(records.datasets), 'dataset')} came of {seeds}."] if records.datasets else []
    return " ".join([*told, *_runs_told(records), *_replicated(records)])


def _runs_told(records: Records) -> Iterator[str]:
    """How many runs there are, how they were trained, and what they answered."""
    trained = [records.summaries[run] for run in records.runs if run in records.summaries]
    methods = Counter(_how(summary.method) for summary in trained)
    if untrained := len(records.runs) - len(trained):
        methods[_how("none")] += untrained
    told = formats.listing([f"{formats.count(number)} {how}" for how, number in methods.items()])
    runs = f"{formats.plural(len(records.runs), 'run')} ({told})"
    if records.benchmarks:
        benchmarks, baseline = formats.plural(len(records.benchmarks), "benchmark"), records.comparison.baseline
        yield f"{runs} answered {benchmarks}; {baseline} is the baseline run."
    elif records.runs:
        yield f"{runs}; there are no benchmarks."


def _replicated(records: Records) -> Iterator[str]:
    """Which runs were trained several times."""
    by_number: dict[int, list[str]] = {}
    for run in records.runs:
        by_number.setdefault(len(records.trainings_of(run)), []).append(run)
    for number, runs in by_number.items():
        if number > 1:
            each = " each" if len(runs) > 1 else ""
            yield f"{formats.listing(runs)} {'was' if len(runs) == 1 else 'were'} trained under {number} seeds{each}."


def _how(method: str | None) -> str:
    """How a run of a method was trained."""
    return METHODS[method].told if method in METHODS else "trained in a way that is not recorded"


def headline(records: Records) -> list[Remark]:
    """The verdict in a few short sentences: what did not learn, then who beats whom, then how training went.

    Beside the baseline run there is a sentence for each outcome, then one for each other pair.
    """
    compared = [*_beside_baseline(records), *_pairs(records), *told(_not_scored(records))]
    remarks = [*told(lifeless(records)), *compared, *told(training_in_short(records))]
    return remarks or [Remark("note", "No run was compared with another." if records.runs else "There are no runs.")]


def _beside_baseline(records: Records) -> Iterator[Remark]:
    """The runs and the benchmarks that share an outcome in one sentence: ``a and b beat base on open and choice.``"""
    baseline = records.comparison.baseline
    shared: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for run in records.runs:
        where: dict[str, list[str]] = {}
        for benchmark, compared in records.compared:
            for found in compared.differences_of(run):
                if found.beside == baseline:
                    where.setdefault(outcome(found), []).append(benchmark)
        for found, benchmarks in where.items():
            shared.setdefault((found, tuple(benchmarks)), []).append(run)
    for (found, benchmarks), runs in shared.items():
        verb = OUTCOMES[found].one if len(runs) == 1 else OUTCOMES[found].several
        text = f"{formats.listing(runs)} {verb} {baseline} on {formats.listing(benchmarks)}."
        yield Remark(OUTCOMES[found].level, text)


def _not_scored(records: Records) -> Iterator[Sign]:
    """The trainings that have no score, and why; those whose every answer is empty are told before."""
    told_before = silent(records)
    for (training, benchmark), found in records.unscored.items():
        if (training, benchmark) in told_before:
            continue
        row = {"run": training, "benchmark": benchmark, "why": found.not_scored}
        text = f"{training} is not scored on {benchmark}: {found.not_scored}."
        yield Sign("look", text, "Runs are not scored.", row)


def _pairs(records: Records) -> Iterator[Remark]:
    """Each other pair of runs, a sentence for each outcome, with the differences and their intervals."""
    shared: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    for benchmark, compared in records.compared:
        for found in compared.differences:
            if found.beside != records.comparison.baseline:
                key = (found.run, found.beside, outcome(found), tuple(found.trained_once))
                shared.setdefault(key, []).append(f"{benchmark} {_difference(found)}")
    for (run, beside, found, once), where in shared.items():
        if once and found in ("better", "worse"):
            above = "above" if found == "better" else "below"
            yield Remark(
                "look",
                f"{run} scores {above} {beside} on {formats.listing(where)}, but {formats.listing(once)} "
                f"{'was' if len(once) == 1 else 'were'} trained once, and another training may turn that: set "
                "replicates: 3 to tell.",
            )
        else:
            yield Remark(OUTCOMES[found].level, f"{run} {OUTCOMES[found].one} {beside} on {formats.listing(where)}.")


def _difference(found: ComparedDifference) -> str:
    """A difference with its interval; its sign is in words where the interval is on one side."""
    if outcome(found) in ("better", "worse"):
        low, high = sorted(map(abs, found.interval))
        ends = formats.interval((low, high), lambda end: formats.points(end).lstrip("+"))
        return f"by {formats.points(abs(found.difference)).lstrip('+')} points ({ends})"
    ends = "" if found.interval is None else f", {formats.interval(found.interval)}"
    return f"({formats.points(found.difference)} points{ends})"


def outcome(found: ComparedDifference) -> str:
    """What a difference shows: its interval lies above zero, below zero, or across it."""
    if found.interval is None:
        return "unknown"
    low, high = found.interval
    return "better" if low > 0 else "worse" if high < 0 else "undecided"


def cautions(records: Records) -> list[Remark]:
    """How far the error bars reach."""
    if not records.scores:
        return []
    several = [run for run in records.runs if len(records.trainings_of(run)) > 1]
    once = [run for run in records.runs if run in records.summaries and run not in several]
    notes = [
        "Error bars are 95% intervals and cover the choice of questions: with other questions of the same kind, this "
        "is how far the score would move."
    ]
    if several:
        notes.append(
            f"Those of {formats.listing(several)} cover the trainings too: so far would other questions and other "
            "seeds move the score. A standard deviation between a few trainings is rough; the intervals allow for that."
        )
    if once:
        seeds = sorted({str(seed) for run in once if (seed := _seed(records.summaries[run])) is not None})
        with_seed = f", with seed {formats.listing(seeds)}" if seeds else ""
        who = formats.listing(once) if several else "Each run"
        notes.append(
            f"{who} {'was' if len(once) == 1 or not several else 'were'} trained once{with_seed}. Another training "
            "seed moves the scores too, by an amount that one training cannot tell; set replicates: 3 before trusting "
            "a small difference. Of runs that start from the same training, differences hold for that start."
        )
    return [Remark("note", note) for note in notes]


def _seed(summary: TrainingSummary) -> int | None:
    """The training seed of a run."""
    return summary.hyperparameters.get("random_seed")
