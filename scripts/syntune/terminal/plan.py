"""What ``snakemake -n`` says: one screen, a line for the jobs of a rule that run for the same reason."""

from collections import defaultdict

from snakemake.dag import DAG
from snakemake.jobs import Job

from syntune.formats import plural
from syntune.terminal.reasons import subject_of, why

_NAMED = 3
"""Up to so many jobs of a line are named."""


def jobs_to_run(dag: DAG) -> list[Job]:
    """The jobs that make something: target rules do nothing but ask for it."""
    return [job for job in dag.needrun_jobs() if job.output]


def plan_lines(dag: DAG) -> list[str]:
    """The jobs that would run, in the order of the rules, and why."""
    order = {rule: number for number, rule in enumerate(dag.workflow.rules)}
    groups: defaultdict[tuple[int, str, str], list[str]] = defaultdict(list)
    for job in (jobs := jobs_to_run(dag)):
        groups[order[job.rule], job.rule.name, why(job, dag)].append(subject_of(job))
    width = max((len(rule) for _, rule, _ in groups), default=0)
    lines, before = [f"{plural(len(jobs), 'job')} to run:"], ""
    for (_, rule, reason), subjects in sorted(groups.items()):
        lines.append(f"  {'' if rule == before else rule:{width}} {len(subjects):6,}  {reason}{_named(subjects)}")
        before = rule
    return [*lines, "To run them: snakemake --cores all. Each job with its files: snakemake -n --printshellcmds"]


def _named(subjects: list[str]) -> str:
    """The jobs of a line, if they are few."""
    found = ", ".join(sorted(filter(None, subjects)))
    return f" ({found})" if found and len(subjects) <= _NAMED else ""
