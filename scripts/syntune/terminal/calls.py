"""Calls of snakemake that a user may copy: this one again, or what it plans."""

import shlex
import sys
from collections.abc import Sequence

_DRY = ("-n", "--dry-run", "--dryrun")
_CORES = ("-c", "--cores", "-j", "--jobs", "--workflow-profile", "--profile")


def this_call(arguments: Sequence[str] | None = None) -> str:
    """The call that runs now; ``arguments`` stand in for those of the process."""
    return shlex.join(["snakemake", *(sys.argv[1:] if arguments is None else arguments)])


def planned_call(arguments: Sequence[str] | None = None) -> str:
    """The call that runs what a dry run plans, on all cores if it does not say on how many."""
    given = sys.argv[1:] if arguments is None else arguments
    kept = [argument for argument in given if argument not in _DRY]
    says_cores = any(argument.split("=")[0] in _CORES or argument.startswith(("-c", "-j")) for argument in kept)
    return this_call(kept if says_cores else ["--cores", "all", *kept])
