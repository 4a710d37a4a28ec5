"""What a user breaks, and what they read: one line, no half-written output, nothing run in the wrong place."""

import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest
from project_copy import ROOT, Workflow

SEED = {"id": "a", "images": ["a.png"], "text": "<__dj__image>\nA square. <|__dj__eoc|>"}


def error_lines(output: str) -> list[str]:
    """The lines that Syntune itself wrote, each once: what a job said stands in its log, too, which is shown."""
    return list(dict.fromkeys(line for line in output.splitlines() if line.startswith("error: ")))


def test_a_misspelt_key_is_named_with_the_nearest_good_one(fresh):
    config = fresh.folder / "small.yaml"
    config.write_text(config.read_text().replace("tokenizer_dataset", "tokeniser_dataset"))
    done = fresh.snakemake("-n")
    assert done.returncode == 1
    assert error_lines(done.stdout) == [
        "error: small.yaml: models.tiny.tokeniser_dataset: unknown key; did you mean 'tokenizer_dataset'? (and 1 more)"
    ]


def test_a_seed_that_is_not_there_is_named(fresh):
    config = fresh.folder / "small.yaml"
    config.write_text(config.read_text().replace("results/easy-vqa/seed.jsonl", "data/seed.jsonl"))
    done = fresh.snakemake("-n")
    assert done.returncode == 1
    (line,) = error_lines(done.stdout)
    assert line.startswith("error: small.yaml: seeds.easy-vqa.path: data/seed.jsonl does not exist")


def own_seed(workflow: Workflow, lines: list[str]) -> None:
    """Give the copy a seed of its own, with the images that its rows name left out."""
    (workflow.folder / "data").mkdir()
    (workflow.folder / "data/seed.jsonl").write_text("\n".join(lines) + "\n")
    config = workflow.folder / "small.yaml"
    config.write_text(config.read_text().replace("results/easy-vqa/seed.jsonl", "data/seed.jsonl"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([json.dumps(SEED), "{not json"], "data/seed.jsonl: line 2"),
        ([json.dumps(SEED)], "a.png"),
        (["{}"], "data/seed.jsonl: line 1"),
    ],
    ids=["malformed line", "missing image", "missing key"],
)
def test_a_bad_seed_stops_the_first_rule(fresh, lines, said):
    own_seed(fresh, lines)
    done = fresh.snakemake("results/seed/easy-vqa.manifest.json")
    assert done.returncode == 1
    (line,) = error_lines(done.stdout)
    assert said in line
    assert "Traceback" not in done.stdout
    assert not list((fresh.folder / "results/seed").glob("*"))


def conda_with(activate: str, base: Path) -> Path:
    """A folder for PATH with a ``conda`` whose activation is as given, and that is otherwise the machine's own."""
    real = shutil.which("conda", path=str(ROOT / ".venv/bin")) or shutil.which("conda")
    for folder in ("bin", "condabin"):
        (base / folder).mkdir()
    (base / "bin/activate").write_text(activate)
    conda = base / "condabin/conda"
    conda.write_text(
        f"""#!/usr/bin/env bash
if [ "$1" = info ]; then
    "{real}" "$@" | sed 's|"conda_prefix": "[^"]*"|"conda_prefix": "{base}"|'
else
    exec "{real}" "$@"
fi
"""
    )
    conda.chmod(conda.stat().st_mode | stat.S_IXUSR)
    return conda.parent


def test_a_job_whose_activation_fails_stops_rather_than_run_elsewhere(fresh, tmp_path_factory):
    conda = conda_with("return 1\n", tmp_path_factory.mktemp("base"))
    done = fresh.snakemake("results/easy-vqa/manifest.json", first_on_path=conda)
    assert done.returncode == 1
    assert any(line.startswith("error: wrong interpreter: ") for line in error_lines(done.stdout))
    assert not (fresh.folder / "results/easy-vqa/manifest.json").exists()


ACTIVATE = """
shlvl=${CONDA_SHLVL:-0}
if [ "$shlvl" -gt 0 ] && [[ ":$PATH:" == *":$CONDA_PREFIX/bin:"* ]]; then
    path=":$PATH:"
    path=${path/":$CONDA_PREFIX/bin:"/":$1/bin:"}
    path=${path#:}
    export "CONDA_PREFIX_$shlvl=$CONDA_PREFIX" PATH="${path%:}"
else
    export PATH="$1/bin:$PATH"
fi
export CONDA_PREFIX="$1" CONDA_DEFAULT_ENV="$1" CONDA_SHLVL=$((shlvl + 1))
"""
"""What ``source CONDA/bin/activate PREFIX`` does to the variables, by conda's ``conda/activate.py``: a first prefix
comes first on PATH (``_add_prefix_to_path``), a further one in the last one's place (``_replace_prefix_in_path``)."""


def test_jobs_run_in_their_environments_where_base_is_active(fresh, tmp_path_factory, monkeypatch):
    """``conda init`` activates base in each new shell; ``.venv/bin`` comes before it, as after its own activation."""
    base = tmp_path_factory.mktemp("base")
    conda = conda_with(ACTIVATE, base)
    active = {"CONDA_PREFIX": str(base), "CONDA_DEFAULT_ENV": "base", "CONDA_SHLVL": "1"}
    for name, value in {**active, "PATH": f"{base}/bin:{os.environ['PATH']}"}.items():
        monkeypatch.setenv(name, value)
    done = fresh.snakemake("results/easy-vqa/manifest.json", first_on_path=conda)
    assert done.returncode == 0, done.stdout


def test_a_job_without_environments_stops_too(fresh):
    done = fresh.snakemake("results/easy-vqa/manifest.json", "--sdm", "env-modules")
    assert done.returncode == 1
    assert any(line.startswith("error: wrong interpreter: ") for line in error_lines(done.stdout))


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ("chunks: 2}", "chunks: 2, max_pixels: 10}", "ingest_seed easy-vqa"),
        ("dataset: raw, max_steps: 3", "dataset: raw, lora: {targets: nope}, max_steps: 3", "rehearse_training raw"),
    ],
)
def test_a_change_that_failed_and_was_taken_back_is_not_forgotten(finished, tmp_path, old, new, lost):
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    workflow = Workflow(tmp_path / "copy")
    config = workflow.folder / "small.yaml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    assert workflow.snakemake().returncode == 1
    config.write_text(text)
    assert lost in workflow.planned()


def test_a_broken_eval_environment_fails_before_the_training(finished, tmp_path):
    """The evaluation's environment lost transformers: the rehearsal says so, and no run is trained."""
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    workflow = Workflow(tmp_path / "copy")
    shutil.rmtree(workflow.folder / "results/checkpoints")
    spec = workflow.folder / "envs/eval.yaml"
    kept = [line for line in spec.read_text().splitlines() if not line.strip().startswith(("- transformers", "- peft"))]
    spec.write_text("\n".join(kept) + "\n")
    done = workflow.snakemake("checkpoints")
    assert done.returncode == 1
    assert re.search(r"No module named '(transformers|peft)'", done.stdout)
    assert "rule train:" not in done.stdout
    assert not (workflow.folder / "results/checkpoints").exists()
