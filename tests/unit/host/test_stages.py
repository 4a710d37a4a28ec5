"""Recipes cut into stages."""

import pytest

from syntune.errors import UserError
from syntune.recipes.stages import stages_of

LENGTH = ("text_length_filter", {"min_len": 20})
CLEAN = ("whitespace_normalization_mapper", {})
DEDUPLICATE = ("document_deduplicator", {"lowercase": True})
TOP = ("topk_specified_field_selector", {"field_key": "__dj__stats__.num_words", "topk": 9})
SIMILAR = ("image_text_similarity_filter", {"hf_clip": "clip", "min_score": 0.3})
SCORE = ("image_text_similarity_filter", {"hf_clip": "clip"})


def cut(*recipe):
    return [(stage.kind, stage.operators) for stage in stages_of(list(recipe), "recipe.yaml")]


def columns(name, parameters):
    return ("columns_of", {name: parameters})


def threshold(**bounds):
    return (
        "score_filter",
        {"operator": "image_text_similarity_filter", "stat": "image_text_similarity", **bounds, "any_or_all": "any"},
    )


def test_consecutive_operators_of_one_kind_make_a_stage():
    field = columns(TOP[0], {"field_key": TOP[1]["field_key"]})
    assert cut(CLEAN, LENGTH, DEDUPLICATE, TOP, CLEAN) == [
        ("rows", [CLEAN, LENGTH, columns(*DEDUPLICATE), field]),
        ("global", [DEDUPLICATE, TOP]),
        ("rows", [CLEAN]),
    ]
    assert [stage.number for stage in stages_of([LENGTH, DEDUPLICATE, LENGTH], "")] == [1, 2, 3]


def test_a_global_operator_that_comes_first_has_its_columns_computed_in_a_stage_before_it():
    assert cut(DEDUPLICATE) == [("rows", [columns(*DEDUPLICATE)]), ("global", [DEDUPLICATE])]


def test_a_model_filter_is_scored_by_one_stage_and_applied_by_the_next():
    assert cut(CLEAN, SIMILAR, LENGTH) == [
        ("rows", [CLEAN]),
        ("models", [SCORE]),
        ("rows", [threshold(min_score=0.3), LENGTH]),
    ]
    assert cut(SCORE) == [("models", [SCORE])]


def test_another_threshold_changes_the_stage_that_applies_it_alone():
    other = (SIMILAR[0], SIMILAR[1] | {"min_score": "25%"})
    (scored, _), (scored_again, applied) = (stages_of([recipe], "") for recipe in (SIMILAR, other))
    assert scored == scored_again
    assert applied.operators == [threshold(min_score="25%")]
    assert applied.percentiles == {"min_score": "25%"}


def test_a_percentile_begins_a_stage_after_one_that_computes_its_statistics():
    filters = ("words_num_filter", {"lang": "en", "min_num": "10%"})
    assert cut(CLEAN, filters, LENGTH, filters) == [
        ("rows", [CLEAN, ("stats_of", {"words_num_filter": {"lang": "en"}})]),
        ("rows", [filters, LENGTH, ("stats_of", {"words_num_filter": {"lang": "en"}})]),
        ("rows", [filters]),
    ]


def test_a_text_of_a_mapper_is_no_percentile():
    assert cut(("replace_content_mapper", {"pattern": "half", "repl": "50%"}))[0][0] == "rows"
    assert len(cut(CLEAN, ("replace_content_mapper", {"pattern": "half", "repl": "50%"}))) == 1


@pytest.mark.parametrize(
    ("operator", "line"),
    [
        (("image_captioning_mapper", {}), r"r.yaml: process\[0\].image_captioning_mapper: Data-Juicer's own way"),
        (("video_nsfw_filter", {}), r"r.yaml: process\[0\].video_nsfw_filter: the rows have images and texts"),
        (("naive_grouper", {}), r"r.yaml: process\[0\].naive_grouper: it merges rows"),
        (("image_shap_filter", {}), r"image_shap_filter: unknown operator .*; did you mean: image_shape_filter"),
        (("image_text_similarity_filter", {"min_score": 1}), r"image_text_similarity_filter: hf_clip: is missing"),
        (("image_text_similarity_filter", {"hf_clp": "a"}), r"hf_clp: unknown key; did you mean 'hf_clip'"),
        (("text_length_filter", {"min_lenn": 2}), r"_filter: min_lenn: unknown parameter; did you mean 'min_len'"),
        (("text_length_filter", {"batchsize": 2}), r"batchsize: unknown parameter; did you mean 'batch_size'"),
        (("text_length_filter", {"words": 2}), r"words: unknown parameter; known: min_len, max_len"),
        (("clean_html_mapper", {"words": 2}), r"words: unknown parameter; it has none of its own"),
        (("text_length_filter", {"min_len": "many"}), r"text_length_filter: min_len: 'many' is not of type 'integer'"),
        (("text_length_filter", {"min_len": "25%", "max_len": "x"}), r"text_length_filter: max_len: 'x' is not"),
        (("text_length_filter", {"min_len": True}), r"min_len: True is not of type 'integer'"),
        (("choice_mapper", {"captions": "kep"}), r"captions: 'kep' is not one of \['keep', 'drop'\]"),
        (("qa_choice_mapper", {}), r"qa_choice_mapper: pools: is missing"),
        (("qa_choice_mapper", {"pools": ["red"]}), r"pools: 'red' is not of type 'array'"),
        (("ray_document_deduplicator", {}), r"it works on a dataset of Ray's; .*take the operator without ray_"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused_before_anything_does(operator, line):
    with pytest.raises(UserError, match=line):
        stages_of([operator], "r.yaml")


@pytest.mark.parametrize(
    "operator",
    [
        ("words_num_filter", {"lang": "en", "min_num": "10%", "max_num": 20.0}),
        ("replace_content_mapper", {"pattern": ["a", "b"], "repl": "c"}),
        ("language_id_score_filter", {"lang": None, "min_score": 1, "num_proc": 2}),
        ("ocr_qa_mapper", {"sides": [320]}),
    ],
)  # fmt: skip
def test_what_data_juicer_takes_is_taken(operator):
    assert stages_of([operator], "r.yaml")
