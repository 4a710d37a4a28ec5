"""The measurement of answering speed runs at toy size, and its two ways give the same answers."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "perf" / "predict_speed.py"


def test_both_ways_of_answering_are_measured():
    command = [sys.executable, SCRIPT, "--size", "tiny", "--questions", "12", "--tokens", "3", "--batch-sizes", "5,12"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [line.get("way") for line in lines] == [None, "one by one", "batches of 5", "batches of 12"]
    assert lines[0]["images"] == 8
    for line in lines[2:]:
        assert line["same_answers"] == 12
        assert line["ratio"] > 0
