"""Each stage, struck by each fault while it works: a plain rerun ends with the bytes of a run that nothing disturbed.

The whole table takes long: ``tests/run -m slow`` runs it, and root alone, for it mounts file systems.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import faults
import psutil
import pytest
from project_copy import Workflow
from stages import STAGES, Stage, remove, results

IN_EVERY_TEST = ("shard",)
"""Stages that are struck in the normal tests, too."""


@contextmanager
def to_disturb(finished: Workflow, folder: Path) -> Iterator[Workflow]:
    """A copy of what is finished, with a disk of its own for its results; it prints what a user sees."""
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("only root can mount a file system")
    subprocess.run(["umount", folder], check=True)
    shutil.copytree(finished.folder, folder / "copy", symlinks=True)
    with faults.own_disk(folder / "copy/results"):
        yield Workflow(folder / "copy", finished.config, verbose=False)


def assert_told(output: str, words: str) -> None:
    """Look for a fault's words in what was printed, and for no traceback."""
    assert "Traceback" not in output, output
    assert re.search(words, output), output


class Case(NamedTuple):
    """A stage of a copy that is about to be struck; ``size``: the bytes that it writes."""

    workflow: Workflow
    stage: Stage
    size: int

    def struck(self, blow: faults.Blow) -> tuple[int, str]:
        """Run the stage, and strike it as it first writes."""
        places = self.stage.places and [self.workflow.folder / "results" / name for name in self.stage.places]
        return faults.strike(self.workflow, self.stage.target, self.stage.script, blow, places)


def ended(case: Case) -> None:
    status, output = case.struck(faults.send(signal.SIGTERM))
    if case.stage.script == "train":  # it takes a notice, and past its last step it ends as it would have
        assert status == 0, output
    else:
        assert status == 1, output
        assert_told(output, "FAILED")


def killed(case: Case) -> None:
    status, output = case.struck(faults.send(signal.SIGKILL))
    assert status == 1, output
    assert_told(output, "a command was killed")


def disk_full(case: Case) -> None:
    with faults.full(case.workflow.folder / "results", left=case.size // 2):
        done = case.workflow.snakemake(case.stage.target)
    assert done.returncode == 1, done.stdout
    assert_told(done.stdout, "no space left on the disk|No space left on device")


def little_memory(case: Case) -> None:
    with faults.little_memory(8 << 20) as blow:
        status, output = faults.strike(case.workflow, case.stage.target, case.stage.script, blow)
    assert status == 1, output
    assert_told(output, "a command was killed; is the memory full")


def little_address_space(case: Case) -> None:
    status, output = faults.strike(case.workflow, case.stage.target, case.stage.script, faults.little_address_space)
    if case.stage.is_quick:  # it needs no more than that
        assert status == 0, output
    else:
        assert status == 1, output
        assert_told(output, "error: not enough memory|a command was killed; is the memory full")


def power_cut(case: Case) -> None:
    case.struck(faults.power_cut)
    assert case.workflow.snakemake("--unlock").returncode == 0


def snakemake_killed(case: Case) -> None:
    """The job outlives its Snakemake, and a new one's."""
    workflow = case.workflow

    def blow(started: subprocess.Popen[str], job: psutil.Process) -> None:
        faults.orphaned(started, job)
        try:
            assert_told(workflow.snakemake(case.stage.target).stdout, "cannot be locked")
            assert workflow.snakemake("--unlock").returncode == 0
            again = workflow.snakemake(case.stage.target)
            if case.stage.script == "train":
                assert_told(again.stdout, "error: .*: process .* trains there; wait for it or end it")
            else:
                assert again.returncode == 0, again.stdout
        finally:
            faults.go_on(job)

    case.struck(blow)


FAULTS = (ended, killed, disk_full, little_memory, little_address_space, power_cut, snakemake_killed)


@pytest.mark.parametrize(
    "name", [name if name in IN_EVERY_TEST else pytest.param(name, marks=pytest.mark.slow) for name in STAGES]
)
def test_whatever_befalls_a_stage_a_rerun_ends_as_if_nothing_had(finished_with, tmp_path, name):
    stage = STAGES[name]
    finished = finished_with(stage.config)
    wanted, problems = results(finished), {}
    sizes = [(finished.folder / "results" / made).stat().st_size for made in wanted if made.startswith(stage.makes)]
    with to_disturb(finished, tmp_path) as disturbed:
        for fault in FAULTS:
            remove(disturbed, stage)
            try:
                fault(Case(disturbed, stage, sum(sizes)))
                left = results(disturbed)
                assert {made: left[made] for made in left if made.startswith(stage.makes)}.items() <= wanted.items()
            except AssertionError as problem:
                problems[fault.__name__] = problem
                disturbed.snakemake("--unlock")
        stage.make_what_is_missing(disturbed)
        assert results(disturbed) == wanted
    assert not problems, "\n".join(f"{fault}: {problem}" for fault, problem in problems.items())


def test_results_that_can_only_be_read_are_named_before_anything_runs(finished, tmp_path):
    with to_disturb(finished, tmp_path) as disturbed:
        remove(disturbed, STAGES["compare"])
        with faults.read_only(disturbed.folder / "results"):
            done = disturbed.snakemake(STAGES["compare"].target)
        assert done.returncode == 1
        assert_told(done.stdout, "error: results: results cannot be written there")
        assert disturbed.snakemake(STAGES["compare"].target).returncode == 0
