"""The stages of the small and the wide config, and what they leave, below ``results/``."""

import re
import shutil
from pathlib import Path
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
        also: what must be made again with it.
        is_quick: whether it ends as soon as it writes, and must be struck as it begins.
        config: the config in which it stands.
    """

    script: str
    makes: tuple[str, ...]
    kept: tuple[str, ...] = ()
    writes_in: str | None = None
    also: tuple[str, ...] = ()
    is_quick: bool = False
    config: str = "small.yaml"

    @property
    def target(self) -> str:
        """What is asked for."""
        return f"results/{self.makes[0]}"

    @property
    def places(self) -> list[str] | None:
        """The folders in which its first file appears."""
        names = [self.writes_in] if self.writes_in else sorted({str(Path(name).parent) for name in self.makes})
        return None if self.is_quick else names

    def make_what_is_missing(self, workflow: Workflow) -> None:
        """Run Snakemake for it; where no rule makes what is there, it cannot be asked for."""
        wanted = [f"results/{name}" for name in (self.makes[0], *self.also)]
        if missing := [name for name in wanted if not (workflow.folder / name).exists()]:
            done = workflow.snakemake(*missing)
            assert done.returncode == 0, done.stdout


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
    "synthesize_with_models": Stage(
        "synthesize_with_models",
        tuple(f"synth/scored/1/chunk-00000.{end}" for end in ("json", "jsonl", "lineage.parquet", "scores.parquet")),
        ("cache/synthesis-models",),
        config="wide.yaml",
    ),
    "percentiles": Stage("percentiles", ("synth/scored/2/percentiles.json",), config="wide.yaml"),
    "rehearse_recipe": Stage(
        "rehearse_recipe",
        ("synth/captions/rehearsed.json",),
        ("synth/captions.manifest.json",),  # for a dataset that was never finished
        also=("synth/captions.manifest.json",),
    ),
    "select_rows": Stage("select_rows", both("synth/captions/2")),
    "gather_synthesis": Stage("gather_synthesis", ("synth/captions.manifest.json", "synth/captions.lineage.parquet")),
    "hold_out": Stage("hold_out", both("data/scored.holdout"), config="wide.yaml"),
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
        also=("rehearsal/raw/passed.json",),  # which its job removes as it begins
    ),
    "rehearse_evaluation": Stage("rehearse_evaluation", ("rehearsal/raw/passed.json",)),
    "clear_for_training": Stage(
        "clear_for_training",
        ("rehearsal/raw/cleared", "rehearsal/raw/planned.json"),
        is_quick=True,
    ),
    "train": Stage("train", both("checkpoints/raw"), ("finished/raw",)),
    "predict": Stage(
        "predict", ("predictions/raw/open.jsonl",), ("cache/predictions",)
    ),
    "gather_predictions": Stage("gather_predictions", ("predictions/tuned/mine.jsonl",), config="wide.yaml"),
    "score": Stage("score", ("scores/raw/open.json",)),
    "compare": Stage("compare", tuple(f"scores/compare.{ending}" for ending in ("json", "tsv", "txt"))),
    "answers_page": Stage("answers_page", ("report/answers/open.html",)),
    "report": Stage("report", ("report/index.html", "report/figures")),
}  # fmt: skip
"""One of each rule, by the rule's name."""

READERS = {
    **STAGES,
    "synthesize_by_percentile": Stage(
        "synthesize",
        tuple(f"synth/scored/2/chunk-00000.{ending}" for ending in ("json", "jsonl", "lineage.parquet")),
        ("cache/synthesis/scored/2/00000",),
        config="wide.yaml",
    ),
    "shard_the_rest": Stage("shard", (*both("data/scored"), "data/scored.lineage.parquet"), config="wide.yaml"),
    "train_and_validate": Stage("train", both("checkpoints/tuned"), ("finished/tuned",), config="wide.yaml"),
    "predict_held_out": Stage(
        "predict", ("predictions/tuned/mine.000.jsonl",), ("cache/predictions",), config="wide.yaml"
    ),
}
"""These, and others that read what they don't."""


def results(workflow: Workflow) -> dict[str, str]:
    """The hashes of all results that are the same twice."""
    return {name: sha256 for name, sha256 in hashes(workflow.folder / "results").items() if not TIMES.match(name)}


def remove(workflow: Workflow, stage: Stage) -> None:
    """Remove what a stage made."""
    for name in (*stage.makes, *stage.kept):
        path = workflow.folder / "results" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
