"""What stages leave for each other: written as the schema has it, read with one clear line for what is wrong."""

import json
import math

import pytest

from syntune.artifacts.clearances import Clearance
from syntune.artifacts.comparison import ComparedRun
from syntune.artifacts.findings import ExamplePictures
from syntune.artifacts.manifests import Manifest
from syntune.artifacts.predictions import Prediction
from syntune.artifacts.reading import read_json_file, read_json_lines
from syntune.artifacts.remaking import remake
from syntune.artifacts.training_records import StepMetrics, ValidationLoss
from syntune.errors import UserError
from syntune.files import write_json


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
        read_json_file(path, StepMetrics, remake(path))


PREDICTION = Prediction(question_id="q1", prompt="What is it?", text="a cat")
SEALED = [
    (PREDICTION, "a cat", "a rat"),
    (StepMetrics(step=3, loss=1.25, samples=8), "1.25", "1.75"),
    (ValidationLoss(step=3, loss=1.25), "1.25", "1.75"),
    (Clearance(fingerprint="ab12", upstream="cd"), "ab12", "ab13"),
    (ExamplePictures(dataset="d", questions={}, rows={"r": ["data:a"]}), "data:a", "data:b"),
    (Manifest(stage="shard", name="d", content="0", parts=[], rows_in=20, rows_out=18, dropped={"x": 2}), "18", "28"),
]


@pytest.mark.parametrize(("artifact", "said", "damaged"), SEALED, ids=lambda value: type(value).__name__)
def test_a_changed_byte_is_refused_where_it_is_read(artifact, said, damaged, tmp_path):
    path = tmp_path / "artifact.json"
    write_json(path, artifact.as_written())
    assert read_json_file(path, type(artifact)) == artifact
    path.write_text(path.read_text().replace(said, damaged, 1))
    with pytest.raises(UserError, match="artifact.json: .*damaged: it does not say what was written"):
        read_json_file(path, type(artifact))


def test_answers_from_elsewhere_need_no_seal():
    assert Prediction.model_validate({"question_id": 1, "prompt": "", "text": "x", "more": 2}).text == "x"


def test_a_seal_is_of_what_a_reader_gets():
    written = PREDICTION.model_copy(update={"text": "\\ud800", "decoding": {"1": 1.0, "2": (1, 2)}}).as_written()
    assert Prediction.model_validate(json.loads(json.dumps(written))).decoding == {"1": 1.0, "2": [1, 2]}
