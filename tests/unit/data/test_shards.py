"""Shards: what load_dataset reads is what the seed held."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from datasets import load_dataset

from syntune.artifacts.manifests import read_manifest
from syntune.data import card
from syntune.data.shards import FEATURES, write_shards
from syntune.errors import UserError
from syntune.settings.datasets import DatasetSettings

ROOT = Path(__file__).resolve().parents[3]
SHARDS, MANIFEST = Path("results/data/d"), Path("results/data/d.manifest.json")
LINEAGE = Path("results/data/d.lineage.parquet")


def shard(rows, mixed=None, lineages=None, **settings):
    settings = DatasetSettings(**{"seed": "s", "shards": 2, **settings})
    write_shards("d", settings, rows, mixed or {}, SHARDS, MANIFEST, lineage=LINEAGE, synthesis_lineage=lineages or {})
    return read_manifest(MANIFEST)


def table():
    return [row for file in sorted(SHARDS.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def test_load_dataset_decodes_the_images(ingested, tmp_path_factory):
    manifest = shard(ingested(), shards=3)
    names = [f"d/shard-0000{index}-of-00003.parquet" for index in range(3)]
    assert [part.path for part in manifest.parts] == [*names, "d/README.md"]
    dataset = load_dataset(str(SHARDS), cache_dir=str(tmp_path_factory.mktemp("cache")))["train"]
    assert dataset.features == FEATURES
    assert dataset.num_rows == manifest.rows_out == 6
    for row in dataset:
        index = int(row["id"].removeprefix("r"))
        assert row["images"][0].size == (40, 30)
        assert row["images"][0].getpixel((0, 0)) == (index * 20, 60, 200)
        prompt, answer = row["messages"]
        assert prompt["role"] == "user" and prompt["content"].startswith("<image>\n")
        assert row["seed_id"] == row["id"]
        assert answer == {"role": "assistant", "content": f"a plain picture number {index}"}


def test_rows_stream_in_their_order_with_images_decoded(ingested):
    shard(ingested(40), shards=2)
    rows = load_dataset(str(SHARDS), split="train", streaming=True)
    assert rows.features == FEATURES
    assert [(row["id"], row["images"][0].size) for row in rows] == [(row["id"], (40, 30)) for row in table()]


def test_a_row_group_is_small_enough_to_be_read_at_random(ingested):
    shard(ingested(300), shards=1)
    metadata = pq.read_metadata(next(SHARDS.glob("*.parquet")))
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [256, 44]


def test_the_card_says_where_the_rows_come_from_and_which_are_left_out(ingested):
    manifest = shard(ingested(10), {"raw": Path("results/seed/s.manifest.json")}, limit=4, license="cc-by-4.0")
    card = (SHARDS / "README.md").read_text()
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert metadata["license"] == "cc-by-4.0"
    assert metadata["configs"][0]["data_files"] == [{"split": "train", "path": "shard-*.parquet"}]
    assert metadata["dataset_info"]["splits"][0]["num_examples"] == manifest.rows_out == 14
    assert "- seed `s`" in card and manifest.inputs["rows"] in card and "mixed in from `raw`" in card
    assert "| shard | over the limit | 6 |" in card
    assert "no recipe" in card


def test_the_card_is_no_content(ingested, monkeypatch):
    rows = ingested()
    before = shard(rows)
    monkeypatch.setattr(card, "_TEXT", card._TEXT + "\nMore words.\n")
    after = shard(rows)
    assert before.content == after.content and before.parts[:-1] == after.parts[:-1]
    assert before.parts[-1] != after.parts[-1]


def test_the_manifest_describes_the_rows(ingested):
    question = "<__dj__image>\n[[human]]: What is it?\n[[gpt]]: red"
    details = shard(ingested(texts=[question, question, "<__dj__image>\na quiet street"], rows=3), shards=1).details
    assert (details["images"], details["image_formats"], details["images_per_row"]) == (3, {"PNG": 3}, {"1": 3})
    assert (details["answers"], details["distinct_answers"], details["mean_answer_words"]) == (3, 2, 1.67)
    up_to_64, *more = details["longer_side"]["counts"]
    assert up_to_64 == 3 and not any(more)


def test_images_keep_their_bytes(ingested):
    shard(ingested())
    for row in table():
        assert row["images"][0]["bytes"] == Path("seed", row["images"][0]["path"]).read_bytes()


def test_the_same_work_gives_the_same_bytes(ingested):
    rows = ingested(40)
    assert shard(rows) == shard(rows)


def test_rows_are_shuffled_by_their_ids(ingested):
    rows = ingested(40)
    shard(rows, shards=1)
    one = [row["id"] for row in table()]
    shard(rows, shards=4)
    assert [row["id"] for row in table()] == one != sorted(one, key=lambda name: int(name[1:]))


def test_a_limit_keeps_the_same_rows_everywhere(ingested):
    rows = ingested(40)
    manifest = shard(rows, limit=10)
    assert manifest.dropped == {"over the limit": 30}
    ten = {row["id"] for row in table()}
    shard(rows, limit=20)
    assert ten < {row["id"] for row in table()}


def test_mixed_rows_have_ids_of_their_own_and_spread_over_the_shards(ingested):
    rows = ingested(40)
    manifest = shard(rows, {"raw": rows}, limit=20)
    assert (manifest.rows_in, manifest.rows_out, manifest.dropped) == (80, 60, {"over the limit": 20})
    halves = [pq.read_table(file)["id"].to_pylist() for file in sorted(SHARDS.glob("*.parquet"))]
    assert all(5 <= sum(name.startswith("raw/") for name in half) <= 25 for half in halves)
    assert set(manifest.inputs) == {"rows", "mix.raw"}


def test_a_mix_takes_as_many_rows_as_it_says(ingested):
    rows = ingested(10)
    shard(rows, {"raw": rows}, mix={"raw": 3})
    assert sum(row["id"].startswith("raw/") for row in table()) == 3


def test_captions_answer_every_prompt(ingested):
    shard(ingested(40), caption_prompts=["One.", "Two."])
    assert {row["messages"][0]["content"] for row in table()} == {"<image>\nOne.", "<image>\nTwo."}


def test_rows_without_an_answer_are_dropped_with_the_reason(ingested):
    texts = [
        "<__dj__image>\n[[human]]: Q\n[[gpt]]: A",
        "<__dj__image>\n[[human]]: Q",
        "<__dj__image>\n",
        "<__dj__image>\n[[gpt]]: A\n[[human]]: Q",
        "<__dj__image>\n[[human]]: Q\n[[human]]: R\n[[gpt]]: A",
        "<__dj__image>\na caption",
    ]
    manifest = shard(ingested(texts=texts))
    assert manifest.dropped == {"no answer": 2, "turns out of order": 2}
    assert {row["id"] for row in table()} == {"r0", "r5"}


def test_turns_that_cannot_be_learned_are_left_out_and_counted(ingested):
    texts = [
        "<__dj__image>\n[[gpt]]: Hello.\n[[human]]: Q\n[[gpt]]: A",
        "<__dj__image>\n[[human]]: Q\n[[gpt]]: A\n[[human]]: Thanks!",
        "<__dj__image>\n[[human]]: R\n[[gpt]]: \n[[human]]: Q\n[[gpt]]: A",
    ]
    manifest = shard(ingested(3, texts=texts), shards=1)
    assert (manifest.rows_out, manifest.dropped) == (3, {})
    assert manifest.details["turns_left_out"] == {
        "first answer without a question": 1,
        "last question without an answer": 1,
        "pair without a question or an answer": 1,
    }
    for row in table():
        assert row["messages"] == [{"role": "user", "content": "<image>\nQ"}, {"role": "assistant", "content": "A"}]


def test_it_is_said_by_what_every_row_was_dropped(ingested):
    rows = ingested(3, texts=["<__dj__image>\n", "<__dj__image>\n", "<__dj__image>\n[[gpt]]: A\n[[human]]: Q"])
    with pytest.raises(UserError, match=r"datasets.d: every row was dropped \(2 no answer, 1 turns out of order\)"):
        shard(rows)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda path: path.unlink(), "seed/2.png: cannot be read any more .*; "),
        (lambda path: path.write_bytes(b"other"), "seed/2.png: changed since the seed was read; "),
    ],
)
def test_an_image_that_changed_since_is_refused(ingested, spoil, match):
    rows = ingested()
    spoil(Path("seed/2.png"))
    with pytest.raises(UserError, match=match + "read the seed again: snakemake --forcerun ingest_seed"):
        shard(rows)
    assert not SHARDS.exists() and not MANIFEST.exists()
    assert "rule ingest_seed:" in (ROOT / "rules/seed.smk").read_text()


def test_fewer_rows_than_shards(ingested):
    with pytest.raises(UserError, match="datasets.d: 6 rows do not fill 7 shards; lower shards"):
        shard(ingested(), shards=7)


def test_shards_are_a_seed_again(ingested):
    from syntune.data.ingest import ingest_seed
    from syntune.settings.seeds import SeedSettings

    shard(ingested(), shards=3)
    before = table()
    settings = SeedSettings(path=str(SHARDS))
    ingest_seed("again", settings, Path("results/seed/again"), Path("results/seed/again.manifest.json"))
    shard(Path("results/seed/again.manifest.json"), shards=1)
    assert [(row["id"], row["messages"], row["images"][0]["bytes"]) for row in table()] == [
        (row["id"], row["messages"], row["images"][0]["bytes"]) for row in before
    ]
