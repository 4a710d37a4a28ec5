"""Edit this, and exactly these rules rerun."""

import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from project_copy import Workflow

TRAINED = ("pretrained", "raw", "synthetic")
RUNS = (*TRAINED, "before")
BENCHMARKS = ("open", "choice")
DATASETS = ("captions", "raw", "synthetic")
SMALL = Path(__file__).with_name("small.yaml")
ANSWERS = {f"answers_page {benchmark}" for benchmark in BENCHMARKS}


def evaluated(*runs: str) -> set[str]:
    """The jobs that follow when what answers for ``runs`` changes."""
    pairs = [f"{run}.{benchmark}" for run in runs for benchmark in BENCHMARKS]
    return {f"{rule} {pair}" for rule in ("predict", "score") for pair in pairs} | {"compare", "report"} | ANSWERS


def trained(*runs: str) -> set[str]:
    """The jobs that follow when ``runs`` are trained again, those that build on them not counted."""
    return {f"train {run}" for run in runs} | evaluated(*runs)


def rehearsed(*runs: str) -> set[str]:
    """The rehearsals of ``runs``."""
    return {f"rehearse_evaluation {run}" for run in runs} | {
        f"rehearse_training {run}" for run in runs if run != "before"
    }


AFTER_CAPTIONS = (
    {"select_rows captions.2.", "select_rows captions.2.-sample", "gather_synthesis captions", "shard captions"}
    | {"data_page captions", "decontaminate captions", "contamination_pictures captions"}
    | {"clear_for_training pretrained"}
    | rehearsed("pretrained")
    | trained("pretrained", "raw", "synthetic")
)

SEARCHED = {f"{rule} {dataset}" for rule in ("decontaminate", "contamination_pictures") for dataset in DATASETS}
CHOICE = re.search(r"  choice:\n.*\n", SMALL.read_text())[0]
GATED = {f"clear_for_training {run}" for run in TRAINED}
AFTER_THE_BASE = rehearsed(*RUNS) | GATED | trained(*TRAINED) | evaluated("before")
AFTER_THE_SEED = (
    {"ingest_seed easy-vqa", "prepare_base tiny"}
    | {
        f"synthesize {dataset}.1.{part}"
        for dataset in DATASETS
        if dataset != "raw"
        for part in ("sample", "00000", "00001")
    }
    | {f"select_rows {dataset}.2.{scope}" for dataset in DATASETS if dataset != "raw" for scope in ("", "-sample")}
    | {f"gather_synthesis {dataset}" for dataset in DATASETS if dataset != "raw"}
    | {f"{rule} {dataset}" for rule in ("shard", "data_page") for dataset in DATASETS}
    | SEARCHED
    | AFTER_THE_BASE
)

# fmt: off
EDITS = {
    "a comment in the config": ("small.yaml", "title:", "# a comment\ntitle:", set()),
    "the report's title": ("small.yaml", "title: Small", "title: Other", {"report"}),
    "a comment in a recipe": ("config/recipes/captions.yaml", "process:", "# edited\nprocess:", set()),
    "a recipe's threshold": (
        "config/recipes/captions.yaml", "max_num: 24", "max_num: 23",
        {f"synthesize captions.1.{chunk}" for chunk in ("sample", "00000", "00001")} | AFTER_CAPTIONS,
    ),
    "a recipe's last operator": (
        "config/recipes/captions.yaml", "  - image_text_deduplicator: {}",
        "  - image_text_deduplicator: {}\n  - random_selector: {select_ratio: 0.9}",
        {f"synthesize captions.1.{chunk}" for chunk in ("sample", "00000", "00001")} | AFTER_CAPTIONS,
    ),
    "an operator's code": (
        "scripts/syntune/operators/qa_caption_mapper.py", "", "EDITED = True\n",
        {f"synthesize captions.1.{chunk}" for chunk in ("sample", "00000", "00001")} | AFTER_CAPTIONS,
    ),
    "a LoRA rank": (
        "small.yaml", "dataset: raw, max_steps: 3", "dataset: raw, lora: {r: 4}, max_steps: 3",
        rehearsed("raw") | {"clear_for_training raw"} | trained("raw"),
    ),
    "a benchmark added": (
        "small.yaml", "contamination:",
        "  more: {protocol: mmbench, table: results/easy-vqa/mmbench/table.tsv, limit: 4}\ncontamination:",
        {f"rehearse_evaluation {run}" for run in RUNS}
        | {f"{rule} {dataset}" for rule in ("decontaminate", "contamination_pictures") for dataset in DATASETS}
        | {f"{rule} {run}.more" for rule in ("predict", "score") for run in RUNS} | {"compare", "report"}
        | ANSWERS | {"answers_page more"}
        | {f"score {run}.{benchmark}" for run in TRAINED for benchmark in BENCHMARKS},
    ),
    "a benchmark's longest answer": (
        "small.yaml", "max_new_tokens: 4, limit: 10", "max_new_tokens: 5, limit: 10",
        {f"rehearse_evaluation {run}" for run in RUNS}
        | {f"{rule} {run}.choice" for rule in ("predict", "score") for run in RUNS} | {"compare", "report"}
        | {"answers_page choice"},
    ),
    "what becomes of empty answers": (
        "small.yaml", "limit: 10, empty_answers: wrong", "limit: 10, empty_answers: refuse",
        {f"score {run}.choice" for run in RUNS} | {"answers_page choice", "compare", "report"},
    ),
    "a run added": (
        "small.yaml", "  before:", "  again: {method: lora, start: pretrained, dataset: raw, gpus: 0}\n  before:",
        rehearsed("again") | {"clear_for_training again"} | trained("again"),
    ),
    "more trainings of a run": (
        "small.yaml", "dataset: raw, max_steps: 3", "dataset: raw, replicates: 3, max_steps: 3",
        {"clear_for_training raw-2", "clear_for_training raw-3"} | trained("raw-2", "raw-3") - ANSWERS,
    ),
    "a pin of an env spec": ("envs/report.yaml", "packaging==", "packaging>=", {"report"}),
    "a comment in an env spec": ("envs/report.yaml", "channels:", "# edited\nchannels:", set()),
    "the scores' statistics": (
        "scripts/syntune/benchmarks/statistics.py", "LEVEL = 0.95", "LEVEL = 0.9",
        {f"score {run}.{benchmark}" for run in RUNS for benchmark in BENCHMARKS} | {"compare", "report"} | ANSWERS,
    ),
    "a comment in what every command imports": (
        "scripts/syntune/errors.py", "class UserError", "# a comment\nclass UserError", set(),
    ),
    "a docstring and the layout of a module": (
        "scripts/syntune/benchmarks/statistics.py", '"""Error bars', '"""\n\nEdited error bars', set(),
    ),
    "the style of all pages": (
        "scripts/syntune/pages/page.css", "", "/* edited */",
        {f"{page} {name}" for page in ("data_page", "contamination_pictures") for name in DATASETS}
        | {"report"} | ANSWERS,
    ),
    "a template of the report": ("scripts/syntune/reporting/parts.html.j2", "", "{# edited #}", {"report"}),
    "what stands out in a dataset": (
        "scripts/syntune/data_page/remarks.py", "_MOST = 0.5", "_MOST = 0.6",
        {f"data_page {name}" for name in DATASETS} | {"report"},
    ),
    "how answers are filtered": ("scripts/syntune/answers_page/filters.js", "", "// edited", ANSWERS | {"report"}),
    "a module of the report": ("scripts/syntune/reporting/palette.py", "", "EDITED = True\n", {"report"}),
    "the command of training": (
        "scripts/train.py", "settings = read_params(", "edited = settings = read_params(",
        trained(*TRAINED),  # which take their finished checkpoints: the command trains nothing itself
    ),
    "the training's code": (
        "scripts/syntune/training/health.py", "_WINDOW = 50", "_WINDOW = 51",
        rehearsed(*TRAINED) | {f"clear_for_training {run}" for run in TRAINED} | trained(*TRAINED),
    ),
    "a setting that changes no checkpoint": (
        "small.yaml", "dataset: raw, max_steps: 3", "dataset: raw, save_steps: 7, max_steps: 3",
        rehearsed("raw") | trained("raw"),
    ),
    "a seed's limit": ("small.yaml", "limit: 600", "limit: 590", AFTER_THE_SEED),
    "a dataset's shards": (
        "small.yaml", "captions.yaml, shards: 2", "captions.yaml, shards: 3",
        {f"{rule} captions" for rule in ("shard", "data_page", "decontaminate", "contamination_pictures")}
        | {"clear_for_training pretrained"} | rehearsed("pretrained") | trained(*TRAINED),
    ),
    "a dataset's mix": (
        "small.yaml", "mix: {raw: 50}", "mix: {raw: 49}",
        {f"{rule} synthetic" for rule in ("shard", "data_page", "decontaminate", "contamination_pictures")}
        | {"prepare_base tiny"} | AFTER_THE_BASE,
    ),
    "a base model's seed": (
        "small.yaml", "tokenizer_dataset: synthetic", "tokenizer_dataset: synthetic, random_seed: 1",
        {"prepare_base tiny"} | AFTER_THE_BASE,
    ),
    "a model that nothing uses": (
        "small.yaml", "  tiny:", "  other: {source: tiny, tokenizer_dataset: raw}\n  tiny:", set(),
    ),
    "a run's threads": (
        "small.yaml", "dataset: synthetic, max_steps: 3", "dataset: synthetic, max_steps: 3, threads: 2",
        rehearsed("synthetic") | {"clear_for_training synthetic"} | trained("synthetic"),
    ),
    "a run removed": (
        "small.yaml", re.search(r"  synthetic: {method.*\n", SMALL.read_text())[0], "", {"compare", "report"} | ANSWERS,
    ),
    "a benchmark removed": (
        "small.yaml", CHOICE, "",
        {f"rehearse_evaluation {run}" for run in RUNS} | SEARCHED | {f"score {run}.open" for run in TRAINED}
        | {"compare", "report", "answers_page open"},
    ),
    "what counts as the same question": (
        "small.yaml", "max_share: null", "max_share: null, ngram: 7",
        SEARCHED | {f"score {run}.{benchmark}" for run in TRAINED for benchmark in BENCHMARKS} | {"compare", "report"}
        | ANSWERS,
    ),
    "a comparison": (
        "small.yaml", "compare: before", "compare: before\ncomparisons: [[raw, pretrained]]", {"compare", "report"},
    ),
    "questions answered at a time": (
        "small.yaml", "contamination:", "prediction: {batch_size: 4}\ncontamination:", evaluated(*RUNS),
    ),
    "a pin of an environment": (
        "envs/eval.yaml", "rapidfuzz==", "rapidfuzz==0.",
        {f"rehearse_evaluation {run}" for run in RUNS} | evaluated(*RUNS),
    ),
    "a rule's command": ("rules/scoring.smk", "scripts/compare.py", " scripts/compare.py", {"compare", "report"}),
    "a rule's docstring": ("rules/scoring.smk", 'rule compare:\n    """', 'rule compare:\n    """Edited: ', set()),
    "a rule's memory": ("rules/report.smk", "mem_mb=", "mem_mb=1 + ", set()),
    "a profile's resources": ("profiles/default/config.yaml", "mem_mb=2000", "mem_mb=3000", set()),
}
# fmt: on


@contextmanager
def edited(file, old, new):
    """One replacement in a file, taken back afterwards."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    try:
        yield
    finally:
        file.write_text(text)


def test_the_second_run_does_nothing(finished):
    assert "Nothing to be done" in finished.snakemake().stdout


@pytest.mark.parametrize(("file", "old", "new", "expected"), EDITS.values(), ids=EDITS.keys())
def test_an_edit_reruns_exactly_its_rules(finished, file, old, new, expected):
    with edited(finished.folder / file, old, new):
        assert finished.planned() == expected
    assert finished.planned() == set()


def test_another_place_of_project_and_environments_reruns_nothing(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    assert Workflow(tmp_path / "copy").planned("--conda-prefix", str(tmp_path / "conda")) == set()


def test_a_touched_seed_reruns_nothing(finished):
    (finished.folder / "results/easy-vqa/seed.jsonl").touch()
    (finished.folder / "results/data/raw/shard-00000-of-00002.parquet").touch()
    assert finished.planned() == set()


def test_shards_that_are_removed_to_save_space_are_made_again_only_when_they_are_asked_for(finished):
    shards, away = finished.folder / "results/data/captions", finished.folder / "away"
    shards.rename(away)
    try:
        assert finished.planned() == set()
        assert finished.planned("data") == {"data", "shard captions", "data_page captions"}
    finally:
        away.rename(shards)


@pytest.mark.parametrize(
    ("lost", "rule"),
    [
        ("contamination/raw.json", "decontaminate raw"),
        ("predictions/raw/open.jsonl", "predict raw.open"),
        ("scores/raw/open.json", "score raw.open"),
        ("scores/compare.json", "compare"),
    ],
)
def test_what_the_report_rests_on_is_made_again(finished, lost, rule):
    file = finished.folder / "results" / lost
    content, times = file.read_bytes(), file.stat()
    file.unlink()
    try:
        assert rule in finished.planned()
    finally:
        file.write_bytes(content)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert finished.planned() == set()


def test_a_module_that_an_older_one_replaces_counts(finished):
    module = finished.folder / "scripts/syntune/benchmarks/statistics.py"
    with edited(module, "LEVEL = 0.95", "LEVEL = 0.9"):
        os.utime(module, (10**9, 10**9))
        assert "score raw.open" in finished.planned()


def test_a_lost_clearance_hides_no_change(finished):
    """Without a rule for its clearance, Snakemake would take a run's checkpoint for a source file."""
    cleared = finished.folder / "results/rehearsal/raw/cleared"
    content = cleared.read_bytes()
    cleared.unlink()
    try:
        assert finished.planned() == set()
        with edited(finished.folder / "small.yaml", "dataset: raw, max_steps: 3", "dataset: raw, max_steps: 2"):
            assert "train raw" in finished.planned()
    finally:
        cleared.write_bytes(content)
    assert finished.planned() == set()
