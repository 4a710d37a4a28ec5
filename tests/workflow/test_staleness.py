"""Edit this, and exactly these rules rerun."""

import shutil
from contextlib import contextmanager

import pytest
from project_copy import Workflow

TRAINED = ("pretrained", "raw", "synthetic")
RUNS = (*TRAINED, "before")
BENCHMARKS = ("open", "choice")
DATASETS = ("captions", "raw", "synthetic")
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
        {f"data_page {name}" for name in DATASETS} | {"report"} | ANSWERS,
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


def test_a_lost_clearance_hides_no_change(finished):
    """Without a rule for its clearance, Snakemake would take a run's checkpoint for a source file."""
    cleared = finished.folder / "results/rehearsal/raw/cleared"
    cleared.unlink()
    try:
        assert finished.planned() == set()
        with edited(finished.folder / "small.yaml", "dataset: raw, max_steps: 3", "dataset: raw, max_steps: 2"):
            assert "train raw" in finished.planned()
    finally:
        cleared.touch()
    assert finished.planned() == set()
