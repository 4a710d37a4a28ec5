"""Scores are Data-Juicer's, computed once for each content."""

import pytest
import torch
from PIL import Image, ImageOps
from transformers import AutoImageProcessor, AutoProcessor, BlipForImageTextRetrieval, CLIPModel
from transformers import ViTForImageClassification as ViT

from syntune.errors import UserError
from syntune.files import sha256_file
from syntune.model_operators import scores as module
from syntune.model_operators.items import Item, images_of
from syntune.model_operators.scores import Scores


@pytest.fixture
def score(prepared, tmp_path):
    def of(kind, items, model=None, **parameters):
        named = model or prepared(kind)
        made = Scores(
            named, kind, "operator", cache=tmp_path / "cache", device=torch.device("cpu"), threads=1, batch_size=3,
            **parameters,
        )  # fmt: skip
        return made.of(items)

    return of


def pairs(rows):
    return [Item(row["id"], tuple(row["images"]), tuple(row["image_sha256"]), f"red {row['id']}") for row in rows]


def opened(row):
    return [Image.open(path).convert("RGB") for path in row["images"]]


def test_similarity_is_the_logits_by_100_of_one_pair_alone(prepared, score, make_row):
    rows = [make_row(number) for number in range(5)]
    folder = prepared("clip").folder
    model, processor = CLIPModel.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
    for row, item, found in zip(rows, pairs(rows), score("clip", pairs(rows)), strict=True):
        inputs = processor(text=item.text, images=opened(row), return_tensors="pt", padding=True)
        assert found == pytest.approx(model(**inputs).logits_per_text.item() / 100, abs=1e-6)


def test_matching_is_the_probability_of_class_1_of_one_pair_alone(prepared, score, make_row):
    rows = [make_row(number) for number in range(4)]
    folder = prepared("blip").folder
    model = BlipForImageTextRetrieval.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    for row, item, found in zip(rows, pairs(rows), score("blip", pairs(rows)), strict=True):
        inputs = processor(text=item.text, images=opened(row), return_tensors="pt", padding=True)
        assert found == pytest.approx(model(**inputs).itm_score.softmax(-1)[0, 1].item(), abs=1e-6)


def test_a_classifier_gives_the_probability_of_class_1(prepared, score, make_row):
    row = make_row(1, images=2)
    folder = prepared("classifier").folder
    model, processor = ViT.from_pretrained(folder).eval(), AutoImageProcessor.from_pretrained(folder)
    logits = model(**processor(images=opened(row), return_tensors="pt")).logits
    assert score("classifier", images_of(row)) == pytest.approx(logits.softmax(-1)[:, 1].tolist(), abs=1e-6)


@pytest.mark.parametrize("reduce_mode", ["avg", "max", "min"])
def test_a_text_with_two_images_has_one_score(score, make_row, reduce_mode):
    row = make_row(1, images=2)
    (both,) = pairs([row])
    alone = [Item("x", (path,), (sha256,), both.text) for path, sha256 in zip(both.paths, both.hashes, strict=True)]
    one, other = score("clip", alone)
    wanted = {"avg": (one + other) / 2, "max": max(one, other), "min": min(one, other)}[reduce_mode]
    assert score("clip", [both], reduce_mode=reduce_mode) == [pytest.approx(wanted, abs=2e-6)]


def test_a_flipped_image_scores_as_its_mirror_image(score, make_row):
    row = make_row(1)
    mirrored = make_row(2)
    ImageOps.mirror(opened(row)[0]).save(mirrored["images"][0])
    item = Item("mirror", tuple(mirrored["images"]), (sha256_file(mirrored["images"][0]),), "red row-1")
    assert score("clip", pairs([row]), horizontal_flip=True) == score("clip", [item])
    assert score("clip", pairs([row])) != score("clip", [item])


def test_what_was_scored_is_not_scored_again(score, make_row, monkeypatch):
    rows = [make_row(number) for number in range(4)]
    first = score("clip", pairs(rows[:3]))
    seen = []
    original = module.SCORES["clip"]

    def watched(scorer, images, texts):
        seen.extend(texts)
        return original(scorer, images, texts)

    monkeypatch.setitem(module.SCORES, "clip", watched)
    copies = [Item(f"copy of {item.row}", ("elsewhere.png",), item.hashes, item.text) for item in pairs(rows[:3])]
    assert score("clip", copies) == first and not seen  # by content: neither the row nor the path counts
    score("clip", pairs(rows))
    assert seen == ["red row-3"]
    score("clip", pairs(rows[:1]), vertical_flip=True)
    assert seen == ["red row-3", "red row-0"]


def test_a_damaged_line_of_the_cache_counts_for_nothing(score, make_row, tmp_path):
    items = pairs([make_row(1)])
    first = score("clip", items)
    (journal,) = (tmp_path / "cache").rglob("*.jsonl")
    journal.write_text(journal.read_text().replace(str(first[0]), "0.5"))
    assert score("clip", items) == first


def test_a_model_of_another_kind_is_refused(prepared, score, make_row):
    with pytest.raises(UserError, match="models.clip holds a model of kind clip, but the operator needs one of kind b"):
        score("blip", pairs([make_row(1)]), model=prepared("clip"))


def test_an_image_that_changed_since_is_refused(score, make_row):
    row = make_row(1)
    Image.new("RGB", (9, 9)).save(row["images"][0])
    with pytest.raises(UserError, match=r"row row-1: .*1-0.png: is another file than the row was made with"):
        score("clip", pairs([row]))
