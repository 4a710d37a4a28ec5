"""One training at a time in a work folder, however the one before ended."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from syntune.errors import UserError
from syntune.training.owner import owned

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
HOLDER = """
import sys, time
from pathlib import Path
from syntune.training.owner import owned
with owned(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_training_is_refused_until_the_first_is_killed(tmp_path):
    lock = tmp_path / "work/raw.lock"
    command = [sys.executable, "-c", HOLDER, str(lock)]
    with subprocess.Popen(command, cwd=SCRIPTS, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"work/raw: process {holder.pid} on \S+ trains there"), owned(lock):
            pass
        holder.send_signal(signal.SIGKILL)
    with owned(lock):
        assert f"process {holder.pid} " not in lock.read_text()
