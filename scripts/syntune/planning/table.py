"""The plan as text for a terminal."""

from syntune import formats
from syntune.artifacts.plans import Plan, PlannedRun

MEASURED_CARD = "H100"
"""The GPU that the formulas were set on."""

WITH_ROWS = ("seed", "synthesis", "dataset")
"""The stages that keep rows."""


def plan_lines(plan: Plan, limit_gib: float | None) -> list[str]:
    """The plan, a few lines a run."""
    lines = [*_job_lines(plan), "", "Rows and disk (~ is estimated: as if recipes neither drop nor add rows)"]
    width = max((len(f"{stage.stage} {stage.name}") for stage in plan.stages), default=0)
    for stage in plan.stages:
        sign = "" if stage.counted else "~"
        rows = "?" if stage.rows is None else sign + formats.count(stage.rows)
        size = "?" if stage.bytes is None else sign + formats.size(stage.bytes)
        told = f"{rows} rows" if stage.stage in WITH_ROWS else ""
        lines.append(f"  {stage.stage + ' ' + stage.name:{width}}  {told:>17}  {size:>10}")
    lines.append(f"  {disk_told(plan)}")
    for run in plan.runs:
        lines += ["", *_run_lines(run, limit_gib)]
    if any(plan.gpu_hours.values()):
        left = [run.run for run in plan.runs if not run.hours]
        of = f"all trainings but {formats.listing(left)}" if left else "all trainings"
        lines += ["", f"GPU hours of {of}: {_by_gpu(plan.gpu_hours, '{:.1f}')}"]
        if plan.costs is not None:
            lines.append(f"costs of these: {_by_gpu(plan.costs, '{:.2f}')}")
        lines.append(f"Hours on GPUs other than the {MEASURED_CARD} are scaled by data sheets, not measured.")
    return lines


def _job_lines(plan: Plan) -> list[str]:
    """What would run now."""
    if plan.jobs_unknown:
        return [f"Jobs: not told: {plan.jobs_unknown}"]
    width = max((len(jobs.rule) for jobs in plan.jobs), default=0)
    lines = [f"  {jobs.rule:{width}} {jobs.number:6,}  {jobs.why}" for jobs in plan.jobs]
    return [f"{formats.plural(sum(jobs.number for jobs in plan.jobs), 'job')} to run", *lines]


def disk_told(plan: Plan) -> str:
    """The disk that all stages take, and how many are left out of that."""
    known = [stage.bytes for stage in plan.stages if stage.bytes is not None]
    left = (
        f", without {len(plan.stages) - len(known)} of which nothing tells yet" if len(known) < len(plan.stages) else ""
    )
    return f"Together about {formats.size(sum(known))}{left}"


def _run_lines(run: PlannedRun, limit_gib: float | None) -> list[str]:
    """A run's lines."""
    steps = formats.count(run.steps, "an unknown number of")
    lines = [f"{run.run} ({run.method}): {steps} steps, {formats.count(run.supervised_tokens, '?')} supervised tokens"]
    if run.unknown:
        return [*lines, f"  not predicted: {run.unknown}"]
    lines.append("  parameters: " + _counts(run.parameters) + "; trained: " + _counts(run.trained_parameters))
    parts = ", ".join(f"{name} {value:.1f}" for name, value in run.memory_gib.items() if value >= 0.05)
    verdict = "" if limit_gib is None else " fits" if fits(run, limit_gib) else f" DOES NOT FIT {limit_gib:g} GiB"
    lines.append(f"  memory of each GPU, GiB: {run.needed_gib:.1f}{verdict} ({parts})")
    if run.hours:
        gpus = f" on {formats.plural(run.gpus, 'GPU')}" if run.gpus > 1 else ""
        lines.append(f"  hours{gpus}: " + _by_gpu(run.hours, "{:.2f}") + f"; {run.flops:.2g} FLOP")
    if run.measured_hours is not None:
        of = "its last training" if run.measured_by == run.run else f"the training of {run.measured_by}, scaled"
        lines.append(f"  hours at the pace of {of}: {run.measured_hours:.2f} ({run.measured_on})")
    if run.not_measured:
        lines.append(f"  nothing like it was measured: {formats.listing(run.not_measured)}")
    return lines


def fits(run: PlannedRun, limit_gib: float) -> bool:
    """Whether a run whose memory is told fits GPUs of so many GiB."""
    return run.needed_gib is not None and run.needed_gib <= limit_gib


def _counts(parts: dict[str, int]) -> str:
    """Numbers by part, in millions."""
    return ", ".join(f"{name} {number / 1e6:,.1f} M" for name, number in parts.items())


def _by_gpu(values: dict[str, float], form: str) -> str:
    """Values by the name of a GPU."""
    return ", ".join(f"{name} {form.format(value)}" for name, value in values.items())
