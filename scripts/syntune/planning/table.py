"""The plan as text for a terminal."""

from syntune import formats
from syntune.artifacts.plans import Plan, PlannedRun


def plan_lines(plan: Plan, limit_gib: float | None) -> list[str]:
    """The plan, a few lines a run."""
    lines = ["Datasets"]
    for data in plan.datasets:
        if data.rows is None:
            told = "rows not known before its seed is read"
        elif data.bytes is None:
            told = f"{formats.count(data.rows)} rows at most, from the config: recipes may drop some"
        else:
            told = f"{formats.count(data.rows)} rows, {formats.size(data.bytes)} of shards"
        lines.append(f"  {data.dataset}: {told}")
    for run in plan.runs:
        lines += ["", *_run_lines(run, limit_gib)]
    if any(plan.gpu_hours.values()):
        left = [run.run for run in plan.runs if not run.hours]
        of = f"all trainings but {formats.listing(left)}" if left else "all trainings"
        lines += ["", f"GPU hours of {of}: {_by_gpu(plan.gpu_hours, '{:.1f}')}"]
        if plan.costs is not None:
            lines.append(f"costs of these: {_by_gpu(plan.costs, '{:.2f}')}")
    return lines


def _run_lines(run: PlannedRun, limit_gib: float | None) -> list[str]:
    """A run's lines."""
    steps = formats.count(run.steps, "an unknown number of")
    lines = [f"{run.run} ({run.method}): {steps} steps, {formats.count(run.supervised_tokens, '?')} supervised tokens"]
    if run.unknown:
        return [*lines, f"  not predicted: {run.unknown}"]
    lines.append("  parameters: " + _counts(run.parameters) + "; trained: " + _counts(run.trained_parameters))
    parts = ", ".join(f"{name} {value:.1f}" for name, value in run.memory_gib.items() if value >= 0.05)
    verdict = (
        "" if limit_gib is None else " fits" if run.needed_gib <= limit_gib else f" DOES NOT FIT {limit_gib:g} GiB"
    )
    lines.append(f"  memory of each GPU, GiB: {run.needed_gib:.1f}{verdict} ({parts})")
    if run.hours:
        gpus = f" on {formats.plural(run.gpus, 'GPU')}" if run.gpus > 1 else ""
        lines.append(f"  hours{gpus}: " + _by_gpu(run.hours, "{:.2f}") + f"; {run.flops:.2g} FLOP")
    if run.measured_hours is not None:
        lines.append(f"  hours at the speed of its last training: {run.measured_hours:.2f} ({run.measured_on})")
    return lines


def _counts(parts: dict[str, int]) -> str:
    """Numbers by part, in millions."""
    return ", ".join(f"{name} {number / 1e6:,.1f} M" for name, number in parts.items())


def _by_gpu(values: dict[str, float], form: str) -> str:
    """Values by the name of a GPU."""
    return ", ".join(f"{name} {form.format(value)}" for name, value in values.items())
