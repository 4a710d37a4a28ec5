"""What stages leave for each other: written as the schema has it, read with one clear line for what is wrong."""

import math

import pytest

from syntune.artifacts.comparison import ComparedRun
from syntune.artifacts.reading import REMAKE, read_json_file, read_json_lines
from syntune.artifacts.training_records import StepMetrics
from syntune.errors import UserError


def test_fields_that_were_never_set_are_not_written():
    baseline = ComparedRun(value=0.5, stderr=None, interval=None)
    assert baseline.as_written() == {"value": 0.5, "stderr": None, "interval": None}


def test_blank_lines_are_passed_over_and_a_loss_may_be_no_number(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": NaN}\n\n{"step": 2}\n')
    (where, first), (_, second) = read_json_lines(path, StepMetrics)
    assert where == f"{path}: line 1" and math.isnan(first.loss) and second.step == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"steps: cannot be read \(No such file or directory\); delete it"),
        (b"\xff", "steps: not UTF-8 text .*; delete it"),
        (b'{"step": 1', "steps: not JSON .* at column 10.; delete it"),
        (b'{"step": "\\ud800"}', "steps: not JSON that can be read .unexpected end of hex escape .*; delete it"),
        (b'{"step": ' + b"[" * 900 + b"]" * 900 + b"}", "steps: not JSON that can be read .recursion limit .*; delete"),
        (b'{"step": ' + b"9" * 5001 + b"}", "steps: not JSON that can be read .number out of range .*; delete it"),
        (b'{"step": "x"}', "steps: step: Input should be a valid integer.*; delete it"),
        (b'{"step": 1, "los": 2}', "steps: los: unknown key; did you mean 'loss'.*; delete it"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_key_and_what_to_do(tmp_path, text, message):
    path = tmp_path / "steps"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(UserError, match=message):
        read_json_file(path, StepMetrics, REMAKE)
