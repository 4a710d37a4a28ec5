"""Rows that are trained on: tokenised once, counted, judged by what they can teach."""

import pytest
import torch
from training_samples import picture, sample_rows, talk, write_dataset

from syntune.errors import UserError
from syntune.models.checkpoints import load_chain
from syntune.training.rows import IMAGE_CUT, NO_ANSWER_LEFT, TOO_LONG, TrainingRows, decode_images, index_rows
from syntune.training.shards import Shards


@pytest.fixture(scope="module")
def processor(base):
    return load_chain([base], torch.float32).processor


def index_of(processor, manifest, folder, max_length=200, too_long="truncate"):
    processor.max_length = max_length
    return index_rows(Shards(manifest), processor, folder, max_length, too_long)


def test_every_row_is_as_the_processor_encodes_it(processor, dataset, tmp_path):
    index = index_of(processor, dataset, tmp_path / "tokens")
    shards = Shards(dataset)
    rows = TrainingRows(shards, index, processor)
    texts = list(shards.texts())
    assert len(rows) == len(texts) == 24
    for number, (spot, row_id, messages, images) in enumerate(texts):
        whole = shards.row(spot)
        assert (whole["id"], len(whole["images"]), rows.ids([number])) == (row_id, images, [row_id])
        wanted = processor.encode_conversation(messages, decode_images(whole))
        for name, tensor in rows[number].items():
            assert torch.equal(tensor, wanted[name])
        tokens = len(wanted["input_ids"]) + images * (processor.tokens_per_image - 1)
        supervised = int((wanted["labels"] != -100).sum())
        assert (index.lengths[number], index.supervised[number], index.images[number]) == (tokens, supervised, images)


def test_the_index_is_made_once(processor, dataset, tmp_path, monkeypatch):
    first = index_of(processor, dataset, tmp_path / "tokens")
    monkeypatch.setattr(Shards, "texts", lambda self: pytest.fail("read again"))
    assert index_of(processor, dataset, tmp_path / "tokens").lengths.tolist() == first.lengths.tolist()


@pytest.mark.parametrize("too_long", ["truncate", "drop", "refuse"])
def test_rows_that_cannot_teach_are_counted_with_a_reason(processor, tmp_path, too_long):
    long = talk("<image>\n" + "why " * 100, "because")
    endless = talk("<image>\nWhy?", "because " * 100)
    four = {"images": [picture("red")] * 4, "messages": talk("<image>" * 4 + "\nSame?", "yes")}
    rows = [
        *sample_rows(4),
        {"id": "long", "images": [picture("red")], "messages": long},
        {"id": "endless", "images": [picture("red")], "messages": endless},
        {"id": "four", **four},
    ]
    manifest = write_dataset(tmp_path, rows, shards=1)
    if too_long == "refuse":
        with pytest.raises(UserError, match="row long: .* tokens are more than max_length 60"):
            index_of(processor, manifest, tmp_path / "tokens", 60, too_long)
        assert not (tmp_path / "tokens").exists()
        return
    index = index_of(processor, manifest, tmp_path / "tokens", 60, too_long)
    wanted = {NO_ANSWER_LEFT: 1, IMAGE_CUT: 1} if too_long == "truncate" else {TOO_LONG: 3}
    assert index.dropped == wanted
    assert index.counts["rows"] == len(index) + sum(wanted.values())
    assert index.counts["cut"] == (1 if too_long == "truncate" else 0)
    assert index.lengths.max() <= 60


def test_a_row_whose_marks_and_images_differ_is_named(processor, tmp_path):
    rows = [{"id": "odd", "images": [picture("red")], "messages": talk("No mark.", "no")}]
    with pytest.raises(UserError, match="row odd: 0 <image> marks, but 1 images"):
        index_of(processor, write_dataset(tmp_path, rows, shards=1), tmp_path / "tokens")


def test_a_missing_shard_is_named(dataset, tmp_path):
    copy = tmp_path / "dataset.manifest.json"
    copy.write_bytes(dataset.read_bytes())
    with pytest.raises(UserError, match="shard-0.parquet: missing"):
        Shards(copy)
