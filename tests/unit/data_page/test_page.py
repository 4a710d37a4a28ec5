"""The page: what it shows, what it must not obey, and that it stays small."""

import re
from pathlib import Path

import pytest

from syntune.data_page import reading
from syntune.data_page.page import render_data_page
from syntune.data_page.reading import read_data_records
from syntune.data_page.records import Dropped
from syntune.pages.thumbnails import Thumbnails
from syntune.pages.visible import visible


def page(places):
    render_data_page(read_data_records(*places), Path("page.html"))
    return Path("page.html").read_text()


def test_the_way_of_the_rows(places):
    steps = read_data_records(*places).steps
    assert [(step.name, step.rows_in, step.added, step.dropped, step.rows_out, step.changed) for step in steps] == [
        ("ingest", 12, 0, 0, 12, 0),
        ("clean_links_mapper", 12, 0, 0, 12, 1),
        ("image_text_similarity_filter", 12, 0, 3, 9, 0),
        ("qa_choice_mapper", 9, 2, 0, 11, 0),
        ("image_text_deduplicator", 11, 0, 1, 10, 0),
        ("shard", 10, 0, 1, 9, 0),
    ]


def test_changes_of_an_operator_that_is_called_twice_are_told_as_those_of_both(places, monkeypatch):
    once = reading._steps
    monkeypatch.setattr(reading, "_steps", lambda *manifests: [*once(*manifests)[:2], *once(*manifests)[1:]])
    assert page(places).count("clean_links_mapper: 12 in, 1 changed in 2 calls, 12 out") == 2


def test_what_an_operator_dropped_is_shown_with_its_score_and_limit(places):
    html = page(places)
    assert "image_text_similarity_filter: 3 rows, 25.0%" in html
    assert "image_text_similarity 0.100, min_score 0.28 (25%)" in html
    assert re.search(r"image_text_similarity: 10 kept and 3 dropped values, thresholds \[0.28\]", html)
    assert "Q1?" in html and "Q2?" in html


def test_near_duplicates_stand_beside_the_row_that_was_kept(places):
    records = read_data_records(*places)
    (row,) = records.dropped["image_text_deduplicator"]
    assert row.duplicate_of == "r4#choice-1" and row.duplicate_of in records.made_rows
    assert page(places).count('<div class="pair">') == 1


@pytest.mark.parametrize(
    ("limit", "twin"),
    [
        ("duplicate of a b/1", "a b/1"),
        ("<= 24, duplicate of 7", "7"),
        ("min_num 5", None),
        ("over the limit", None),
        (None, None),
    ],
)
def test_a_limit_names_the_row_that_was_kept(limit, twin):
    assert Dropped("1", "1", None, None, limit).duplicate_of == twin


def test_texts_are_escaped_and_what_is_unseen_is_named(places):
    html = page(places)
    assert "<script" not in html and "&lt;script&gt;alert(&#39;1&#39;)" in html
    assert "\u202e" not in html and "U+202E" in html and "U+0007" in html
    assert visible("a\tb\u200b\n<") == (
        '<bdi class="text">a<span class="unseen-character">U+0009</span>b'
        '<span class="unseen-character">U+200B</span>\n&lt;</bdi>'
    )


def test_the_page_needs_nothing_else(places):
    html = page(places)
    addresses = re.findall(r"""(?:src|href)=["']([^"']*)["']|url\(([^)]*)\)|@import""", html)
    assert all(one.startswith(("data:image/webp;base64,", "#")) for one, _ in addresses)
    assert "http" not in re.sub(r"http-equiv", "", html)


def test_the_same_data_give_the_same_page(places):
    assert page(places) == page(places)


def test_thumbnails_stop_where_the_page_is_full(places):
    thumbnails = Thumbnails(room=5000)
    made = [thumbnails.make(Path("seed/1.png"), "seed/1.png") for _ in range(20)]
    assert made[0] and made[-1] is None
    assert sum(len(uri) for uri in made if uri) <= 5000


def test_an_image_that_is_gone_is_said_to_be_missing(places):
    for file in Path("seed").iterdir():
        file.unlink()
    assert "not shown" in page(places)


def test_a_dataset_without_a_recipe_has_a_page(places):
    from syntune.data.shards import write_shards
    from syntune.settings.datasets import DatasetSettings

    raw = [Path(f"results/data/raw.{ending}") for ending in ("manifest.json", "lineage.parquet")]
    settings = DatasetSettings(seed="s", shards=1, mix={"d": 2})
    write_shards(
        "raw", settings, places[2], {"d": places[1]}, Path("results/data/raw"), raw[0],
        lineage=raw[1], synthesis_lineage={"d": Path("results/synth/d.lineage.parquet")},
    )  # fmt: skip
    steps = read_data_records(raw[0], places[2], places[2], raw[1]).steps
    assert [(step.name, step.added, step.rows_out) for step in steps] == [
        ("ingest", 0, 12), ("rows mixed in", 10, 22), ("shard", 0, 14),
    ]  # fmt: skip
    html = page([raw[0], places[2], places[2], raw[1]])
    assert "as it is, with rows of d mixed in." in html and "image_text_similarity" not in html


def test_a_text_of_unseen_characters_is_cut():
    assert visible("\0" * 300).count("U+0000") == 40
