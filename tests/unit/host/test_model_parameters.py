"""The parameters of operators that need a model."""

import pytest

from syntune.errors import UserError
from syntune.recipes.model_parameters import MODEL_OPERATORS, in_numbers


def read(name, **parameters):
    return MODEL_OPERATORS[name].read(parameters, f"recipe.yaml: process: {name}")


def test_a_filter_keeps_its_limits_out_of_what_is_scored():
    operator = MODEL_OPERATORS["image_text_similarity_filter"]
    parameters = read("image_text_similarity_filter", hf_clip="clip", min_score="25%", any_or_all="all")
    assert operator.scoring(parameters) == {"hf_clip": "clip"}
    assert operator.thresholds(parameters) == {"min_score": ("image_text_similarity", "25%")}


def test_a_filter_without_limits_only_scores():
    parameters = read("image_watermark_filter", hf_watermark_model="watermark")
    assert MODEL_OPERATORS["image_watermark_filter"].thresholds(parameters) == {}


def test_recaption_names_the_statistics_that_it_selects_by():
    operator = MODEL_OPERATORS["recaption_mapper"]
    parameters = read("recaption_mapper", model="vlm", below={"image_text_similarity": "25%"}, max_words=10)
    assert operator.thresholds(parameters) == {"below.image_text_similarity": ("image_text_similarity", "25%")}
    assert operator.scoring(parameters) == {
        "model": "vlm",
        "below": {"image_text_similarity": "25%"},
        "max_words": 10,
    }


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("image_text_similarity_filter", {"hf_clip": "c", "min_score": "101%"}, "min_score"),
        ("image_text_similarity_filter", {"hf_clip": "c", "min": 0.2}, "min: unknown key; did you mean 'min_score'"),
        ("image_text_similarity_filter", {}, "hf_clip: Field required"),
        ("image_nsfw_filter", {"hf_nsfw_model": "n", "trust_remote_code": True}, "trust_remote_code"),
        ("recaption_mapper", {"model": "m", "candidates": 3}, "candidates 3 take as many prompts"),
    ],
)
def test_wrong_parameters_are_refused_by_name(name, parameters, message):
    with pytest.raises(UserError, match="recipe.yaml: process: ") as error:
        read(name, **parameters)
    assert message in str(error.value)


def test_percentiles_become_numbers():
    found = {"image_text_similarity": {"25%": 0.21}}
    assert in_numbers("image_text_similarity", "25%", found) == 0.21
    assert in_numbers("image_text_similarity", 0.3, found) == 0.3
    with pytest.raises(UserError, match="30% of image_text_similarity"):
        in_numbers("image_text_similarity", "30%", found)
