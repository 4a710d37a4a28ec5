"""No training starts unrehearsed, a finished one is not trained again, and the gate goes once Snakemake needs none."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from faults import hashes
from project_copy import Workflow

FAULT = """
rule c:
    input: "b"
    output: "c"
    params: config["level"]
    shell: "touch {output}"

rule b:
    input: ancient("a")
    output: "b"
    shell: "touch {output}"

rule a:
    output: "a"
    params: config["level"]
    shell: "touch {output}"
"""


def test_snakemake_still_overlooks_the_changes_of_a_job_while_one_before_it_waits(tmp_path):
    """Should this fail: Snakemake looks now, and rules/gate.smk can go; its docstring says how."""
    (tmp_path / "Snakefile").write_text(FAULT)

    def snakemake(*arguments: str) -> str:
        command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    snakemake("--config", "level=1")
    planned = snakemake("-n", "--config", "level=2")
    assert "rule a:" in planned
    assert "rule c:" not in planned


@pytest.fixture
def copy(finished, tmp_path) -> Workflow:
    """A copy of the finished workflow that a test may break."""
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    return Workflow(tmp_path / "copy")


def edit(workflow: Workflow, old: str, new: str) -> None:
    config = workflow.folder / "small.yaml"
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))


def test_a_failed_rehearsal_keeps_the_gate_shut(copy):
    manifest = (copy.folder / "results/checkpoints/raw.manifest.json").read_bytes()
    edit(copy, "dataset: raw, max_steps: 3", "dataset: raw, lora: {targets: nope}, max_steps: 3")
    for _ in range(2):
        done = copy.snakemake("results/checkpoints/raw.manifest.json")
        assert done.returncode == 1
        assert "error: lora.targets: nope" in done.stdout
        assert "rule train:" not in done.stdout
    edit(copy, ", lora: {targets: nope}", "")
    assert copy.snakemake("checkpoints").returncode == 0
    assert (copy.folder / "results/checkpoints/raw.manifest.json").read_bytes() == manifest
    assert (copy.folder / "results/checkpoints/raw/adapter_model.safetensors").is_file()


def test_what_was_not_rehearsed_is_not_trained(copy):
    """A clearance that names something else, as after an edit meanwhile: refused, and mended by the next call."""
    results = copy.folder / "results"
    shutil.rmtree(results / "finished/raw")
    shutil.rmtree(results / "checkpoints/raw")
    for file in (results / "rehearsal/raw/cleared", results / "rehearsal/raw/rehearsed.json"):
        other = json.loads(file.read_text()) | {"fingerprint": "of something else"}
        file.write_text(json.dumps({key: value for key, value in other.items() if key != "seal"}))
    target = "results/checkpoints/raw"
    done = copy.snakemake(target)
    assert done.returncode == 1
    assert "error: run raw: what would be trained now is not what was rehearsed" in done.stdout
    assert not (results / "checkpoints/raw").exists()
    assert copy.snakemake(target).returncode == 0


def test_a_finished_training_is_taken_in_place_of_another_one(copy):
    results = copy.folder / "results"
    kept = {path: path.read_bytes() for path in sorted((results / "checkpoints").glob("*/*.safetensors"))}
    shutil.rmtree(results / "checkpoints")
    done = copy.snakemake("checkpoints")
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout.count("its checkpoint is taken") == 3
    assert "step 1 of" not in done.stdout
    assert {path: path.read_bytes() for path in kept} == kept
    assert copy.planned() == {"report"}  # whose table of times the three jobs changed


@pytest.mark.slow
def test_folders_that_are_deleted_to_free_space_come_back_as_they_were(finished, copy):
    """A new benchmark needs them all: the trainings take what they finished."""
    results = copy.folder / "results"
    folders = ["data/*/", "synth/*/[12]/", "seed/*/", "models/*/", "checkpoints/*/", "rehearsal/*/checkpoint/", "cache"]
    for folder in [path for pattern in [*folders, "logs"] for path in results.glob(pattern)]:
        shutil.rmtree(folder)
    assert copy.planned() == set()

    more = "  more: {protocol: mmbench, table: results/easy-vqa/mmbench/table.tsv, limit: 4, empty_answers: wrong}\n"
    edit(copy, "contamination:", f"{more}contamination:")
    done = copy.snakemake()
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout.count("its checkpoint is taken") == 3
    assert (results / "scores/raw/more.json").is_file()
    kept = re.compile(r"(data|synth|seed|models|predictions)/|checkpoints/.*(safetensors|manifest.json)")
    wanted = {name: sha256 for name, sha256 in hashes(finished.folder / "results").items() if kept.match(name)}
    assert wanted and wanted.items() <= hashes(results).items()


def test_contaminated_data_are_not_trained_on_and_what_was_found_stays(copy):
    """Any word in common is the same question here, and any drawing of like colors the same image."""
    results = copy.folder / "results"
    shutil.rmtree(results / "finished/raw")
    shutil.rmtree(results / "checkpoints/raw")
    strict = "contamination: {max_share: 0, max_questions: 0, ngram: 1, max_distance: 143}"
    edit(copy, "contamination: {max_share: null}", strict)
    target = "results/checkpoints/raw"
    done = copy.snakemake(target)
    assert done.returncode == 1
    assert re.search(r"error: dataset '\w+' holds .* see them in results/contamination/\w+\.html", done.stdout)
    assert "rule train:" not in done.stdout
    assert (results / "contamination/raw.json").is_file()
    assert "data:image/webp" in (results / "contamination/raw.html").read_text()
    edit(copy, strict, strict.replace("max_share: 0,", "max_share: null,"))
    done = copy.snakemake(target)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "rule decontaminate:" not in done.stdout, "another limit is no reason to search again"
