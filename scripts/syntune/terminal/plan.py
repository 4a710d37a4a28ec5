"""What ``snakemake -n`` says: one screen, a line for the jobs of a rule that run for the same reason."""

import re
from collections import defaultdict

from snakemake.dag import DAG
from snakemake.jobs import Job

from syntune.artifacts.plans import PlannedJobs
from syntune.formats import plural
from syntune.terminal.calls import planned_call, this_call
from syntune.terminal.reasons import after, own_reason, rules_before, subject_of

_NAMED = 3
"""Up to so many jobs of a line are named."""

_LINE = re.compile(r"  (\w+) +([\d,]+)  (.*)")
"""A line of the plan: rule, number of jobs, reason."""


def jobs_to_run(dag: DAG) -> list[Job]:
    """The jobs that make something: target rules do nothing but ask for it."""
    return [job for job in dag.needrun_jobs() if job.output]


def plan_lines(dag: DAG) -> list[str]:
    """The jobs that would run, in the order of the rules, and why."""
    jobs, groups = jobs_to_run(dag), defaultdict(list)
    for job in jobs:
        groups[job.rule, own_reason(job, dag)].append(job)
    order = {rule: number for number, rule in enumerate(dag.workflow.rules)}
    width = max((len(rule.name) for rule, _ in groups), default=0)
    lines = [f"{plural(len(jobs), 'job')} to run:"]
    for rule, reason in sorted(groups, key=lambda group: (order[group[0]], not group[1], group[1])):
        found = groups[rule, reason]
        told = reason or after(set().union(*(rules_before(job, dag) for job in found)))
        lines.append(f"  {rule.name:{width}} {len(found):6,}  {told}{_named(found)}")
    return [*lines, f"To run them: {planned_call()}", f"Each job with its files: {this_call()} --printshellcmds"]


def jobs_told(said: str) -> list[PlannedJobs]:
    """The jobs that :func:`plan_lines` told."""
    lines = filter(None, map(_LINE.fullmatch, said.splitlines()))
    return [
        PlannedJobs(rule=rule, number=int(number.replace(",", "")), why=why)
        for rule, number, why in (line.groups() for line in lines)
    ]


def _named(jobs: list[Job]) -> str:
    """The jobs of a line, if they are few."""
    found = ", ".join(sorted(filter(None, map(subject_of, jobs))))
    return f" ({found})" if found and len(jobs) <= _NAMED else ""
