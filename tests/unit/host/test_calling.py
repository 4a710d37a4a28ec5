"""The shell that Snakemake is called from: what of it reaches environments and jobs, and which conda is meant."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from syntune.calling import later_conda, leave_environments, missing_config

ROOT = Path(__file__).resolve().parents[3]
POST_DEPLOY = ROOT / "envs/train-cuda.post-deploy.sh"


def test_no_environment_stays_active_and_the_rest_does():
    variables = {"CONDA_SHLVL": "2", "CONDA_PREFIX": "/b/envs/e", "CONDA_PREFIX_1": "/b", "CONDA_STACKED_2": "true"}
    kept = {
        "CONDA_EXE": "/b/bin/conda",
        "CONDA_PKGS_DIRS": "/big",
        "CONDA_OVERRIDE_CUDA": "12",
        "PATH": "/b/envs/e/bin",
    }
    variables |= kept
    leave_environments(variables)
    assert variables == {**kept, "PYTHONNOUSERSITE": "1"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("--cores all --configfile there.yaml rehearsal", "rehearsal stands after --configfile, so it is taken for a "
         "config; put targets first: snakemake rehearsal --cores all --configfile there.yaml"),
        ("--configfiles there.yaml data scores -n", "data stands after --configfile, so it is taken for a config; put "
         "targets first: snakemake data scores --configfiles there.yaml -n"),
        ("-n --configfile away.yaml", "away.yaml: there is no such config"),
        ("-n --configfile=away.yaml data", "away.yaml: there is no such config"),
        ("--configfile there.yaml away.yaml", "away.yaml: there is no such config"),
        ("--configfile away", "away: there is no such config"),
        ("data --configfile there.yaml", None),
        ("--configfile=there.yaml data", None),
        ("--configfile there.yaml -- data", None),
        ("data -n", None),
        ("--configfile", None),
    ],
)  # fmt: skip
def test_a_target_or_a_name_that_is_no_config_is_told(call, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("there.yaml").touch()
    assert missing_config(call.split()) == said


def test_a_call_without_its_config_ends_in_one_line_and_another_one_is_snakemakes(tmp_path):
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        link = tmp_path / "snakemake"
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / "tools/snakemake")
        return subprocess.run([link, *arguments], cwd=tmp_path, capture_output=True, text=True)

    done = call("--cores", "1", "--configfile", "away.yaml")
    assert (done.returncode, done.stderr) == (1, "error: away.yaml: there is no such config\n")
    assert call("--help").stdout.startswith("usage: snakemake [-h]")


def test_a_second_interrupt_waits_for_the_jobs_too(tmp_path):
    (tmp_path / "Snakefile").write_text(
        "rule:\n    output: 'made'\n    shell: \"trap '' INT; touch started; sleep 4; touch {output} ended\""
    )
    call = [ROOT / "tools/snakemake", "--cores", "1"]
    with subprocess.Popen(call, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True) as called:
        until = time.time() + 60
        while not (tmp_path / "started").exists() and time.time() < until:
            time.sleep(0.1)
        for _ in range(3):
            os.killpg(called.pid, signal.SIGINT)
            time.sleep(0.5)
        said = called.communicate()[1]
    assert (tmp_path / "ended").exists()
    assert "Traceback" not in said
    assert said.count("still waiting for the jobs to end") == 2


def test_packages_of_the_user_are_not_imported(tmp_path):
    """In a Python that reads ``~/.local``, as conda's does and that of a venv does not."""
    python = Path(sys.base_prefix) / f"bin/python{sys.version_info.major}.{sys.version_info.minor}"
    variables = {**os.environ, "PYTHONUSERBASE": str(tmp_path / "user"), "PYTHONPATH": str(tmp_path / "path")}
    call = [python, "-c", "import sys; print(*sys.path)"]
    folder = Path(subprocess.check_output([python, "-m", "site", "--user-site"], env=variables, text=True).strip())
    folder.mkdir(parents=True)
    assert str(tmp_path) in subprocess.check_output(call, env={**variables, "PYTHONNOUSERSITE": ""}, text=True)
    leave_environments(variables)
    assert str(tmp_path) not in subprocess.check_output(call, env=variables, text=True)


def test_a_conda_that_came_after_the_link_is_told(tmp_path):
    def install(folder: str) -> Path:
        conda = tmp_path / folder / "conda"
        conda.parent.mkdir()
        conda.touch(mode=0o755)
        return conda

    front_end, earlier = install("tools"), install("earlier")
    link = tmp_path / "venv/conda"
    link.parent.mkdir()
    assert later_conda(link, [earlier.parent]) is None
    link.symlink_to(front_end)
    time.sleep(0.05)  # a file system's clock ticks slower than this
    later = install("later")
    assert later_conda(link, [link.parent, earlier.parent, later.parent]) is None
    assert later_conda(link, [link.parent, tmp_path, later.parent, earlier.parent]) == later


def test_what_runs_after_an_environment_installs_nothing_into_another_one(tmp_path):
    script = tmp_path / "abc_.post-deploy.sh"
    script.write_bytes(POST_DEPLOY.read_bytes())
    for prefix in (tmp_path / "abc_", tmp_path / "venv"):
        (prefix / "bin").mkdir(parents=True)
        python = prefix / "bin/python"
        python.write_text(f'#!/bin/sh\n[ "$1" = -m ] && echo "$@" > {prefix}/called || echo {prefix}\n')
        python.chmod(0o755)
    done = {
        prefix: subprocess.run(
            ["bash", script], env={"PATH": f"{tmp_path / prefix}/bin:{os.defpath}"}, capture_output=True, text=True
        )
        for prefix in ("venv", "abc_")
    }
    assert done["venv"].returncode == 1
    assert done["venv"].stderr.startswith(f"post-deploy: {tmp_path}/venv/bin/python is not the Python of")
    assert not (tmp_path / "venv/called").exists()
    assert done["abc_"].returncode == 0
    assert "install --no-build-isolation --no-deps flash-attn==" in (tmp_path / "abc_/called").read_text()
