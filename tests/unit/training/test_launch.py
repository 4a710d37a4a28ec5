import os
import re
import signal
import subprocess
import sys
import time

import pytest

import syntune.training.launch
from syntune.settings.runs import TrainedRunSettings

RANK = """
import os, signal, sys, time
from syntune.errors import UserError
from syntune.training.launch import launch, run_ranks

how = sys.argv[1]
if "RANK" in os.environ:
    assert os.environ["WORLD_SIZE"] == "2"
    assert launch(sys.argv, None) is False
    if how == "is orphaned":
        print(f"{os.getpid()}\\n", end="", flush=True)
        time.sleep(60)
    if how == "ends":
        sys.exit()
    if os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGABRT) if how == "is aborted" else sys.exit(3)
    time.sleep(60)
try:
    run_ranks(sys.argv, 2, timeout=7)
except UserError as error:
    print("said:", error)
"""


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("ends", ""),
        ("is aborted", "said: rank 1 was aborted.* waited 7 minutes.*"),
        ("fails", "said: rank 1 failed with exit status 3.*"),
    ],
)
def test_the_rank_that_failed_first_is_named_and_the_others_are_ended(tmp_path, how, says):
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, script, how], env=environment, capture_output=True, text=True, timeout=50, check=True
    )
    assert re.fullmatch(says, done.stdout, re.DOTALL), done.stderr


def test_ranks_end_with_a_launcher_that_is_killed(tmp_path):
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, script, "is orphaned"]
    launcher = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    ranks = [int(launcher.stdout.readline()) for _ in range(2)]
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    until = time.monotonic() + 10
    while any(map(_runs, ranks)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(_runs, ranks))


def _runs(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("gpus", "rank", "launches"), [(2, None, True), (2, "1", False), (1, None, False)])
def test_several_gpus_get_a_process_each_and_none_of_these_starts_more(monkeypatch, gpus, rank, launches):
    started, taken = [], []
    monkeypatch.setattr(syntune.training.launch, "take_gpus", taken.append)
    monkeypatch.setattr(syntune.training.launch, "_end_with_launcher", lambda: None)
    monkeypatch.setattr(syntune.training.launch, "run_ranks", lambda *given: started.append(given))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("RANK", rank) if rank else monkeypatch.delenv("RANK", raising=False)
    run = {"method": "lora", "start": "base", "dataset": "dataset", "gpus": gpus, "timeout": 7}
    assert syntune.training.launch.launch(["train.py"], TrainedRunSettings.model_validate(run)) == launches
    assert started == ([(["train.py"], 2, 7)] if launches else [])
    assert taken == ([] if rank else [gpus])
