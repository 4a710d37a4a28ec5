"""How a command ends: a user's mistake and a full disk in one line, a defect with its traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
COMMAND = """
import argparse, sys
from syntune import command
from syntune.errors import UserError
command.require_environment = lambda name: None

def main(args):
    {body}

command.run_command(main, argparse.ArgumentParser(), "data")
"""


def run(body: str) -> subprocess.CompletedProcess[str]:
    code = COMMAND.format(body=body)
    return subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise UserError('seed.jsonl: line 3:\\n not JSON')", "error: seed.jsonl: line 3: not JSON"),
        ("print('x' * 100_000, file=open('/dev/full', 'w'), flush=True)", "error: no space left on the disk"),
        ("raise RuntimeError('I/O error: No space left on device (os error 28)')", "error: no space left on the disk"),
        (
            "raise RuntimeError('[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534')",
            "error: no space left on the disk",
        ),
        ("raise OSError('13312 requested and 10208 written')", "error: no space left on the disk"),
        ("bytearray(1 << 60)", "error: not enough memory (MemoryError); free some, or raise the job's limit"),
        (
            "raise UserError('a.parquet: not readable; delete it') from OSError('Failed to launch worker thread')",
            "error: not enough memory (Failed to launch worker thread)",
        ),
    ],
)
def test_what_a_user_can_put_right_is_one_line(body, line):
    done = run(body)
    assert done.returncode == 1
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_a_defect_keeps_its_traceback():
    done = run("raise KeyError('x')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_command_outside_its_environment_does_not_run():
    body = "print('ran')"
    code = COMMAND.format(body=body).replace("command.require_environment = lambda name: None", "")
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: wrong interpreter: ")
    assert "ran" not in done.stdout
