"""Every recipe of the project names operators that there are, with parameters that they take."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from syntune.settings.reading import read_settings

ROOT = Path(__file__).resolve().parents[3]
MODELS = "syntune.recipes.model_parameters"
RECIPES = sorted((ROOT / "config/recipes").glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_operators_take_their_parameters(recipe, registered):
    from data_juicer.ops.base_op import OPERATORS

    models = import_module(MODELS).MODEL_OPERATORS if find_spec("syntune.recipes") else {}
    for step in yaml.safe_load(recipe.read_text())["process"]:
        ((name, parameters),) = step.items()
        if name in models:
            read_settings(parameters, models[name], str(recipe))
        elif "recaption_mapper" in models or (name in OPERATORS.modules and "hf_" not in str(parameters)):
            OPERATORS.modules[name](**parameters)
        else:
            pytest.skip(f"{name} runs a model or compares rows, and has no place here yet")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_each_says_what_it_is_for(recipe):
    first, *rest = recipe.read_text().splitlines()
    assert first.startswith("# ")
    assert all(len(line) <= 120 for line in [first, *rest])


def test_the_guide_names_every_recipe():
    guide = (ROOT / "docs/how-to/recipes.md").read_text()
    assert not [recipe.name for recipe in RECIPES if recipe.name not in guide]
