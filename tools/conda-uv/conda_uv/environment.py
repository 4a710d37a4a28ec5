"""Environments: made whole in their final place, or not at all."""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from conda_uv.indexes import read_indexes
from conda_uv.messages import CondaUvError
from conda_uv.spec import Spec, read_spec
from conda_uv.torch_backend import choose_torch_backend

# what uv says, and what the user can do about it
ADVICE = (
    (r"No space left on device|Disk quota exceeded", "the disk is full; uv's cache counts too (uv cache dir)"),
    (r"there is no version of ([^\s,]+)", "the package index does not have {0}; correct that pin"),
    (r"Because (\S+) was not found in the", "the package index does not have {0}; correct its name or the index"),
    (r"Couldn't parse requirement[\s\S]*?\n +(\S.*)\n +\^", "{0} is not a pip requirement; write name==version"),
    (
        r"(?:No interpreter found for Python |Failed to inspect Python interpreter .*python)(\d+\.\d+)",
        "this machine does not have Python {0}; install it or use a real conda",
    ),
    (
        r"Failed to fetch|error sending request|Request failed",
        "a package cannot be fetched; check the network, a proxy (HTTPS_PROXY) and the index (pip config list)",
    ),
)


def create_environment(spec_path: Path, prefix: Path) -> None:
    """Make the environment of a spec at ``prefix``; on failure or interruption nothing is left there.

    Virtual environments cannot be moved, so it is built in place.
    """
    spec = read_spec(spec_path)
    uv = find_uv()
    if prefix.exists():
        raise CondaUvError(f"{prefix} exists already; remove it first")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that being terminated cleans up as well
    try:
        _build(uv, spec, prefix)
    except CondaUvError as error:
        shutil.rmtree(prefix, ignore_errors=True)
        raise CondaUvError(f"cannot make the environment of {spec_path}: {error}") from None
    except BaseException:
        shutil.rmtree(prefix, ignore_errors=True)
        raise


def find_uv() -> str:
    """The uv beside this Python (requirements.txt has it in .venv), else the one on PATH."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise CondaUvError(f"uv is neither beside {sys.executable} nor on PATH; run: make setup")
    return uv


def _build(uv: str, spec: Spec, prefix: Path) -> None:
    indexes = read_indexes()
    environment = {"UV_PYTHON_DOWNLOADS": "never"} | indexes.environment
    for variable in ("PYTHONPATH", "PYTHONHOME"):
        environment.pop(variable, None)
    _run_uv(
        [uv, "venv", "--quiet", "--no-config", "--no-project", "--python", _host_python(spec), str(prefix)], environment
    )
    # as pip does: where PYTHONDONTWRITEBYTECODE is set, as in many containers, no job would compile what it imports
    compiled = "--compile-bytecode"
    install = [uv, "pip", "install", "--no-config", compiled, "--python", str(prefix / "bin/python"), *indexes.flags]
    if backend := choose_torch_backend(spec, indexes.chosen_by_user):
        install.append(f"--torch-backend={backend}")
    if spec.requirements:
        _run_uv([*install, "--requirements", "-"], environment, "\n".join(spec.requirements))
    history = prefix / "conda-meta/history"  # by which a real conda knows an environment, should one come later
    history.parent.mkdir()
    history.write_text("# made by the uv front-end, not by conda\n")


def _host_python(spec: Spec) -> str:
    """This Python where it is the wanted version, else the version, for uv to find."""
    wanted = spec.python.split(".")
    here = [str(part) for part in sys.version_info[: len(wanted)]]
    return sys.executable if here == wanted else spec.python


def _run_uv(command: list[str], environment: dict[str, str], stdin: str = "") -> None:
    """Run uv with its output passed on as it comes; raise CondaUvError with advice if it fails."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as uv:
        try:
            uv.stdin.write(stdin)
            uv.stdin.close()
            lines = []
            for line in uv.stdout:
                print(line, end="", file=sys.stderr, flush=True)
                lines.append(line)
        except BaseException:
            uv.terminate()  # it must not go on writing where the caller is about to clean up
            raise
    if uv.returncode != 0:
        raise CondaUvError(_advice("".join(lines)))


def _advice(output: str) -> str:
    for pattern, advice in ADVICE:
        if match := re.search(pattern, output):
            return advice.format(*match.groups())
    return "uv's message is above"
