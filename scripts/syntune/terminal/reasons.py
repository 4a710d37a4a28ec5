"""Why a job runs, in a user's words, from what Snakemake knows."""

import ast
import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from snakemake.dag import DAG
from snakemake.jobs import Job

_FILE = re.compile(r"(.+) [0-9a-f]{16}(?:[0-9a-f]{48})?")
"""A file or folder and its digest, as ``rules/common.smk`` puts them into params."""

_SHOWN = 3


def name_of(job: Job) -> str:
    """A job's rule and the values of its wildcards: ``predict raw stand-in-open``."""
    return f"{job.rule.name} {subject_of(job)}".rstrip()


def subject_of(job: Job) -> str:
    """The values of a job's wildcards: ``raw stand-in-open``."""
    return " ".join(filter(None, map(str, job.wildcards)))


def why(job: Job, dag: DAG) -> str:
    """Why a job runs: what changed for it or, if nothing did, the rules before it whose jobs run."""
    return own_reason(job, dag) or after(rules_before(job, dag))


def own_reason(job: Job, dag: DAG) -> str:
    """What changed for a job itself; empty if it runs because others run before it."""
    reason = dag.reason(job)
    if reason.forced:
        return "forced"
    if reason.missing_output and not os.path.exists(job.output[0]):
        return "not made yet"
    words = []
    if reason.missing_output:
        words.append(f"missing: {_some(reason.missing_output)}")
    if reason.incomplete_output:
        words.append(f"not finished: {_some(reason.incomplete_output)}")
    if updated := reason.updated_input - reason.updated_input_run:
        words.append(f"updated input: {_some(updated)}")
    if reason.input_changed:
        words.append("other input files than last time")
    if reason.params_changed:
        change = reason.params_changed
        names = frozenset((repr(value), name) for name, value in job.params.items())
        words += _changes(frozenset(change.only_old), frozenset(change.only_new), names)
    if reason.code_changed:
        words.append("its command changed")
    if reason.software_stack_changed:
        words.append(
            f"environment changed: {os.path.relpath(str(job.conda_env.file)) if job.conda_env else 'none now'}"
        )
    return "; ".join(words) or ("" if rules_before(job, dag) else str(reason))


def rules_before(job: Job, dag: DAG) -> set[str]:
    """The rules of the jobs that run before a job."""
    return {other.rule.name for other in dag.job_dependencies(job) if dag.needrun(other)}


def after(rules: Iterable[str]) -> str:
    """The reason of jobs to which nothing else happened."""
    return f"after {_some(rules)}"


@lru_cache(maxsize=4096)
def _changes(old: frozenset[str], new: frozenset[str], names: frozenset[tuple[str, str]]) -> list[str]:
    """What differs between the params of last time and those of now: the keys of settings, the files."""
    before, now = set(_leaves(old, {})), set(_leaves(new, dict(names)))
    keys = {key for key, _ in before ^ now}
    code = {key for key in keys if key.startswith("scripts/")}
    specs = {key for key in keys if key.startswith("envs/")}
    files = {key for key in keys if "/" in key} - code - specs
    settings = keys - code - specs - files - {""}
    kinds = {"settings": settings, "files": files, "code": code, "environment": specs}
    return [f"{kind} changed: {_some(found)}" for kind, found in kinds.items() if found] or ["settings changed"]


def _leaves(params: Iterable[str], names: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The single values of params, as Snakemake writes them down, each with the keys that lead to it."""
    for written in params:
        try:
            yield from _flat(ast.literal_eval(written), "", names.get(written, ""))
        except (ValueError, SyntaxError):
            yield names.get(written, ""), written


def _flat(value: Any, keys: str, name: str) -> Iterator[tuple[str, str]]:
    """The single values in ``value``, which is also read where it is JSON; ``name`` is that of a value without keys."""
    if isinstance(value, str) and (file := _FILE.fullmatch(value)):
        yield file[1] if "/" in file[1] else f"./{file[1]}", value
        return
    if isinstance(value, str) and value[:1] in ("{", "["):
        value = json.loads(value)
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flat(part, f"{keys}.{key}" if keys else str(key), name)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _flat(part, keys, name)
    else:
        yield keys or name, repr(value)


def _some(names: Iterable[object]) -> str:
    """The first few of some names, and how many more there are."""
    found = sorted(set(map(str, names)))
    more = len(found) - _SHOWN
    return ", ".join(found[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
