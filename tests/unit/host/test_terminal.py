"""What Snakemake prints in a small workflow whose Snakefile hands the terminal over."""

import io
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from syntune.terminal.calls import planned_call
from syntune.terminal.logs import ends_of, last_lines
from syntune.terminal.progress import Progress, roughly
from syntune.terminal.screen import Screen

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
SNAKEFILE = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
if workflow.is_main_process:
    from syntune.terminal.handler import take_over
    take_over(workflow, "logs")

configfile: "config.yaml"

rule all:
    input: "score.txt"

rule train:
    input: "data.txt"
    output: "{{run}}.model"
    log: "logs/{{run}}.log"
    params:
        f"scripts/syntune/loss.py {{config['digest']}}",
        settings=config["settings"],
        files=["own/words.json " + config["digest"] * 4, "a.jsonl " + config["digest"] * 4],
    shell:
        "(echo step 1 of 2; cat {{input}}; test ! -e killed || kill -9 $BASHPID; test ! -e broken && touch {{output}}) "
        "2>&1 | tee {{log}}"

rule score:
    input: "raw.model"
    output: "score.txt"
    shell: "touch {{output}}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "data.txt").write_text("loss 0.5\n")
    configure(tmp_path, '{"optimizer": {"rate": 0.1, "kind": "adam"}, "epochs": 1}')
    return tmp_path


def configure(folder: Path, settings: str, digest: str = "0123456789abcdef") -> None:
    (folder / "config.yaml").write_text(f"settings: '{settings}'\ndigest: '{digest}'\n")


def snakemake(folder: Path, *arguments: str) -> list[str]:
    """The lines that a call prints, without the times that some begin with."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "SNAKEMAKE_CONDA_PREFIX"}
    done = subprocess.run(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    return [re.sub(r"^\d\d:\d\d:\d\d  ", "", line) for line in done.stdout.splitlines()]


def test_a_run_prints_a_line_a_job(folder):
    lines = snakemake(folder)
    assert lines[:3] == [
        "2 jobs to run; what each one prints is in logs",
        "train raw  (not made yet)",
        "score  (not made yet)",
    ]
    assert re.fullmatch(r"2 jobs done in \d+ s", lines[3])
    assert (folder / "logs/raw.log").read_text() == "step 1 of 2\nloss 0.5\n"
    assert snakemake(folder) == ["Nothing to be done (all requested files are present and up to date)."]


def test_a_failed_job_shows_the_end_of_its_log_and_how_to_go_on(folder):
    (folder / "broken").touch()
    assert snakemake(folder)[1:] == [
        "train raw  (not made yet)",
        "FAILED: train raw",
        "    step 1 of 2",
        "    loss 0.5",
        "  log: logs/raw.log",
        "failed: train raw; 0 of 2 jobs are done and kept. To go on: snakemake --cores 1",
    ]


def test_a_killed_command_is_told(folder):
    (folder / "killed").touch()
    lines = snakemake(folder)
    assert "  a command was killed; is the memory full?" in lines
    assert lines[-1].startswith("failed: train raw; 0 of 2 jobs")


def test_a_dry_run_says_what_changed(folder):
    snakemake(folder)
    configure(folder, '{"optimizer": {"rate": 0.2, "kind": "adam"}, "epochs": 1}')
    lines = snakemake(folder, "-n")
    assert lines[:-2] == [
        "2 jobs to run:",
        "  train      1  settings changed: optimizer.rate (raw)",
        "  score      1  after train",
    ]
    assert lines[-2].startswith("To run them: snakemake --cores 1") and "-n" not in lines[-2].split()
    configure(folder, '{"optimizer": {"rate": 0.1, "kind": "adam"}, "epochs": 1}', digest="f" * 16)
    told = "files changed: ./a.jsonl, own/words.json; code changed: scripts/syntune/loss.py (raw)"
    assert f"  train      1  {told}" in snakemake(folder, "-n")
    configure(folder, '{"optimizer": {"rate": 0.1, "kind": "adam"}, "epochs": 1}')
    (folder / "data.txt").write_text("loss 0.4\n")
    assert "  train      1  updated input: data.txt (raw)" in snakemake(folder, "-n")


@pytest.mark.parametrize("option", ["--printshellcmds", "--verbose"])
def test_snakemakes_own_text_is_there_for_the_asking(folder, option):
    lines = snakemake(folder, "-n", option)
    assert "rule train:" in lines
    assert "    wildcards: run=raw" in lines


def test_of_a_clusters_log_only_what_slurm_says_is_shown(tmp_path):
    own, cluster = tmp_path / "train.log", tmp_path / "17.log"
    own.write_text("step 1\rstep 2\rstep 3\n\n")
    cluster.write_text("rule train:\nslurmstepd: error: *** JOB 17 CANCELLED DUE TO TIME LIMIT ***\nWorkflowError\n")
    assert ends_of([str(own), str(cluster)], 0) == [
        "    step 3",
        "    slurmstepd: error: *** JOB 17 CANCELLED DUE TO TIME LIMIT ***",
        f"  log: {own}",
        f"  log: {cluster}",
    ]
    os.utime(own, (1, 1))
    assert last_lines(str(own), since=1000) == []


@pytest.mark.parametrize(
    ("given", "planned"),
    [
        ("-n --configfile config/mine.yaml", "snakemake --cores all --configfile config/mine.yaml"),
        ("data --cores 4 --dry-run", "snakemake data --cores 4"),
        ("-n -c2", "snakemake -c2"),
        ("-n --workflow-profile profiles/slurm", "snakemake --workflow-profile profiles/slurm"),
    ],
)
def test_a_plan_names_the_call_that_runs_it(given, planned):
    assert planned_call(given.split()) == planned


def test_without_a_terminal_a_line_says_now_and_then_how_far_it_is(monkeypatch):
    monkeypatch.setattr("syntune.terminal.screen._BETWEEN", 0.01)
    stream = io.StringIO()
    screen = Screen(stream, lambda: "3 of 12 jobs done", threading.RLock())
    screen.start()
    deadline = time.monotonic() + 10
    while stream.getvalue().count("  3 of 12 jobs done\n") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    screen.stop()


def test_estimates_are_rounded():
    assert [roughly(seconds) for seconds in (12.4, 59.9, 61, 7500)] == ["12 s", "60 s", "1 min", "2 h 5 min"]


def test_a_job_that_outruns_its_last_time_makes_the_time_left_a_least(tmp_path, monkeypatch):
    timings = tmp_path / "timing.tsv"
    timings.write_text("s\tmax_rss\n60.0\t1\n")
    train = SimpleNamespace(rule=SimpleNamespace(name="train"), benchmark=str(timings))
    now = [1000.0]
    monkeypatch.setattr("syntune.terminal.progress.time.time", lambda: now[0])
    progress = Progress({1: train, 2: train})
    progress.start(1)
    now[0] += 30
    assert progress.words() == "0 of 2 jobs done, about 2 min left"
    now[0] += 60
    assert progress.words() == "0 of 2 jobs done, at least 1 min left"
