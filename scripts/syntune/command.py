"""How every command starts and ends: its environment and code checked first, a user's mistake in one line."""

import argparse
import errno
import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from syntune.errors import UserError
from syntune.interpreter import require_environment
from syntune.planned import require_planned_code


def run_command(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser, environment: str) -> None:
    """Parse the command line, check interpreter and code, run ``main``; exit 1 with one line on a user's mistake.

    ``environment`` names the env spec that the command's rule is bound to; a command whose rule chooses between several
    has an ``--environment`` option, which wins.
    """
    args = parser.parse_args()
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # transformers' too: bars are for terminals
    names = [str(getattr(args, name)) for name in ("run", "benchmark") if hasattr(args, name)]
    what = " ".join(names).replace("%", "%%")
    line = f"%(levelname)s %(name)s{f' {what}' if what else ''}: %(message)s"  # jobs at the same time share a terminal
    logging.basicConfig(level=logging.INFO, format=line, stream=sys.stderr)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")  # what it tells itself
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it asks for a package that nothing here needs
    try:
        require_environment(getattr(args, "environment", environment))
        require_planned_code(Path(sys.argv[0]).stem)
        main(args)
    except UserError as error:
        _stop(str(error))
    except Exception as error:
        if not _disk_is_full(error):
            raise
        where = getattr(error, "filename", None) or "the output"
        _stop(f"no space left on the disk while writing {where}; free some and run again")


def _disk_is_full(error: Exception) -> bool:
    """Whether ``error`` says so, by number or, from compiled writers such as safetensors' and SQLite's, in words."""
    said = str(error)
    return (
        getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        or "No space left on device" in said
        or "database or disk is full" in said
    )


def _stop(message: str) -> None:
    """Print one line and leave with status 1."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)
