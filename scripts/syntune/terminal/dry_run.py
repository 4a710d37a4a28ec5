"""A dry run beside this process, for the plan: which jobs would run now, and why."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from syntune.artifacts.plans import PlannedJobs
from syntune.errors import UserError
from syntune.terminal.plan import jobs_told


def dry_run(configfiles: Sequence[str], config: Mapping[str, Any]) -> list[PlannedJobs]:
    """The jobs that would run to make everything.

    Args:
        configfiles: as given after ``--configfile``.
        config: as given after ``--config``.

    Raises:
        UserError: nothing could be planned; the message is what was said of it.
    """
    command = [sys.executable, "-m", "snakemake", "all", "-n", "--nolock"]
    command += ["--configfile", *configfiles] if configfiles else []
    command += ["--config", *(f"{key}={json.dumps(value)}" for key, value in config.items())] if config else []
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    said = done.stderr + done.stdout
    if done.returncode:
        errors = [line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")]
        raise UserError(errors[0] if errors else f"the dry run failed: {' '.join(command[2:])}")
    return jobs_told(said)
