import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "perf" / "train_speed.py"


def test_a_tiny_ladder_runs_on_a_cpu_and_a_failing_case_stops_no_other(tmp_path):
    command = [
        sys.executable,
        SCRIPT,
        "--size",
        "tiny",
        "--output",
        tmp_path,
        "--loss-steps",
        "3",
        "--case-seconds",
        "60",
    ]
    cases = "no-deepspeed fast cached dropout-0.1,losses,stock zero3 cached dropout-0.1"
    done = subprocess.run([*command, "--cases", cases], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    results = {found["case"]: found for found in map(json.loads, (tmp_path / "results.jsonl").read_text().splitlines())}
    assert len(results) == 3
    fast = results["no-deepspeed fast cached dropout-0.1"]
    assert fast["samples_per_second"] > 0
    assert fast["losses"][0] > fast["losses"][-1]
    assert results["losses fast-against-plain"]["fast_against_plain"]["max"] < 1e-3
    stock = results["stock zero3 cached dropout-0.1"]  # DeepSpeed may not be in this environment
    assert "samples_per_second" in stock or "deepspeed" in stock["error"]
    assert "| no-deepspeed fast cached dropout-0.1 |" in (tmp_path / "results.md").read_text()
