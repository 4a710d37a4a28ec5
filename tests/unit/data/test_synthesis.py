"""Recipes through Data-Juicer, stage by stage over chunks, every row accounted for."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from recipe_runs import LINEAGE, MANIFEST, run_recipe

from syntune.artifacts.manifests import part_files, read_manifest
from syntune.data import chunk
from syntune.data.chunks import chunk_of, order_of
from syntune.errors import UserError
from syntune.files import read_json, read_jsonl, write_jsonl

ROOT = Path(__file__).resolve().parents[3]


def question(index):
    return f"<__dj__image>\n[[human]]: what color is the shape?\n[[gpt]]: {('red', 'blue')[index % 2]} <|__dj__eoc|>"


@pytest.fixture
def synthesize():
    """Run a recipe (its text, or a file's path) on a seed; returns rows and manifest."""

    def run(recipe, seed_manifest, **options):
        path = recipe if isinstance(recipe, Path) else Path("recipe.yaml")
        if isinstance(recipe, str):
            path.write_text(recipe)
        rows = run_recipe(path, seed_manifest, **options)
        assert rows == [row for file in part_files(MANIFEST) for row in read_jsonl(file)]
        return rows, read_manifest(MANIFEST)

    return run


def lineage():
    """The events of the dataset, as tuples without the seed's id."""
    return [tuple(event.values())[1:] for event in pq.read_table(LINEAGE).to_pylist()]


CHOICES = """
process:
  - text_length_filter: {min_len: 5}
  - qa_choice_mapper: {pools: [[red, blue, green]]}
  - document_deduplicator: {}
"""


def test_added_and_dropped_rows_add_up(synthesize, ingested):
    texts = [question(index) for index in range(5)] + ["<__dj__image>\na caption"]
    rows, manifest = synthesize(CHOICES, ingested(texts=texts, chunks=2))
    assert (manifest.rows_in, manifest.added) == (6, 5)
    assert manifest.rows_out == len(rows) == 6 + 5 - manifest.dropped["document_deduplicator"]
    assert {row["id"] for row in rows} >= {"r0", "r0#qa_choice-1", "r1#qa_choice-1", "r5"}
    assert len({row["id"] for row in rows}) == len(rows)
    assert set(rows[0]) == {"id", "seed_id", "images", "image_sha256", "text", "stats"}
    assert all(row["seed_id"] == row["id"].split("#")[0] for row in rows)
    assert [step["operator"] for step in manifest.details["operators"]] == [
        "text_length_filter",
        "qa_choice_mapper",
        "document_deduplicator",
    ]
    report = read_json("results/synth/d/1/chunk-00000.json")
    assert [step["operator"] for step in report["steps"]] == ["text_length_filter", "qa_choice_mapper"]


def test_rows_that_a_later_stage_adds_get_ids_that_no_other_batch_holds(synthesize, ingested, monkeypatch):
    monkeypatch.setattr(chunk, "IN_PROCESS", chunk.IN_PROCESS._replace(batch=2))
    recipe = CHOICES + "  - qa_choice_mapper: {pools: [[red, blue, green]], random_seed: 1}\n"
    texts = [question(index).replace("shape", f"shape {index}") for index in range(4)]
    rows, _ = synthesize(recipe, ingested(5, ["<__dj__image>\na caption", *texts]))
    ids = [row["id"] for row in rows]
    assert len(rows) == len(set(ids)) == 1 + 3 * 4
    assert {"r1#qa_choice-1", "r1#qa_choice-2"} < set(ids)


def test_the_same_work_gives_the_same_bytes(synthesize, ingested):
    seed = ingested(texts=[question(index) for index in range(6)], chunks=2)
    _, first = synthesize(CHOICES, seed)
    _, second = synthesize(CHOICES, seed)
    assert first == second


def test_chunks_do_not_change_the_rows(synthesize, ingested):
    texts = [question(index) for index in range(6)]
    one, _ = synthesize(CHOICES, ingested(texts=texts, chunks=1))
    three, _ = synthesize(CHOICES, ingested(texts=texts, chunks=3))
    assert one == three


def test_a_selector_ranks_all_rows_by_the_chunks_statistics(synthesize, ingested):
    texts = [f"<__dj__image>\n{'word ' * count}" for count in (3, 9, 4, 8, 2, 7)]
    recipe = """
process:
  - words_num_filter: {lang: en, tokenization: false, min_num: 1}
  - topk_specified_field_selector: {field_key: __dj__stats__.num_words, topk: 3}
"""
    rows, manifest = synthesize(recipe, ingested(texts=texts, chunks=2))
    assert {row["id"] for row in rows} == {"r1", "r3", "r5"}
    assert manifest.dropped == {"topk_specified_field_selector": 3}


def test_statistics_are_taken_anew_after_a_mapper(synthesize, ingested):
    texts = ["<__dj__image>\none two three"] * 5 + ["<__dj__image>\nlong " + "http://example.org/" + "x" * 80]
    recipe = """
process:
  - text_length_filter: {max_len: 1000}
  - clean_links_mapper: {}
  - text_length_filter: {max_len: 60}
"""
    rows, _ = synthesize(recipe, ingested(texts=texts))
    assert len(rows) == 6


def test_an_empty_chunk_is_no_error_but_an_empty_dataset_is(synthesize, ingested):
    in_second = [chunk_of(order_of(f"r{index}"), 2) for index in range(6)]
    texts = ["<__dj__image>\nshort" if second else "<__dj__image>\n" + "long " * 20 for second in in_second]
    seed = ingested(texts=texts, chunks=2)
    rows, _ = synthesize("process: [text_length_filter: {min_len: 50}]", seed)
    assert len(rows) == in_second.count(0) > 0
    MANIFEST.unlink()
    with pytest.raises(UserError, match="dataset d: the recipe drops every row; most, 6, by text_length_filter"):
        synthesize("process: [text_length_filter: {min_len: 5000}]", seed)
    assert not MANIFEST.exists()


def test_a_row_left_without_text_is_counted(synthesize, ingested):
    texts = ["<__dj__image>\nkept"] * 5 + ["http://example.org/x"]
    recipe = "process: [remove_specific_chars_mapper: {chars_to_remove: 'htp:/<_djimage>.orxl \\n'}]"
    with pytest.raises(UserError, match="empty text"):
        synthesize(recipe.replace("xl ", "xlkegcv "), ingested(texts=texts))


def test_of_rows_left_without_text_all_rows_that_were_looked_at_are_told(synthesize, ingested, monkeypatch):
    monkeypatch.setattr(chunk, "IN_PROCESS", chunk.IN_PROCESS._replace(batch=2))
    seed = ingested(12, [f"<__dj__image>\nkept {index}" for index in range(11)] + ["x"], chunks=3)
    _, manifest = synthesize("process: [remove_specific_chars_mapper: {chars_to_remove: '<_djimage>x \\n'}]", seed)
    empty = manifest.details["operators"][-1]
    assert empty == {"operator": "empty text", "rows_in": 12, "added": 0, "dropped": 1, "rows_out": 11}


@pytest.mark.parametrize(
    ("recipe", "match"),
    [
        ("process: [text_lenght_filter: {}]", "recipe.yaml: process.*text_lenght_filter.*did you mean: text_length"),
        (
            "process: [text_length_filter: {min: 3}]",
            "text_length_filter: min: unknown parameter; did you mean 'min_len'",
        ),
        ("process: [text_length_filter: {min_len: many}]", "min_len: 'many' is not of type 'integer'"),
        (
            "process: [qa_choice_mapper: {pools: [[yes, no]]}]",
            "qa_choice_mapper: pools: False is not of type 'string'; quote yes and no",
        ),
        ("process: [naive_grouper: {}]", "naive_grouper: it merges rows"),
        ("process: []", "recipe.yaml: process: a list of operators is missing"),
        ("process: [{a: 1, b: 2}]", r"process\[0\]: expected one operator"),
        ("process: [text_length_filter: 3]", r"process\[0\].text_length_filter: parameters must be key: value"),
        ("proces: [text_length_filter: {}]", "recipe.yaml: process: a list"),
        ("process: [text_length_filter: {}]\ntext_key: x", "text_key: unknown key; did you mean 'text_keys'"),
        ("process: [text_length_filter: {}]\ntext_keys: caption", "text_keys: the rows of this project need 'text'"),
        ("process: [", "recipe.yaml: not a readable YAML file"),
    ],
)
def test_a_wrong_recipe_is_named(synthesize, ingested, recipe, match):
    seed = ingested()
    with pytest.raises(UserError, match=match):
        synthesize(recipe, seed)


def test_an_operator_that_fails_stops_everything(synthesize, ingested):
    seed = ingested()
    Path("seed/4.png").unlink()
    with pytest.raises(UserError, match="operator image_shape_filter failed: .*4.png"):
        synthesize("process: [image_shape_filter: {skip_op_error: true}]", seed)
    assert not list(Path("results/synth").glob("**/*.jsonl"))


def test_rows_that_changed_since_are_refused(synthesize, ingested):
    seed = ingested()
    write_jsonl("results/seed/s/chunk-00000.jsonl", [])
    with pytest.raises(UserError, match="chunk-00000.jsonl: missing, or not the file that"):
        synthesize(CHOICES, seed)


def test_an_operators_new_images_are_hashed(synthesize, ingested):
    rows, _ = synthesize("process: [image_blur_mapper: {p: 1.0}]", ingested())
    assert all("blur" in row["images"][0] for row in rows)
    assert not list(Path("seed").glob("*blur*"))
    assert len({row["image_sha256"][0] for row in rows}) == 6


def test_real_captions_through_the_recipe_for_them(synthesize, shared, work):
    from syntune.data.ingest import ingest_seed
    from syntune.settings.seeds import SeedSettings

    folder = shared / "seed" / "bettersynth_200"
    settings = SeedSettings(format="jsonl", path=str(folder / "seed.jsonl"), images=str(folder), chunks=2)
    ingest_seed("s", settings, Path("results/seed/s"), Path("results/seed/s.manifest.json"))
    rows, manifest = synthesize(ROOT / "config/recipes/short-captions.yaml", Path("results/seed/s.manifest.json"))
    assert 150 < len(rows) < 200
    assert all(4 <= len(row["text"].split()) - 2 <= 24 for row in rows)
