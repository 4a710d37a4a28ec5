"""Where a config's results lie, so that several configs of one clone stand side by side."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from syntune.errors import UserError

OF_THE_DEMO = "results"
"""The folder of ``config.yaml``; beside its folders lie those of the other configs, and what all of them share."""

SHARED = ("cache", "easy-vqa", "environments")
OWN = (
    "checkpoints", "contamination", "data", "finished", "logs", "models", "plan", "predictions", "rehearsal", "report",
    "scores", "seed", "synth", "timings", "wandb", "work",
)  # fmt: skip
"""The folders in ``results`` that no config can have for its own."""

_MADE_WITH = "made-with.txt"
_UNFIT = re.compile(r"[\s{}<>*?\[\]'\"\\$]")
"""What Snakemake or a shell reads as something else than a part of a path."""


def results_folder(configs: Sequence[str], wanted: str | None = None) -> str:
    """The folder of a config's results.

    Args:
        configs: the paths of the config's files, the last one the most particular; none means ``config.yaml``.
        wanted: the config's key ``results``; None takes ``results/NAME`` for a config ``NAME.yaml``, and ``results``
            for ``config.yaml``.

    Raises:
        UserError: the folder is one that the workflow uses otherwise, or cannot be one.
    """
    config = configs[-1] if configs else "config.yaml"
    of_the_config = OF_THE_DEMO if config == "config.yaml" else f"{OF_THE_DEMO}/{Path(config).stem}"
    folder = os.path.normpath(os.path.expanduser(wanted or of_the_config))
    says = f"{config}: results: {folder}"
    if unfit := _UNFIT.search(folder):
        raise UserError(f"{says}: a folder of results cannot have {unfit[0]!r} in its name; set results to another one")
    *_, first = ("", *Path(os.path.relpath(folder, OF_THE_DEMO)).parts[:1])
    if first in (*SHARED, *OWN):
        raise UserError(f"{says} has the name of a folder within {OF_THE_DEMO}; set results to another one")
    if Path.cwd().is_relative_to(os.path.realpath(folder)):
        raise UserError(f"{says} holds the project itself; set results to a folder of its own")
    for path in (Path(folder), *Path(folder).parents):
        if os.path.lexists(path) and not path.is_dir():
            what = "a link to what does not exist" if path.is_symlink() else "not a folder"
            raise UserError(f"{says}: {path} is {what}; mend it or set results to another folder")
    return folder


def is_made(path: str | Path, results: str = OF_THE_DEMO) -> bool:
    """Whether a path lies where rules make things."""
    return any(Path(os.path.abspath(path)).is_relative_to(os.path.abspath(top)) for top in (OF_THE_DEMO, results))


def other_config(folder: str, config: str) -> str | None:
    """The config that a folder of results was last made with, if it is another one."""
    try:
        last = Path(folder, _MADE_WITH).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return last if last != config else None


def remember_config(folder: str, config: str) -> None:
    """Note in a folder of results which config it is made with.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, _MADE_WITH).write_text(config + "\n", encoding="utf-8")
    except OSError as error:
        advice = "make it writable or set results to another folder"
        raise UserError(f"{folder}: results cannot be written there ({error.strerror}); {advice}") from error
