"""The shell that Snakemake is called from: what must not reach environments and jobs, which conda it finds, Ctrl-C."""

import os
import re
import shlex
import signal
from collections.abc import Iterable, MutableMapping, Sequence
from itertools import takewhile
from pathlib import Path
from types import FrameType

_ACTIVE = re.compile(r"CONDA_(SHLVL|PREFIX|DEFAULT_ENV|PROMPT_MODIFIER|(PREFIX|STACKED)_\d+)")
"""By which conda knows what is active."""

_CONFIGS = ("--configfile", "--configfiles")
"""What a call names configs after: each word up to the next option is one."""

_OTHER_PACKAGES = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def leave_environments(variables: MutableMapping[str, str]) -> None:
    """Let no environment be active, and no packages be found but those of the environment that a job activates.

    While one is active, conda's activation replaces its entry of PATH where that stands (``_replace_prefix_in_path`` of
    conda/activate.py): behind ``.venv/bin``, where ``.venv`` was activated after ``conda init`` activated ``base``.
    Where none is active, it puts the new entry first.
    """
    for name in [*filter(_ACTIVE.fullmatch, variables), *_OTHER_PACKAGES]:
        variables.pop(name, None)
    variables["PYTHONNOUSERSITE"] = "1"  # conda's Python reads ~/.local


def missing_config(arguments: Sequence[str]) -> str | None:
    """What is wrong with the first config of a call that is not there: a target, mostly. None if all are there."""
    place = next((at for at, each in enumerate(arguments) if each.split("=")[0] in _CONFIGS), len(arguments))
    given = list(takewhile(lambda each: not each.startswith("-"), arguments[place + 1 :]))
    if place < len(arguments) and "=" in arguments[place]:
        given = [arguments[place].split("=", 1)[1]]
    missing = [file for file in given if not os.path.exists(file)]
    if not missing:
        return None
    if missing[0] == given[0] or missing[0].endswith((".yaml", ".yml", ".json")):
        return f"{missing[0]}: there is no such config"
    kept = [each for at, each in enumerate(arguments) if not (place < at <= place + len(given) and each in missing)]
    call = shlex.join(["snakemake", *missing, *kept])
    return f"{missing[0]} stands after --configfile, so it is taken for a config; put targets first: {call}"


def interrupt_once() -> None:
    """Let the first Ctrl-C interrupt and each further one say that the jobs are still ending.

    While Snakemake waits for them, another interrupt would end it in tracebacks, and its lock, and leave them running.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, wait)
        raise KeyboardInterrupt

    def wait(number: int, frame: FrameType | None) -> None:
        said = "still waiting for the jobs to end; Ctrl-\\ ends all at once and leaves a lock"
        os.write(2, f"{said}\n".encode())  # unlike print, safe in whatever was interrupted

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a call behind nohup or & may ignore it
        signal.signal(signal.SIGINT, interrupt)


def later_conda(link: Path, folders: Iterable[str]) -> Path | None:
    """The first conda in ``folders`` but for ``link`` to the front-end of uv, if it was installed after that."""
    if not link.is_symlink():
        return None
    for conda in (Path(folder, "conda") for folder in folders):
        if os.access(conda, os.X_OK) and not conda.samefile(link):
            return conda if conda.stat().st_ctime > link.lstat().st_ctime else None
    return None
