import json
import subprocess
import sys
from pathlib import Path

PERF = Path(__file__).parents[3] / "perf"
sys.path.insert(0, str(PERF))

from train_speed import covered  # noqa: E402


def test_a_tiny_ladder_runs_on_a_cpu_and_a_failing_case_stops_no_other(tmp_path):
    command = [
        sys.executable,
        PERF / "train_speed.py",
        "--size",
        "tiny",
        "--output",
        tmp_path,
        "--case-seconds",
        "60",
    ]
    cases = (
        "no-deepspeed fast cached dropout-0.1,no-deepspeed fp8 cached dropout-0,"
        "zero2 full cached,stock zero3 cached dropout-0.1"
    )
    done = subprocess.run([*command, "--cases", cases], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    results = {found["case"]: found for found in map(json.loads, (tmp_path / "results.jsonl").read_text().splitlines())}
    assert len(results) == 4
    fast = results["no-deepspeed fast cached dropout-0.1"]
    assert fast["samples_per_second"] > 0
    assert len(set(fast["losses"])) == 4  # three steps warm up, one is timed, and each has other rows
    assert fast["graphs"] == [0, 0, 0, 0]  # there are none on a CPU
    rounded = results["no-deepspeed fp8 cached dropout-0"]
    assert 0 < abs(rounded["first_loss"] - fast["first_loss"]) < 0.05
    for case in ("zero2 full cached dropout-0", "stock zero3 cached dropout-0.1"):
        found = results[case]  # DeepSpeed may not be in this environment
        assert "samples_per_second" in found or "deepspeed" in found["error"]
    assert "| no-deepspeed fast cached dropout-0.1 |" in (tmp_path / "results.md").read_text()


def test_the_time_of_a_gpu_is_counted_once_where_kernels_overlap():
    assert covered([(5.0, 9.0, True), (1.0, 4.0, False), (2.0, 3.0, False), (8.0, 10.0, False)]) == 8.0


def test_tiny_losses_and_gradients_are_those_of_plain_training_and_near_them_in_8_bits(tmp_path):
    command = [sys.executable, PERF / "train_exactness.py", "--size", "tiny", "--output", tmp_path, "--steps", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "exactness.json").read_text())
    assert found["apart"]["bf16"]["max"] < 1e-3
    assert found["apart"]["int8"]["max"] < found["apart"]["fp8"]["max"] < 0.02
    least = {way: min(min(both["lora_A"]) for both in kinds.values()) for way, kinds in found["cosines"].items()}
    assert least["bf16"] > 0.9999
    assert 0.98 < least["fp8"] < least["int8"] < 0.9999
