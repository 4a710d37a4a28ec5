"""What stands out."""

from collections import Counter

from syntune.artifacts.manifests import Manifest
from syntune.data_page.records import DataRecords, FlowStep, Words
from syntune.data_page.remarks import remarks


def records(steps, details=None, answers=None, images=None):
    seed = Manifest(stage="ingest_seed", name="s", content="0", parts=[], rows_out=100, details=images or {})
    shards = Manifest(stage="shard", name="d", content="0", parts=[], rows_out=100, details=details or {})
    return DataRecords(shards, seed, seed, steps, words=Words(100, answers=Counter(answers or {})))


def told(*args, **more):
    return [(remark.level, remark.text) for remark in remarks(records(*args, **more))][1:]


def test_an_operator_that_drops_most_or_nothing_stands_out():
    steps = [
        FlowStep("recipe", "a_filter", 100, 0, 60, 40),
        FlowStep("recipe", "b_filter", 40, 0, 39, 1),
        FlowStep("recipe", "c_filter", 1, 0, 0, 1),
        FlowStep("recipe", "d_filter", 100, 0, 20, 80),
        FlowStep("recipe", "e_filter", 80, 0, 0, 80),
        FlowStep("recipe", "f_mapper", 80, 0, 0, 80),
    ]
    assert told(steps) == [
        ("look", "a_filter drops 60.0% of what reaches it: more than it keeps."),
        ("bad", "b_filter drops 97.5% of what reaches it."),
        ("good", "Nothing to drop or change for c_filter, e_filter and f_mapper, by their counts and limits."),
    ]


def test_what_the_rows_hold_stands_out():
    details = {
        "duplicate_rows": 5,
        "images_per_row": {"0": 10, "1": 90},
        "longer_side": {"up_to": [64, 224, 448], "counts": [30, 30, 20, 20]},
    }
    lines = [text for _, text in told([], details=details, answers={"yes": 80, "no": 20})]
    assert lines == [
        "5.0% of the rows are equal to an earlier one, images and text.",
        "10 rows (10.0%) have no image.",
        "80.0% of the answers are “yes”.",
        "60.0% of the images have at most 224 pixels a side.",
    ]


def test_images_that_show_little_stand_out():
    images = {"images": 9, "images_with_transparent_pixels": 3, "images_of_one_colour": 1}
    lines = [text for _, text in told([], images=images)]
    assert lines == [
        "3 of 9 images of the seed have transparent pixels. Runs see them on white, unless their transparency says "
        "otherwise.",
        "1 of 9 images of the seed show a single colour.",
    ]


def test_nothing_stands_out():
    assert told([FlowStep("recipe", "a_filter", 100, 0, 10, 90)]) == [
        ("good", "Nothing stands out. Look at the samples.")
    ]
