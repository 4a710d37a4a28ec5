"""Stages: what the lineage tells, percentiles, choices among all rows, and work that is not done again."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from recipe_runs import FOLDER, LINEAGE, MANIFEST, run_recipe

from syntune.artifacts.manifests import read_manifest
from syntune.artifacts.schema import sealed
from syntune.errors import UserError
from syntune.files import read_json, read_jsonl, write_json

WORDS = (3, 9, 4, 8, 2, 7, 12, 5)


@pytest.fixture
def run(ingested):
    """Run a recipe on captions of so many words in two chunks; returns the rows by their ids."""

    def run(recipe, words=WORDS, **options):
        texts = [f"<__dj__image>\n{' '.join(['word'] * count)}" for count in words]
        seed = ingested(rows=len(words), texts=texts, chunks=2)
        Path("recipe.yaml").write_text(recipe)
        return {row["id"]: row for row in run_recipe(Path("recipe.yaml"), seed, **options)}

    return run


def events(*columns):
    """These columns of the dataset's lineage, as sorted tuples."""
    return sorted(tuple(event[column] for column in columns) for event in pq.read_table(LINEAGE).to_pylist())


def test_the_lineage_names_the_statistic_and_the_threshold_that_decided(run):
    rows = run("process: [words_num_filter: {lang: en, tokenization: false, min_num: 5, max_num: 10}]")
    assert set(rows) == {"r1", "r2", "r3", "r5", "r7"}  # the image's mark counts as a word
    assert rows["r1"]["stats"] == {"num_words": 10}
    assert events("row_id", "operator", "event", "score", "value", "limit") == [
        ("r0", "words_num_filter", "dropped", "num_words", 4.0, "min_num 5"),
        ("r4", "words_num_filter", "dropped", "num_words", 3.0, "min_num 5"),
        ("r6", "words_num_filter", "dropped", "num_words", 13.0, "max_num 10"),
    ]


def test_a_default_threshold_is_named_too_and_the_right_side_of_two(run):
    with pytest.raises(UserError, match="drops every row; most, 8, by image_shape_filter"):
        run("process: [image_shape_filter: {min_height: 31}]")
    files = (FOLDER / "1").glob("*.lineage.parquet")
    limits = {tuple(event.values())[4:] for file in files for event in pq.read_table(file).to_pylist()}
    assert limits == {("image_height", 30.0, "min_height 31")}


def test_the_lineage_tells_what_was_changed_and_added(run):
    rows = run("process: [replace_content_mapper: {pattern: 'word word word word word word word', repl: many}]")
    assert events("row_id", "event") == [("r1", "changed"), ("r3", "changed"), ("r5", "changed"), ("r6", "changed")]
    assert rows["r5"]["text"] == "<__dj__image>\nmany"


@pytest.mark.parametrize(("share", "value", "kept"), [("25%", 4.75, 6), ("50%", 7.0, 4), ("100%", 13.0, 1)])
def test_a_percentile_is_taken_over_all_chunks(run, share, value, kept):
    recipe = (
        f"process: [words_num_filter: {{lang: en, tokenization: false, min_num: {share}}}, text_length_filter: {{}}]"
    )
    rows = run(recipe)
    assert len(rows) == kept
    (found,) = read_json(FOLDER / "2/percentiles.json")["thresholds"].values()
    assert found == {"percentile": share, "stat": "num_words", "value": value, "values": 8}
    assert all(limit == f"min_num {value:.6g} ({share})" for limit, *_ in events("limit"))


def test_a_percentile_needs_one_statistic(run):
    with pytest.raises(UserError, match="image_shape_filter: any_or_all: a percentile of which statistic"):
        run("process: [image_shape_filter: {any_or_all: 10%}]")


def test_a_models_scores_are_applied_by_the_stage_after_it(run):
    """The scores lie there as the models stage leaves them."""
    recipe = "process: [image_text_similarity_filter: {hf_clip: clip, min_score: 50%}]"
    from syntune.data.synthesis import write_report
    from syntune.files import write_jsonl

    run("process: [text_length_filter: {}]")
    for chunk in ("00000", "00001"):
        rows = list(read_jsonl(f"results/seed/s/chunk-{chunk}.jsonl"))
        for row in rows:
            row["stats"] = {"image_text_similarity": [int(row["id"][1:]) / 10]}
        file = FOLDER / f"1/chunk-{chunk}.jsonl"
        write_jsonl(file, rows)
        write_report(file.with_suffix(".json"), file, len(rows), len(rows), [])
    kept = run(recipe)
    assert set(kept) == {"r4", "r5", "r6", "r7"}
    assert events("row_id", "operator", "value", "limit")[0] == (
        "r0", "image_text_similarity_filter", 0.0, "min_score 0.35 (50%)",
    )  # fmt: skip


def test_a_selector_may_repeat_rows(run, monkeypatch):
    rows = run("process: [random_selector: {select_num: 11}]")
    assert len(rows) == 11 and len({row["seed_id"] for row in rows.values()}) == 8
    added = [row_id for row_id, event in events("row_id", "event") if event == "added"]
    assert len(added) == 3 and all(row_id.endswith("#random-1") for row_id in added)
    assert read_manifest(MANIFEST).added == 3


def test_a_selectors_drops_are_told_with_the_value_that_it_ranked_by(run):
    recipe = """
process:
  - words_num_filter: {lang: en, tokenization: false, min_num: 1}
  - topk_specified_field_selector: {field_key: __dj__stats__.num_words, topk: 6}
"""
    assert set(run(recipe)) == set(f"r{index}" for index in (1, 2, 3, 5, 6, 7))
    assert events("row_id", "score", "value", "limit") == [
        ("r0", "num_words", 4.0, "topk 6"), ("r4", "num_words", 3.0, "topk 6"),
    ]  # fmt: skip


@pytest.mark.parametrize("operator", ["document_deduplicator", "document_minhash_deduplicator: {window_size: 1}",
                                      "document_simhash_deduplicator: {window_size: 1}"])  # fmt: skip
def test_data_juicers_deduplicators_compare_columns(run, operator):
    if "simhash" in operator:
        pytest.importorskip("simhash")
    rows = run(f"process: [{{{operator if ':' in operator else operator + ': {}'}}}]", words=(3, 9, 3, 9, 3))
    assert len(rows) == (1 if "minhash" in operator else 2)
    if operator == "document_deduplicator":
        gone = [(seed_id, limit) for seed_id, limit in events("seed_id", "limit")]
        assert all(limit.removeprefix("duplicate of ") in rows for _, limit in gone) and len(gone) == 3


def test_near_duplicates_name_the_row_that_stayed(run):
    """Texts of one word repeated have the same runs of three words, if there are three."""
    rows = run(
        """
process:
  - words_num_filter: {lang: en, tokenization: false, min_num: 1}
  - text_near_deduplicator: {keep_best: num_words}
""",
        words=(3, 9, 2, 12),
    )
    assert set(rows) == {"r2", "r3"}
    assert events("row_id", "operator", "event", "score", "value", "limit") == [
        (row_id, "text_near_deduplicator", "dropped", "distance", 0.0, "<= 0.2, duplicate of r3")
        for row_id in ("r0", "r1")
    ]


def test_near_pictures_name_the_row_that_stayed(run):
    rows = run("process: [image_near_deduplicator: {}]", words=(3, 9))
    (kept,) = rows
    assert events("operator", "limit") == [("image_near_deduplicator", f"<= 24, duplicate of {kept}")]


MARKED = """
process:
  - whitespace_normalization_mapper: {}
  - document_deduplicator: {lowercase: %s}
"""


def test_equal_work_is_taken_and_other_work_is_done(run, monkeypatch):
    """A chunk's rows are taken when only what the global stage compares is another thing."""
    from syntune.data import chunk

    run(MARKED % "false")
    made = {file: file.read_bytes() for file in FOLDER.glob("1/*.jsonl")}
    for file in FOLDER.glob("**/*.*"):
        file.unlink()

    def refuse(*args, **kwargs):
        raise AssertionError("done again")

    with monkeypatch.context() as patched:
        patched.setattr(chunk, "synthesize_chunk", refuse)
        run(MARKED % "false")
        run(MARKED % "true")
        assert {file: file.read_bytes() for file in FOLDER.glob("1/*.jsonl")} == made
        with pytest.raises(AssertionError, match="done again"):
            run("process: [whitespace_normalization_mapper: {}, fix_unicode_mapper: {}]")
    kept = list(Path("results/cache/1/chunk-00000").glob("rows/*"))
    assert len(kept) == 1
    assert any(os.stat(file).st_nlink > 1 for file in made)


def test_a_damaged_keepsake_is_not_taken(run):
    run(MARKED % "false")
    for file in Path("results/cache").glob("**/chunk-*.jsonl"):
        file.unlink()
        file.write_text("damaged\n")
    assert len(run(MARKED % "false")) == 8


def test_the_sample_tells_when_nothing_of_it_is_left(run, caplog):
    import rehearse_recipe

    recipe = "process: [words_num_filter: {lang: en, tokenization: false, min_num: 5}]"
    run(recipe)
    reports = list(map(str, FOLDER.glob("1/*.json")))[:1]
    report = read_json(reports[0])
    write_json(reports[0], sealed({**report, "rows_out": 0}))
    arguments = ["--dataset", "d", "--reports", *reports, "--output", "rehearsed.json"]
    rehearse_recipe.main(rehearse_recipe.parser().parse_args(arguments))
    assert f"the recipe drops all {report['rows_in']} rows of the sample; most" in caplog.text
    assert json.loads(Path("rehearsed.json").read_text())["rows_out"] == 0


@pytest.mark.slow
def test_ray_gives_the_same_rows(run):
    """A real Ray on this machine, through Data-Juicer's own datasets."""
    recipe = """
process:
  - whitespace_normalization_mapper: {}
  - words_num_filter: {lang: en, tokenization: false, min_num: 4}
  - image_shape_filter: {min_width: 32}
  - qa_choice_mapper: {pools: [[one, two]]}
"""
    here = run(recipe)
    told = events("row_id", "operator", "event", "score", "value", "limit")
    there = run(recipe, executor="ray", kept=Path("results/other"))
    assert here == there
    assert events("row_id", "operator", "event", "score", "value", "limit") == told
