"""Too few rows are told of before anything is loaded."""

import pytest

from syntune.errors import UserError
from syntune.settings.runs import TrainedRunSettings
from syntune.settings.steps import refuse_too_few_rows, whole_steps


def run(**settings) -> TrainedRunSettings:
    return TrainedRunSettings(method="lora", start="base", dataset="few", **settings)


def test_a_dataset_below_one_step_is_refused_with_the_setting():
    with pytest.raises(
        UserError, match="runs.tuned.global_batch_size: 20 rows in 1 epochs do not fill one step of 128"
    ):
        refuse_too_few_rows("tuned", run(), 20)


@pytest.mark.parametrize(
    ("rows", "settings"),
    [(128, {}), (20, {"epochs": 7}), (20, {"max_steps": 3}), (20, {"global_batch_size": 8}), (None, {})],
)
def test_enough_rows_pass(rows, settings):
    refuse_too_few_rows("tuned", run(**settings), rows)


def test_steps_are_whole():
    assert (whole_steps(984, 1, 128), whole_steps(12_000, 1, 128), whole_steps(984, 2, 128)) == (7, 93, 15)
