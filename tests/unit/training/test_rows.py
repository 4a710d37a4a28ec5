"""Rows that are trained on: tokenised once, counted, judged by what they can teach."""

import io

import pytest
import torch
from PIL import Image
from training_samples import picture, sample_rows, talk, write_dataset

from syntune.errors import UserError
from syntune.models.checkpoints import load_chain
from syntune.settings.pixels import PixelSettings
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


def turned(orientation: int) -> dict:
    """A picture that is upright once its tag is applied: 32 wide, 48 high, white at the top right."""
    image = Image.new("RGB", (48, 32), "red")
    image.paste("white", (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    return {"bytes": buffer.getvalue(), "path": "turned.png"}


def test_images_are_turned_as_their_tags_ask_unless_that_is_ignored(processor, tmp_path):
    rows = [{"id": "a", "images": [turned(6)], "messages": talk("<image>\nWhere is it white?", "Top right.")}]
    manifest = write_dataset(tmp_path, rows, shards=1)
    index = index_of(processor, manifest, tmp_path / "tokens")
    upright, stored = (
        TrainingRows(Shards(manifest), index, processor, PixelSettings(orientation=orientation))[0]
        for orientation in ("apply", "ignore")
    )
    plain = Image.open(io.BytesIO(turned(1)["bytes"]))
    for row, image in ((upright, plain.transpose(Image.Transpose.ROTATE_270)), (stored, plain)):
        wanted = processor.encode_conversation(rows[0]["messages"], [image])
        for name, tensor in row.items():
            assert torch.equal(tensor, wanted[name])


def test_an_image_that_the_seed_let_in_is_decoded_whatever_its_size(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    row = {"id": "a", "images": [picture("red", (48, 40))]}
    assert decode_images(row)[0].size == (48, 40)
