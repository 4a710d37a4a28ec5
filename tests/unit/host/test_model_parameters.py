"""The parameters of operators that need a model."""

import pytest

from syntune.errors import UserError
from syntune.recipes.endpoint_cost import costs_of_recipe, estimate
from syntune.recipes.model_parameters import check_models, read_model_operator
from syntune.settings.models import EndpointSettings, ScorerSettings


def read(name, **parameters):
    return read_model_operator(name, parameters, f"recipe.yaml: process: {name}")


def test_a_filter_keeps_its_limits_out_of_what_is_scored():
    parameters = read("image_text_similarity_filter", hf_clip="clip", min_score="25%", any_or_all="all")
    assert parameters.for_scoring() == {"hf_clip": "clip"}
    assert parameters.limits() == {"min_score": ("image_text_similarity", "25%")}


def test_a_filter_without_limits_only_scores():
    assert read("image_watermark_filter", hf_watermark_model="watermark").limits() == {}


def test_recaption_names_the_statistics_that_it_selects_by():
    parameters = read("recaption_mapper", model="vlm", below={"image_text_similarity": "25%"}, max_words=10)
    assert parameters.limits() == {"below.image_text_similarity": ("image_text_similarity", "25%")}
    assert parameters.for_scoring() == {
        "model": "vlm",
        "below": {"image_text_similarity": "25%"},
        "max_words": 10,
    }


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("image_text_similarity_filter", {"hf_clip": "c", "min_score": "101%"}, "min_score"),
        ("image_text_similarity_filter", {"hf_clip": "c", "min": 0.2}, "min: unknown key; did you mean 'min_score'"),
        ("image_text_similarity_filter", {}, "hf_clip: is missing"),
        ("image_nsfw_filter", {"hf_nsfw_model": "n", "trust_remote_code": True}, "trust_remote_code"),
        ("recaption_mapper", {"model": "m", "candidates": 3}, "candidates 3 take as many prompts"),
    ],
)
def test_wrong_parameters_are_refused_by_name(name, parameters, message):
    with pytest.raises(UserError, match="recipe.yaml: process: ") as error:
        read(name, **parameters)
    assert message in str(error.value)


RECIPE = [
    ("words_num_filter", {"max_num": 20}),
    ("image_text_similarity_filter", {"hf_clip": "clip", "min_score": "25%"}),
    ("recaption_mapper", {"model": "captioner", "keep_if_better": "clip"}),
]
CLIP = ScorerSettings(source="scorer", path="clip")
CAPTIONER = EndpointSettings(source="endpoint", base_url="http://localhost:8000/v1/", model="vlm")


def test_models_that_are_there_are_taken():
    check_models(RECIPE, {"clip": CLIP, "captioner": CAPTIONER}, "recipe.yaml")
    assert CAPTIONER.base_url == "http://localhost:8000/v1"


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (
            {"captioner": CAPTIONER},
            "recipe.yaml: process: image_text_similarity_filter: hf_clip: the config has no model 'clip'; "
            "add models.clip with source: scorer and path: the folder of a CLIP",
        ),
        (
            {"clip": CLIP},
            "recipe.yaml: process: recaption_mapper: model: the config has no model 'captioner'; add "
            "models.captioner with source: local, hub or parts for weights, or source: endpoint",
        ),
        (
            {"clip": CLIP, "captioner": CLIP},
            "recipe.yaml: process: recaption_mapper: model: models.captioner has source: scorer, but here it must be "
            "models.captioner with source: local, hub or parts for weights, or source: endpoint",
        ),
    ],
)
def test_a_missing_model_is_refused_in_one_line(models, message):
    with pytest.raises(UserError) as error:
        check_models(RECIPE, models, "recipe.yaml")
    assert str(error.value) == message


def test_an_estimate_counts_the_share_that_a_percentile_lets_through():
    parameters = read(
        "recaption_mapper", model="captioner", prompt=["x" * 28, "y"], candidates=2, max_new_tokens=50,
        below={"image_text_similarity": "25%"},
    )  # fmt: skip
    priced = CAPTIONER.model_copy(update={"price_per_million_input_tokens": 1.0, "max_image_side": 280})
    found = estimate(1001, parameters, priced)
    assert (found.calls, found.input_tokens, found.output_tokens) == (502, 502 * 110, 502 * 50)
    assert found.told() == "at most 502 calls, about 55,220 input and 25,100 output tokens; cost about 0.06"
    assert estimate(1001, parameters, CAPTIONER).told().endswith("no price is set")


def test_the_plan_tells_what_an_endpoint_would_be_asked():
    models = {"big": EndpointSettings(source="endpoint", base_url="http://localhost:1/v1", model="m")}
    recipe = [("fix_unicode_mapper", {}), ("recaption_mapper", {"model": "big", "below": {"text_len": "25%"}})]
    (known,) = costs_of_recipe(recipe, models, 4000)
    assert known.startswith("big: at most 1,000 calls, about ")
    (unknown,) = costs_of_recipe(recipe, models, None)
    assert unknown.startswith("big: per 1,000 rows at most 250 calls, about ")
    assert costs_of_recipe([("fix_unicode_mapper", {})], models, 4000) == []
