"""A checkpoint's folder finds its family."""

import json

import pytest
from tiny_models import write_model

from syntune.errors import UserError
from syntune.models.hf.family import HfFamily
from syntune.models.mgm.family import MgmFamily
from syntune.models.registry import family_of


def test_the_families(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mgm"}))
    assert isinstance(family_of(tmp_path), MgmFamily)
    write_model("llava", tmp_path / "llava")
    assert isinstance(family_of(tmp_path / "llava"), HfFamily)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "no readable config.json"),
        ("{", "no readable config.json"),
        ("[]", "no readable config.json"),
        ("{}", "no readable config.json that names a model_type"),
        ('{"model_type": "nothing"}', "no config of a model that transformers knows"),
    ],
)
def test_a_folder_of_no_family(tmp_path, config, message):
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(UserError, match=f"{tmp_path}: {message}") as caught:
        family_of(tmp_path)
    assert "\n" not in str(caught.value)
