"""What makes a training another one, and what does not."""

import pytest

from syntune.artifacts.fingerprints import training_fingerprint
from syntune.settings.methods import METHODS
from syntune.settings.runs import BaseRunSettings, TrainedRunSettings

RUN = TrainedRunSettings(method="lora", start="base", dataset="data")


def fingerprint(dataset="data", starts=("base",), layout=True, **changes):
    return training_fingerprint(RUN.model_copy(update=changes), dataset, starts, layout=layout)


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "other"},
        {"starts": ("base", "adapter")},
        {"random_seed": 1},
        {"cuda_kernels": True},
        {"gpus": 2},
        {"orientation": "ignore"},
        {"transparency": "ignore"},
    ],
    ids=str,
)
def test_another_result_has_another_fingerprint(changes):
    assert fingerprint(**changes) != fingerprint()


@pytest.mark.parametrize("changes", [{"save_steps": 1}, {"workers": 9}, {"timeout": 1}, {"keep_finished": 0}], ids=str)
def test_what_changes_no_byte_does_not_count(changes):
    assert fingerprint(**changes) == fingerprint()


def test_a_work_folder_is_found_again_under_another_layout():
    assert fingerprint(gpus=2, layout=False) == fingerprint(layout=False)


def test_the_table_of_methods_has_every_method_of_the_config():
    fields = [kind.model_fields["method"].annotation.__args__ for kind in (TrainedRunSettings, BaseRunSettings)]
    assert sorted(METHODS) == sorted(name for names in fields for name in names)
    assert [name for name in METHODS if not METHODS[name].is_trained] == list(fields[1])
