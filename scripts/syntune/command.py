"""How every command starts and ends: its environment and code checked first, a user's mistake in one line."""

import argparse
import errno
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from syntune.errors import UserError, one_line
from syntune.interpreter import require_environment
from syntune.planned import require_planned_code

_DISK = re.compile(
    "No space left on device|database or disk is full|Disk quota exceeded"
    r"|inline_container\.cc.* unexpected pos|\d+ requested and \d+ written"  # so torch.save and numpy.save say it
)
_MEMORY = re.compile(
    "[Cc]an(no|')t allocate memory|failed to map segment|bad_alloc"
    "|can't start new thread|Failed to launch worker thread"
)


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
    except Exception as error:
        told = _told_shortage(error) or (str(error) if isinstance(error, UserError) else None)
        if told is None:
            raise
        _stop(told)


def _told_shortage(error: BaseException | None) -> str | None:
    """What to say if ``error``, or what led to it, says that disk or memory is short; whatever else is said of that.

    A file that could not be read for lack of memory is not damaged, though who reads it may say so.
    """
    while error:
        if _says(error, _DISK, errno.ENOSPC, errno.EDQUOT):
            where = getattr(error, "filename", None) or "the output"
            return f"no space left on the disk while writing {where}; free some and run again"
        if isinstance(error, MemoryError) or _says(error, _MEMORY, errno.ENOMEM):
            said = one_line(error) or type(error).__name__
            return f"not enough memory ({said}); free some, or raise the job's limit (mem_mb, ulimit -v), and run again"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def _says(error: BaseException, words: re.Pattern[str], *numbers: int) -> bool:
    """Whether an error says it by its number or, from compiled code such as safetensors' and SQLite's, in words."""
    return getattr(error, "errno", None) in numbers or bool(words.search(str(error)))


def _stop(message: str) -> None:
    """Print one line and leave with status 1."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)
