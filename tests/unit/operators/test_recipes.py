"""Every recipe of the project names operators that there are, with parameters that they take."""

from pathlib import Path

import pytest

from syntune.recipes.reading import read_recipe
from syntune.recipes.stages import MODELS, kind_of, percentiles_in, stages_of

ROOT = Path(__file__).resolve().parents[3]
RECIPES = sorted((ROOT / "config/recipes").glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_operators_take_their_parameters(recipe, registered):
    from syntune.data.juicer import load_operator

    process = read_recipe(recipe)
    assert stages_of(process, str(recipe))  # which reads the parameters of operators that run a model
    for name, parameters in process:
        if kind_of(name) != MODELS:
            percentiles = percentiles_in(name, parameters)
            load_operator(name, {key: value for key, value in parameters.items() if key not in percentiles}, "recipe")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_each_says_what_it_is_for(recipe):
    first, *rest = recipe.read_text().splitlines()
    assert first.startswith("# ")
    assert all(len(line) <= 120 for line in [first, *rest])


def test_the_guide_names_every_recipe():
    guide = (ROOT / "docs/how-to/recipes.md").read_text()
    assert not [recipe.name for recipe in RECIPES if recipe.name not in guide]
