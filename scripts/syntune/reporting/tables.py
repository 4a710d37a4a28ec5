"""The page's tables but those of training: what each column and row says."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from syntune import formats
from syntune.artifacts.comparison import ComparedRun
from syntune.artifacts.manifests import Manifest
from syntune.artifacts.scores import CategoryScore, Estimate
from syntune.reporting.cells import Cell, Table, headings, num, run_cell
from syntune.reporting.figures import data_stages
from syntune.reporting.palette import run_colours
from syntune.reporting.records import Records, Timing
from syntune.reporting.verdict import OUTCOMES, outcome

KINDS = {
    "both": "text and image",
    "text": "text",
    "image": "image, same or similar",
    "image_exact": "same image",
    "image_near": "similar image",
}
"""What stands in the training data of a question, in words."""
_STEP_COLUMNS = ("rows_in", "added", "dropped", "rows_out")


def scores(records: Records, benchmark: str) -> Table:
    """Every metric of every run on a benchmark, the primary metric first; means over a run's trainings."""
    rows = []
    for run in records.runs:
        found = records.scores_of(run, benchmark)
        if not found:
            rows.append([run_cell(records, run), Cell("not scored", level="look"), *[Cell("")] * 5])
        for name in sorted(found[0].metrics if found else (), key=lambda name: (name != found[0].primary, name)):
            metric, primary = found[0].metrics[name], name == found[0].primary
            error = _error(metric)
            if len(found) > 1:
                mean = records.comparison.benchmarks[benchmark].runs[run]
                error = _error(mean) if primary else [Cell(""), Cell("")]
            rows.append(
                [
                    run_cell(records, run) if primary else Cell(""),
                    Cell(name.replace("_", " ")),
                    num(formats.percent(fmean(score.metrics[name].value for score in found if name in score.metrics))),
                    *error,
                    num(formats.count(metric.n)),
                    num(formats.count(metric.clusters)),
                ]
            )
    rows.extend(_majority(records, benchmark))
    columns = headings("run | metric | score > | stderr > | 95% interval > | n > | clusters >")
    return Table(f"Scores on {benchmark}", columns, rows)


def _error(found: Estimate | ComparedRun) -> list[Cell]:
    """The standard error of a score and its interval; the questions of one cluster have neither."""
    stderr = "none" if found.stderr is None else formats.percent(found.stderr, 2)
    return [num(stderr), num(formats.interval(found.interval, formats.percent))]


def overview(records: Records) -> Table:
    """Every run's score on every benchmark with its interval, to set any two side by side."""
    rows = []
    for run in records.runs:
        found = [compared.runs.get(run) for _, compared in records.compared]
        rows.append([run_cell(records, run), *(num(_score(row)) for row in found)])
    columns = [
        Cell("run"),
        *(num(f"{benchmark}, {compared.metric.replace('_', ' ')}") for benchmark, compared in records.compared),
    ]
    return Table("Scores, with 95% intervals", columns, rows)


def _score(row: ComparedRun | None) -> str:
    """A score with its interval."""
    if row is None:
        return "not scored"
    ends = "" if row.interval is None else f" ({formats.interval(row.interval, formats.percent)})"
    return f"{formats.percent(row.value)}{ends}"


def trainings(records: Records) -> Table:
    """The scores of every run that was trained several times, training by training."""
    rows = [
        [
            run_cell(records, run),
            Cell(benchmark),
            num(formats.percent(row.value)),
            num(formats.points(row.spread).lstrip("+")),
            num(formats.interval(row.spread_interval, lambda end: formats.points(end).lstrip("+"))),
            num(formats.percent(min(row.trainings.values()))),
            num(formats.percent(max(row.trainings.values()))),
            Cell(", ".join(map(formats.percent, row.trainings.values()))),
        ]
        for benchmark, compared in records.compared
        for run in records.runs
        if (row := compared.runs.get(run)) and len(row.trainings) > 1
    ]
    columns = headings(
        "run | benchmark | mean > | standard deviation, points > | its 95% interval > | lowest > | highest > | each"
    )
    return Table("Scores of single trainings", columns, rows)


def labels(records: Records, benchmark: str) -> list[str]:
    """What a benchmark is, in its protocol's own words: protocol, what makes it incomparable, how much was asked."""
    scored = [score.metadata.label for score in records.scores_on(benchmark)]
    unscored = [found.label for (_, where), found in records.unscored.items() if where == benchmark]
    return list(dict.fromkeys([*scored, *unscored]))


def primary(records: Records, benchmark: str) -> str:
    """The name of a benchmark's primary metric."""
    names = dict.fromkeys(score.primary for score in records.scores_on(benchmark))
    return formats.listing([name.replace("_", " ") for name in names])


def _majority(records: Records, benchmark: str) -> list[list[Cell]]:
    """What always giving the most frequent answer scores."""
    if not (found := records.scores_on(benchmark)):
        return []
    first, blank = found[0], Cell("")
    name = f"majority answer, “{formats.words(first.baseline.answer, 40)}”"
    shares = {first.primary: first.baseline.majority, **first.baseline.metrics}
    return [
        [Cell(name if metric == first.primary else ""), Cell(metric.replace("_", " ")), num(formats.percent(share)),
         blank, blank, blank, blank]
        for metric, share in shares.items()
    ]  # fmt: skip


def differences(records: Records) -> Table:
    """Every pair of runs that is compared, with what it would take to be sure."""
    rows = [
        [
            run_cell(records, found.run),
            run_cell(records, found.beside),
            Cell(benchmark),
            num(formats.percent(compared.runs[found.run].value)),
            num(formats.percent(compared.runs[found.beside].value)),
            num(formats.points(found.difference), level=OUTCOMES[outcome(found)].level),
            num(formats.interval(found.interval)),
            Cell("questions" if found.trained_once else "questions, trainings"),
            num(formats.p_value(found.p_value)),
            num(formats.count(found.questions_needed, "none")),
            num(formats.points(found.detectable_difference, "none").lstrip("+")),
        ]
        for benchmark, compared in records.compared
        for found in compared.differences
    ]
    columns = headings(
        "run | beside | benchmark | its score > | beside's > | difference, points > | 95% interval > | interval over "
        "| p > | questions needed > | detectable, points >"
    )
    return Table("Paired differences", columns, rows)


def contamination(records: Records) -> Table:
    """How many questions of each benchmark stand in each dataset that was trained on."""
    kinds = ("text", "image_exact", "image_near", "both")
    rows = [
        [
            Cell(findings.dataset),
            Cell(benchmark),
            num(formats.count(found.questions)),
            *(num(formats.count(getattr(found, kind))) for kind in kinds),
            num(formats.percent(found.share)),
        ]
        for findings in records.contamination
        for benchmark, found in findings.benchmarks.items()
    ]
    columns = headings("dataset | benchmark | questions >")
    columns += [*(num(KINDS[kind]) for kind in kinds), num("share with text and image")]
    return Table("Questions found in the training data", columns, rows)


def scores_without(records: Records) -> Table:
    """The primary metric of each trained run, with all questions and without those in its training data."""
    rows = []
    for (run, benchmark), score in records.scores.items():
        if score.contamination is None:
            continue
        main = score.main
        estimates = [("nothing", 0, main.n, main.value, main.interval)] + [
            (KINDS.get(kind, kind), left.left_out, left.n, left.value, left.interval)
            for kind, left in score.contamination.without.items()
        ]
        for place, (kind, left_out, n, value, interval) in enumerate(estimates):
            rows.append(
                [
                    Cell("") if place else run_cell(records, run),
                    Cell("" if place else benchmark),
                    Cell(kind),
                    num(formats.count(left_out)),
                    num(formats.count(n)),
                    num(formats.percent(value) if n else "none left"),
                    num(formats.interval(interval, formats.percent) if n else ""),
                ]
            )
    columns = headings("run | benchmark | left out for | left out > | n > | score > | 95% interval >")
    return Table("Scores without the questions in the training data", columns, rows)


def data(records: Records) -> Table:
    """Rows, images and size of every data stage."""
    rows = [
        [
            Cell(f"{label} {stage.name}"),
            num(formats.count(stage.rows_in)),
            num(formats.count(stage.added)),
            num(formats.count(sum(stage.dropped.values()))),
            num(formats.count(stage.rows_out)),
            num(formats.count(_images(stage))),
            num(formats.count(len(stage.parts))),
            num(formats.size(sum(part.bytes for part in stage.parts))),
        ]
        for label, stage in data_stages(records)
    ]
    columns = headings("stage | rows in > | added > | dropped > | rows out > | images > | files > | size >")
    return Table("Data stages", columns, rows)


def _images(stage: Manifest) -> int | None:
    """The images that a stage recorded."""
    images = stage.details.get("images")
    return images if isinstance(images, int) else None


def contents(records: Records) -> Table:
    """The figures that the datasets' manifests record of their rows."""
    figures = {
        dataset.name: {key: value for key, value in dataset.details.items() if isinstance(value, int | float)}
        for dataset in records.datasets
    }
    keys = _keys(figures)
    rows = [[Cell(name), *(num(_figure(key, own.get(key))) for key in keys)] for name, own in figures.items()]
    return Table("Datasets", [Cell("dataset"), *(num(key.replace("_", " ")) for key in keys)], rows)


def _keys(dicts: dict[str, dict[str, Any]]) -> list[str]:
    """The keys of all ``dicts``, each once."""
    return list(dict.fromkeys(key for own in dicts.values() for key in own))


def _figure(key: str, value: float | None) -> str:
    """A figure of a manifest's details; a key that ends in bytes holds a size."""
    if key.endswith("bytes"):
        return formats.size(value)
    return formats.number(value) if isinstance(value, float) else formats.count(value)


def operators(records: Records) -> list[Table]:
    """For each synthesis, what every operator of its recipe did."""
    columns = headings("operator | rows in > | added > | dropped > | rows out >")
    return [
        Table(
            f"Recipe of {synthesis.name}, operator by operator",
            columns,
            [
                [
                    Cell(str(step.get("operator")), code=True),
                    *(num(formats.count(step.get(key))) for key in _STEP_COLUMNS),
                ]
                for step in synthesis.details["operators"]
            ],
        )
        for synthesis in records.syntheses
        if synthesis.details.get("operators")
    ]


def drops(records: Records) -> Table:
    """Every reason for dropping rows."""
    rows = [
        [Cell(f"{label} {stage.name}"), Cell(reason), num(formats.count(number)), _share(number, stage)]
        for label, stage in data_stages(records)
        for reason, number in sorted(stage.dropped.items(), key=lambda item: -item[1])
        if number
    ]
    return Table("Dropped rows by reason", headings("stage | reason | rows > | of the stage's rows >"), rows)


def _share(number: int, stage: Manifest) -> Cell:
    """A part of the rows that a stage saw."""
    seen = (stage.rows_in or 0) + stage.added
    return num(formats.percent(number / seen if seen else None))


def files(manifest: Manifest) -> Table:
    """The files of one output."""
    rows = [
        [Cell(part.path), num(formats.size(part.bytes)), num(_optional(part.rows)), Cell(part.sha256[:12], code=True)]
        for part in manifest.parts
    ]
    return Table(f"Files of {manifest.stage} {manifest.name}", headings("file | size > | rows > | SHA-256"), rows)


def _optional(rows: int | None) -> str:
    """Rows, or nothing for a file that has none."""
    return "" if rows is None else formats.count(rows)


def rules(records: Records) -> Table:
    """Time and memory of each rule's jobs together."""
    by_rule: dict[str, list[Timing]] = {}
    for timing in records.timings:
        by_rule.setdefault(timing.rule, []).append(timing)
    longest = max((_total(jobs, "seconds") or 0 for jobs in by_rule.values()), default=0)
    rows = []
    for rule, jobs in by_rule.items():
        seconds = _total(jobs, "seconds")
        rows.append(
            [
                Cell(rule, code=True),
                num(formats.count(len(jobs))),
                num(formats.duration(seconds), share=(seconds or 0) / longest if longest else 0),
                *_cost(_total(jobs, "cpu_seconds"), _peak(jobs), _load(jobs)),
            ]
        )
    total = [*_cost(_total(records.timings, "cpu_seconds"), _peak(records.timings), _load(records.timings))]
    rows.append(
        [Cell("all", level="total"), num(formats.count(len(records.timings))),
         num(formats.duration(_total(records.timings, "seconds"))), *total]
    )  # fmt: skip
    columns = headings("rule | jobs > | time > | CPU time > | peak memory > | mean load >")
    return Table("Time by rule", columns, rows)


def jobs(records: Records) -> Table:
    """Time and memory of each job."""
    longest = max((timing.seconds or 0 for timing in records.timings), default=0)
    rows = [
        [
            Cell(timing.rule, code=True),
            Cell(timing.job, code=True),
            num(formats.duration(timing.seconds), share=(timing.seconds or 0) / longest if longest else 0),
            *_cost(timing.cpu_seconds, timing.peak_bytes, timing.mean_load),
        ]
        for timing in records.timings
    ]
    return Table("Time by job", headings("rule | job | time > | CPU time > | peak memory > | mean load >"), rows)


def _cost(cpu_seconds: float | None, peak: float | None, load: float | None) -> tuple[Cell, Cell, Cell]:
    """CPU time, memory and load; Snakemake gives the load in percent of one core."""
    return (
        num(formats.duration(cpu_seconds)),
        num(formats.size(peak)),
        num(formats.percent(None if load is None else load / 100, 0)),
    )


def _total(jobs: Sequence[Timing], name: str) -> float | None:
    """The sum over jobs of what was measured."""
    values = [value for timing in jobs if (value := getattr(timing, name)) is not None]
    return sum(values) if values else None


def _peak(jobs: Sequence[Timing]) -> float | None:
    """The largest memory of a job."""
    return max((timing.peak_bytes for timing in jobs if timing.peak_bytes is not None), default=None)


def _load(jobs: Sequence[Timing]) -> float | None:
    """CPU time by time, in percent, over the jobs for which both were measured."""
    measured = [timing for timing in jobs if timing.seconds and timing.cpu_seconds is not None]
    seconds = sum(timing.seconds for timing in measured)
    return 100 * sum(timing.cpu_seconds for timing in measured) / seconds if seconds else None


def environments(records: Records) -> Table:
    """Every environment that the manifests record, with its packages and what it made."""
    used: dict[tuple, list[str]] = {}
    manifests = [manifest for _, manifest in data_stages(records)] + records.models + records.trained
    for manifest in manifests:
        used.setdefault(tuple(sorted(manifest.interpreter.items())), []).append(f"{manifest.stage} {manifest.name}")
    rows = []
    for interpreter, makers in used.items():
        found = dict(interpreter)
        name, python = (found.pop(key, formats.NOT_RECORDED) for key in ("environment", "python"))
        packages = ", ".join(f"{name} {version}" for name, version in found.items()) or formats.NOT_RECORDED
        rows.append([Cell(name), Cell(python), Cell(packages), Cell(", ".join(makers))])
    return Table("Environments", headings("environment | Python | packages | made"), rows)


def outputs(records: Records) -> Table:
    """Every output's identity and what it was made from."""
    manifests = [*(stage for _, stage in data_stages(records)), *records.models, *records.trained]
    rows = [
        [
            Cell(f"{manifest.stage} {manifest.name}"),
            Cell(formats.short_hash(manifest.content), code=True),
            num(formats.count(len(manifest.parts))),
            num(formats.size(sum(part.bytes for part in manifest.parts))),
            Cell(", ".join(f"{name} {formats.short_hash(content)}" for name, content in manifest.inputs.items())),
        ]
        for manifest in manifests
    ]
    return Table("Outputs", headings("output | content hash | files > | size > | made from"), rows)


def breakdowns(records: Records, benchmark: str, primary: bool) -> list[Table]:
    """The primary metric by each kind of category and the counts of answers, or the other metrics' breakdowns."""
    kinds = dict.fromkeys(
        kind
        for score in records.scores_on(benchmark)
        for kind in score.breakdown
        if primary == ("_by_" not in kind or kind.startswith(f"{score.primary}_by_"))
    )
    return [_breakdown(records, benchmark, kind) for kind in kinds]


def _breakdown(records: Records, benchmark: str, kind: str) -> Table:
    """One kind of breakdown: a row for each part, a column for each run; means over its trainings."""
    found = {
        run: [score.breakdown.get(kind, {}) for score in scored]
        for run in records.runs
        if (scored := records.scores_of(run, benchmark))
    }
    columns = [Cell(""), *(num(run, colour=run_colours(records)[run]) for run in found)]
    parts = list(dict.fromkeys(part for trainings in found.values() for own in trainings for part in own))
    rows = [
        [Cell(part), *(num(_part([own[part] for own in trainings if part in own])) for trainings in found.values())]
        for part in parts
    ]
    return Table(kind.replace("_", " ").capitalize(), columns, rows)


def _part(values: list[CategoryScore | int]) -> str:
    """A part's value over the trainings: a share with its n, or a count."""
    if not values:
        return formats.NOT_RECORDED
    if isinstance(values[0], CategoryScore):
        return f"{formats.percent(fmean(value.value for value in values))} of {formats.count(values[0].n)}"
    return formats.count(fmean(values))
