"""Benchmarks that ask about held-out rows, pointed at the files that hold them."""

from syntune.settings.holdout_names import QUESTIONS
from syntune.settings.tree import Settings


def holdout_folder(results: str, dataset: str) -> str:
    """Where the held-out rows of a dataset are."""
    return f"{results}/data/{dataset}.holdout"


def asked_of(settings: Settings) -> dict[str, str]:
    """The dataset whose held-out rows each benchmark asks about, for those that do."""
    named = {name: getattr(benchmark, "holdout", None) for name, benchmark in settings.benchmarks.items()}
    return {name: dataset for name, dataset in named.items() if dataset}


def ask_held_out(settings: Settings, results: str) -> Settings:
    """The settings with the file of questions instead of each benchmark's ``holdout``."""
    files = {name: f"{holdout_folder(results, dataset)}/{QUESTIONS}" for name, dataset in asked_of(settings).items()}
    asked = {name: settings.benchmarks[name].asked_of(file) for name, file in files.items()}
    return settings.model_copy(update={"benchmarks": settings.benchmarks | asked})
