"""The conda of machines without conda: its answers, its environments and what it says when it cannot make one."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

FRONT_END = Path(__file__).resolve().parents[3] / "tools/conda-uv"
sys.path.insert(0, str(FRONT_END))

from conda_uv import environment, indexes, torch_backend  # noqa: E402
from conda_uv.messages import CondaUvError  # noqa: E402
from conda_uv.spec import Spec, read_spec  # noqa: E402

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
INDEX_VARIABLES = re.compile("PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|CONFIG_FILE)|UV_.*|SYNTUNE_.*")


@pytest.fixture(autouse=True)
def own_packages(tmp_path, monkeypatch) -> Path:
    """A folder of two tiny wheels, the only place where packages may come from: no network."""
    for variable in filter(INDEX_VARIABLES.fullmatch, list(os.environ)):
        monkeypatch.delenv(variable)
    folder = tmp_path / "wheels"
    folder.mkdir()
    write_wheel(folder, "tiny", "1.0")
    write_wheel(folder, "torch", "2.13.0+cpu")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PATH", f"{FRONT_END / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    return folder


def write_wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", f"__version__ = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def write_spec(folder: Path, *requirements: str, dependencies: str = f"python={VERSION}") -> Path:
    lines = ["channels:", "  - conda-forge", "dependencies:", f"  - {dependencies}", "  - pip:"]
    path = folder / "spec.yaml"
    path.write_text("\n".join([*lines, *(f"      - {requirement}" for requirement in requirements)]) + "\n")
    return path


def conda(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["conda", *arguments], capture_output=True, text=True)


def create(spec: Path, prefix: Path) -> subprocess.CompletedProcess[str]:
    return conda("env", "create", "--quiet", "--no-default-packages", "--file", spec, "--prefix", prefix)


def in_bash(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True)


# --- the calls of Snakemake


def test_info_leads_to_the_activate_script():
    info = json.loads(conda("info", "--json").stdout)
    assert Path(info["conda_prefix"], "bin/activate").is_file()
    assert re.fullmatch(r"(linux|osx)-(64|aarch64|arm64)", info["platform"])


def test_version_is_one_that_snakemake_accepts():
    versions = re.findall(r"\d+\.\d+\.\d+", conda("--version").stdout)
    assert len(versions) == 1
    assert [int(part) for part in versions[0].split(".")] >= [24, 7, 1]


def test_channel_priority_is_strict():
    answer = conda("config", "--get", "channel_priority", "--json")
    assert json.loads(answer.stdout)["get"]["channel_priority"] == "strict"


@pytest.mark.parametrize("what", [["--tarballs"], ["--tarballs", "--packages"]])
def test_there_is_nothing_to_clean(what):
    assert conda("clean", "-y", *what).returncode == 0


def test_a_pin_file_is_refused(tmp_path):
    done = conda(
        "create", "--quiet", "--no-default-packages", "--file", "x.pin.txt", "--prefix", tmp_path / "e", "--yes"
    )
    assert done.returncode == 1
    assert "real conda" in done.stderr


def test_any_other_call_is_refused():
    assert conda("install", "numpy").returncode == 2


def test_the_link_in_a_venv_runs_in_that_venv(tmp_path):
    folder = tmp_path / ".venv/bin"
    folder.mkdir(parents=True)
    (tmp_path / ".venv/pyvenv.cfg").touch()
    (folder / "python").write_text('#!/bin/sh\necho entered "$@"\n')
    (folder / "python").chmod(0o755)
    (folder / "conda").symlink_to(FRONT_END / "bin/conda")
    done = subprocess.run([folder / "conda", "--version"], capture_output=True, text=True)
    assert done.stdout == f"entered {folder}/conda --version\n"


# --- environments


def test_a_created_environment_is_the_activated_one(tmp_path):
    prefix = tmp_path / "an environment"
    done = create(write_spec(tmp_path, "tiny==1.0", "torch==2.13.0"), prefix)
    assert done.returncode == 0, done.stderr
    program = "import os, sys, tiny, torch; print(sys.prefix, os.environ['CONDA_PREFIX'], torch.__version__, sep='\\n')"
    shown = in_bash(
        f"export PYTHONPATH=/elsewhere; source {FRONT_END}/bin/activate '{prefix}'; set -euo pipefail; "
        f'python -c "{program}"; echo "${{PYTHONPATH-unset}} $PYTHONNOUSERSITE $CONDA_DEFAULT_ENV"'
    )
    assert shown.stdout.splitlines() == [str(prefix), str(prefix), "2.13.0+cpu", f"unset 1 {prefix}"]


def test_packages_are_compiled_even_where_python_writes_no_bytecode(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    prefix = tmp_path / "e"
    assert create(write_spec(tmp_path, "tiny==1.0"), prefix).returncode == 0
    assert list(prefix.glob("lib/*/site-packages/tiny/__pycache__/__init__.*.pyc"))


def test_activating_what_is_not_there_ends_the_shell(tmp_path):
    done = in_bash(f"source {FRONT_END}/bin/activate '{tmp_path}/none'; set -euo pipefail; echo still here")
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"no environment at '{tmp_path}/none'" in done.stderr


@pytest.mark.parametrize(
    ("requirement", "says"),
    [
        ("tiny==9.9", "does not have tiny==9.9"),
        ("absent==1.0", "does not have absent"),
        ("tiny=1.0", "tiny=1.0 is not a pip requirement"),
    ],
)
def test_a_bad_pin_is_named_and_leaves_nothing(tmp_path, requirement, says):
    spec = write_spec(tmp_path, requirement)
    done = create(spec, tmp_path / "e")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"conda (uv front-end): cannot make the environment of {spec}: ")
    assert says in done.stderr.splitlines()[-1]
    assert not (tmp_path / "e").exists()


def test_an_unreachable_index_is_told_from_a_bad_pin(tmp_path, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    done = create(write_spec(tmp_path, "tiny==2.0"), tmp_path / "e")
    assert "check the network" in done.stderr.splitlines()[-1]


def test_a_python_that_the_machine_does_not_have(tmp_path):
    done = create(write_spec(tmp_path, "tiny==1.0", dependencies="python=3.99"), tmp_path / "e")
    assert done.returncode == 1
    assert "does not have Python 3.99" in done.stderr


def test_a_prefix_that_exists_is_left_alone(tmp_path):
    (tmp_path / "e").mkdir()
    done = create(write_spec(tmp_path, "tiny==1.0"), tmp_path / "e")
    assert done.returncode == 1
    assert "exists already" in done.stderr
    assert (tmp_path / "e").exists()


def fake_uv(folder: Path, last_words: str) -> str:
    path = folder / "fake-uv"
    path.write_text(f'#!/bin/sh\nfor prefix; do :; done\nmkdir -p "$prefix/half"\n{last_words}\n')
    path.chmod(0o755)
    return str(path)


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    uv = fake_uv(tmp_path, "echo 'failed to copy: No space left on device (os error 28)' >&2; exit 2")
    monkeypatch.setattr(environment, "find_uv", lambda: uv)
    with pytest.raises(CondaUvError, match="the disk is full"):
        environment.create_environment(write_spec(tmp_path, "tiny==1.0"), tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_being_terminated_leaves_nothing(tmp_path):
    uv, prefix = fake_uv(tmp_path, "exec sleep 60"), tmp_path / "e"
    program = (
        "import sys; from pathlib import Path; from conda_uv import environment\n"
        "environment.find_uv = lambda: sys.argv[1]\n"
        "environment.create_environment(Path(sys.argv[2]), Path(sys.argv[3]))\n"
    )
    spec = write_spec(tmp_path, "tiny==1.0")
    process = subprocess.Popen([sys.executable, "-c", program, uv, spec, prefix], cwd=FRONT_END)
    deadline = time.monotonic() + 20
    while not (prefix / "half").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    assert not prefix.exists()


def test_no_uv_anywhere(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CondaUvError, match="make setup"):
        environment.find_uv()


# --- specs


def test_spec(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text("dependencies: ['python==3.11.7', pip, {pip: ['Flash_Attn[x]==2.0', 'pip @ file:///x']}]")
    spec = read_spec(path)
    assert spec == Spec("3.11.7", ("pip", "Flash_Attn[x]==2.0", "pip @ file:///x"))
    assert spec.packages == {"flash-attn", "pip"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dependencies: [python=3.11, numpy=2.4]", "'numpy=2.4'.*real conda"),
        ("dependencies: [python=3.11, 'pip>=25']", "'pip>=25'"),
        ("dependencies: [python=3.11, {pip: tiny}]", "'pip': 'tiny'"),
        ("dependencies: [python=3.11, {pip: [1.0]}]", "pip: list"),
        ("dependencies: ['python>=3.10']", "'python>=3.10'"),
        ("dependencies: [python=3.11, python=3.12]", "which Python"),
        ("dependencies: [pip]", "which Python"),
        ("dependencies: [python=3.11]\nvariables: {A: b}", "variables"),
        ("channels: [conda-forge]", "no list of dependencies"),
        ("- python=3.11", "no list of dependencies"),
        ("dependencies: [python=3.11", "not YAML"),
    ],
)
def test_a_spec_that_only_conda_could_realise(tmp_path, text, says):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(CondaUvError, match=f"^{re.escape(str(path))}: .*{says}"):
        read_spec(path)


# --- where packages come from


def test_pip_settings_reach_uv(tmp_path, monkeypatch, own_packages):
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://global/simple\ncert = /dev/null\nno-index = true\n"
        f"[install]\nindex-url = https://user:word@mirror/simple\nextra-index-url =\n  https://a\n  file://{tmp_path}\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", f"{own_packages} {tmp_path}/missing")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.delenv("PIP_CERT", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("UV_INDEX_STRATEGY", "first-index")
    found = indexes.read_indexes()
    passed = {key: found.environment.get(key) for key in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS")}
    assert passed == {
        "UV_DEFAULT_INDEX": "https://user:word@mirror/simple",
        "UV_INDEX": f"https://a file://{tmp_path}",
        "UV_FIND_LINKS": str(own_packages),
    }
    assert found.environment["SSL_CERT_FILE"] == os.devnull
    assert found.environment["UV_INDEX_STRATEGY"] == "first-index"
    assert found.flags == ()
    assert found.chosen_by_user


def test_an_index_in_uv_terms_wins(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip/simple")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv/simple")
    assert indexes.read_indexes().environment["UV_DEFAULT_INDEX"] == "https://uv/simple"


def test_nobody_chose_an_index(monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    assert not indexes.read_indexes().chosen_by_user


TORCH = "torch==2.13.0"


@pytest.mark.parametrize(
    ("wish", "requirements", "own_index", "gpu", "online", "backend"),
    [
        ("", [TORCH], False, False, True, "cpu"),
        ("auto", [TORCH], False, False, True, "cpu"),
        ("auto", [TORCH], False, False, False, None),
        ("auto", [TORCH], True, False, True, None),
        ("auto", [TORCH], False, True, True, None),
        ("auto", ["tiny==1.0"], False, False, True, None),
        ("auto", [TORCH, "flash_attn==2.8.3"], False, False, True, None),
        ("cpu", [TORCH, "liger-kernel==0.6"], False, False, True, None),
        ("cpu", [TORCH], True, True, False, "cpu"),
        ("cu126", [TORCH, "flash-attn==2.8.3"], True, False, False, "cu126"),
        ("index", [TORCH], False, False, True, None),
    ],
)
def test_torch_backend(monkeypatch, wish, requirements, own_index, gpu, online, backend):
    monkeypatch.setenv("SYNTUNE_TORCH_BACKEND", wish)
    monkeypatch.setattr(torch_backend, "gpu_possible", lambda: gpu)
    monkeypatch.setattr(torch_backend, "reachable", lambda url: online)
    assert torch_backend.choose_torch_backend(Spec("3.11", tuple(requirements)), own_index) == backend


def test_the_backend_reaches_uv(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTUNE_TORCH_BACKEND", "no-such-backend")
    assert (
        "invalid value 'no-such-backend' for '--torch-backend"
        in create(write_spec(tmp_path, TORCH), tmp_path / "e").stderr
    )


def test_a_login_node_keeps_cuda(tmp_path, monkeypatch):
    (tmp_path / "sbatch").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert torch_backend.gpu_possible()


# --- Snakemake itself

SNAKEFILE = """
rule where:
    output: "prefix.txt"
    conda: "spec.yaml"
    shell: "python -c 'import sys, tiny; print(sys.prefix)' > {output}"
"""


def snakemake(folder: Path, *arguments: str) -> str:
    command = ["snakemake", "--cores", "1", *arguments, "--sdm", "conda"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_snakemake_makes_uses_and_mends_the_environment(tmp_path, monkeypatch):
    folder = tmp_path / "a workflow"
    shutil.copytree(FRONT_END, folder / "conda-uv", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("PATH", f"{folder}/conda-uv/bin:{os.environ['PATH']}")
    monkeypatch.delenv("SNAKEMAKE_CONDA_PREFIX", raising=False)  # its environments would stand where the user's do
    (folder / "Snakefile").write_text(SNAKEFILE)
    write_spec(folder, "tiny==1.0")
    assert "will be created" in snakemake(folder, "--dry-run")
    snakemake(folder, "--conda-create-envs-only")
    (prefix,) = (path for path in (folder / ".snakemake/conda").iterdir() if path.is_dir())
    assert not (folder / "prefix.txt").exists()

    snakemake(folder)
    assert (folder / "prefix.txt").read_text().strip() == str(prefix)
    assert "Nothing to be done" in snakemake(folder)

    prefix.with_suffix(".env_setup_done").unlink()
    shutil.rmtree(prefix / "bin")
    assert "Removing incomplete" in snakemake(folder, "--forceall")
    assert (prefix / "bin/python").exists()
