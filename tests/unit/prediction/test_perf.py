"""The measurement of answering speed runs at toy size, from picture files to answers."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "perf" / "predict_speed.py"


def test_prediction_is_measured_from_files_to_answers():
    sizes = ["--questions", "12", "--pictures", "8", "--tokens", "3", "--batch-size", "5", "--again", "7"]
    command = [sys.executable, SCRIPT, "--size", "tiny", "--threads", "2", *sizes]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    found = {}
    for line in done.stdout.splitlines():
        found |= json.loads(line)
    assert found["pictures"] == 8
    assert found["questions_per_second"] > 0
    assert 0 < found["waiting_for_loader_percent"] < 100
    assert 40 < found["mean_prompt_tokens"] < 80
    assert (found["asked_again_in_other_company"], found["answers_that_differ"]) == (7, 0)
