"""The stages of the small config, and what they leave, below ``results/``."""

import re
import shutil
from typing import NamedTuple

from faults import hashes
from project_copy import Workflow

TIMES = re.compile(
    r"(logs|timings|cache|finished|work)/|made-with.txt|ballast|report/(index|figures/throughput)|rehearsal/\w+/cleared"
    r"|(checkpoints/\w+|rehearsal/\w+/checkpoint)/(events|finetuning|metrics|summary|README)|.*snakemake_timestamp"
)
"""Files below results/ that hold times, or that are no results: a clearance that was withdrawn is given when needed."""


class Stage(NamedTuple):
    """A stage's script and, below results/, its files.

    Attributes:
        script: the script's name.
        makes: files and folders, the first of which is asked for.
        kept: what it would take them from.
        writes_in: where its first file appears; None: where what it makes does.
        takes_back: what its job removes as it begins, for another one to make again.
    """

    script: str
    makes: tuple[str, ...]
    kept: tuple[str, ...] = ()
    writes_in: str | None = None
    takes_back: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """What is asked for."""
        return f"results/{self.makes[0]}"

    @property
    def all_targets(self) -> list[str]:
        """What is asked for so that all is there again."""
        return [self.target, *(f"results/{name}" for name in self.takes_back)]


def both(name: str) -> tuple[str, str]:
    """A folder and its manifest."""
    return f"{name}.manifest.json", name


STAGES = {
    "easy_vqa": Stage("easy_vqa", ("easy-vqa/manifest.json", "easy-vqa")),
    "ingest_seed": Stage("ingest_seed", (*both("seed/easy-vqa"), "seed/easy-vqa.quarantine.jsonl"), ("cache/images",)),
    "synthesize": Stage(
        "synthesize",
        tuple(f"synth/captions/1/chunk-00000.{ending}" for ending in ("json", "jsonl", "lineage.parquet")),
        ("cache/synthesis/captions/1/00000/rows",),
        "cache/synthesis/captions/1/00000/rows",
    ),
    "select_rows": Stage("select_rows", both("synth/captions/2")),
    "gather_synthesis": Stage("gather_synthesis", ("synth/captions.manifest.json", "synth/captions.lineage.parquet")),
    "shard": Stage("shard", (*both("data/synthetic"), "data/synthetic.lineage.parquet")),
    "data_page": Stage("data_page", ("report/data/captions.html",)),
    "decontaminate": Stage("decontaminate", ("contamination/raw.json",)),
    "contamination_pictures": Stage(
        "contamination_pictures", ("contamination/raw.html", "contamination/raw.pictures.json")
    ),
    "prepare_base": Stage("prepare_base", both("models/tiny")),
    "rehearse_training": Stage(
        "rehearse_training",
        ("rehearsal/raw/rehearsed.json", *both("rehearsal/raw/checkpoint")),
        takes_back=("rehearsal/raw/passed.json",),
    ),
    "rehearse_evaluation": Stage("rehearse_evaluation", ("rehearsal/raw/passed.json",)),
    "train": Stage("train", both("checkpoints/raw"), ("finished/raw",)),
    "predict": Stage(
        "predict", ("predictions/raw/open.jsonl",), ("cache/predictions",)
    ),
    "score": Stage("score", ("scores/raw/open.json",)),
    "compare": Stage("compare", tuple(f"scores/compare.{ending}" for ending in ("json", "tsv", "txt"))),
    "answers_page": Stage("answers_page", ("report/answers/open.html",)),
    "report": Stage("report", ("report/index.html", "report/figures")),
}  # fmt: skip


def results(workflow: Workflow) -> dict[str, str]:
    """The hashes of all results that are the same twice."""
    return {name: sha256 for name, sha256 in hashes(workflow.folder / "results").items() if not TIMES.match(name)}


def remove(workflow: Workflow, stage: Stage) -> None:
    """Remove what a stage made."""
    for name in (*stage.makes, *stage.kept):
        path = workflow.folder / "results" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
