"""A flipped bit, or a file cut short, in each kind of artefact: it is noticed before use, and the advice works.

The whole table takes long: ``tests/run -m slow`` runs it.
"""

import re
import shutil
from pathlib import Path

import pytest
from faults import cut, flip
from project_copy import Workflow
from stages import READERS, remove, results

DAMAGED = [
    ("seed/easy-vqa/chunk-00000.jsonl", "synthesize"),
    ("seed/easy-vqa/chunk-00000.manifest.json", "synthesize"),
    ("seed/easy-vqa.manifest.json", "gather_synthesis"),
    ("synth/captions/1/chunk-00000.jsonl", "select_rows"),
    ("synth/captions/1/chunk-00000.json", "select_rows"),
    ("synth/captions/1/chunk-00000.columns.parquet", "select_rows"),
    ("synth/captions/1/chunk-00000.lineage.parquet", "gather_synthesis"),
    ("synth/captions/2/chunk-00000.jsonl", "data_page"),
    ("synth/captions/1/chunk-sample.json", "rehearse_recipe"),
    ("seed/easy-vqa/chunk-00000.jsonl", "synthesize_with_models"),
    ("models/clip/model.safetensors", "synthesize_with_models"),
    ("synth/scored/1/chunk-00000.jsonl", "percentiles"),
    ("synth/scored/2/percentiles.json", "synthesize_by_percentile"),
    ("synth/scored/2/chunk-00000.jsonl", "hold_out"),
    ("data/scored.holdout.manifest.json", "shard_the_rest"),
    ("data/scored.holdout/shard-00000-of-00001.parquet", "shard_the_rest"),
    ("data/scored.holdout/shard-00000-of-00001.parquet", "train_and_validate"),
    ("data/scored.holdout/questions.parquet", "predict_held_out"),
    ("synth/captions.manifest.json", "data_page"),
    ("synth/synthetic.lineage.parquet", "shard"),
    ("data/raw/shard-00000-of-00002.parquet", "decontaminate"),
    ("data/raw/shard-00000-of-00002.parquet", "rehearse_training"),
    ("data/synthetic/shard-00000-of-00002.parquet", "prepare_base"),
    ("data/captions/shard-00000-of-00002.parquet", "data_page"),
    ("data/raw.manifest.json", "decontaminate"),
    ("data/captions.lineage.parquet", "data_page"),
    ("models/tiny/model.safetensors", "rehearse_training"),
    ("models/tiny/tokenizer.json", "rehearse_training"),
    ("models/tiny.manifest.json", "rehearse_training"),
    ("rehearsal/raw/checkpoint/adapter_model.safetensors", "rehearse_evaluation"),
    ("rehearsal/raw/checkpoint.manifest.json", "rehearse_evaluation"),
    ("rehearsal/raw/rehearsed.json", "clear_for_training"),
    ("rehearsal/raw/cleared", "train"),
    ("checkpoints/pretrained/model.safetensors", "train"),
    ("checkpoints/raw/adapter_model.safetensors", "predict"),
    ("checkpoints/raw/non_lora_trainables.safetensors", "predict"),
    ("checkpoints/raw.manifest.json", "predict"),
    ("contamination/raw.json", "score"),
    ("contamination/raw.json", "contamination_pictures"),
    ("contamination/raw.pictures.json", "report"),
    ("predictions/raw/open.jsonl", "score"),
    ("predictions/tuned/mine.000.jsonl", "gather_predictions"),
    ("scores/raw/open.json", "compare"),
    ("scores/compare.json", "report"),
    ("checkpoints/raw/metrics.jsonl", "report"),
    ("checkpoints/raw/summary.json", "report"),
    ("checkpoints/raw/planned.json", "report"),
]
"""Files below results/, and the stage that reads them next."""

MENDED = [
    ("cache/images/easy-vqa.sqlite", "ingest_seed"),
    ("cache/synthesis/captions/1/00000/rows/*/chunk-00000.jsonl", "synthesize"),
    ("cache/synthesis-models/*/*.jsonl", "synthesize_with_models"),
    ("cache/predictions/*/*.jsonl", "predict"),
    ("finished/raw/*/raw/adapter_model.safetensors", "train"),
]
"""Files that spare work, whose damage costs that work and nothing else."""

IN_EVERY_TEST = {("scores/raw/open.json", "compare")}


def table(rows: list[tuple[str, str]]) -> list:
    """Each row with both kinds of damage."""
    return [
        pytest.param(damage, *row, id=f"{damage.__name__} {row[0]} {row[1]}", marks=marks)
        for row in rows
        for damage in (flip, cut)
        for marks in [[] if row in IN_EVERY_TEST else [pytest.mark.slow]]
    ]


def to_damage(finished: Workflow, folder: Path) -> Workflow:
    """A copy in which all is made."""
    shutil.copytree(finished.folder, folder / "copy", symlinks=True)
    return Workflow(folder / "copy", finished.config, verbose=False)


@pytest.mark.parametrize(("damage", "file", "reader"), table(DAMAGED))
def test_damage_is_named_before_it_is_used_and_the_advice_brings_all_back(
    finished_with, tmp_path, damage, file, reader
):
    stage = READERS[reader]
    finished = finished_with(stage.config)
    workflow = to_damage(finished, tmp_path)
    remove(workflow, stage)
    damage(workflow.folder / "results" / file)
    done = workflow.snakemake(stage.target)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    (line,) = {line.strip() for line in done.stdout.splitlines() if line.strip().startswith("error: ")}
    assert str(Path(file).parent / Path(file).name.partition(".")[0]) in line
    assert not any((workflow.folder / "results" / made).exists() for made in stage.makes)

    to_delete = re.findall(r"(?:delete|and) (results/[\w./-]*\w)", line) + re.findall(
        r"(results/\S+?): .*delete it\b", line
    )
    assert to_delete, line
    for name in to_delete:
        path = workflow.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    stage.make_what_is_missing(workflow)
    assert results(workflow) == results(finished), line


@pytest.mark.parametrize(("damage", "files", "reader"), table(MENDED))
def test_what_only_spares_work_is_done_anew_if_it_is_damaged(finished_with, tmp_path, damage, files, reader):
    stage = READERS[reader]
    finished = finished_with(stage.config)
    workflow = to_damage(finished, tmp_path)
    remove(workflow, stage._replace(kept=()))
    for file in (workflow.folder / "results").glob(files):
        damage(file)
    done = workflow.snakemake(stage.target)
    assert done.returncode == 0, done.stdout
    assert results(workflow) == results(finished)
