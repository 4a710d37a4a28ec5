"""Near-duplicates are copies that were recompressed, resized or reworded a little; what is merely similar stays."""

import io
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw
from recipe_runs import run_on_rows

from syntune.errors import UserError
from syntune.files import sha256_file
from syntune.images import open_image

LONG = "a brown dog runs along the wide sandy beach while two children watch it from a small wooden boat near the pier"


@pytest.fixture
def dedupe(tmp_path, monkeypatch):
    """Run one operator on rows; returns the ids that stay, and from the lineage ``(kept, dropped, distance)``."""
    monkeypatch.chdir(tmp_path)

    def run(name, rows, before=(), **parameters):
        shutil.rmtree("results", ignore_errors=True)
        rows = [{"images": [], "image_sha256": [], **row, "id": f"r{index}"} for index, row in enumerate(rows)]
        for row in rows:
            row["image_sha256"] = row["image_sha256"] or [sha256_file(path) for path in row["images"]]
        made = run_on_rows([*before, (name, parameters)], rows)
        (lineage,) = Path("results/synth/d/2").glob("*.lineage.parquet")
        gone = pq.read_table(lineage).to_pylist()
        return [row["id"] for row in made], [(row["limit"].split()[-1], row["row_id"], row["value"]) for row in gone]

    return run


@pytest.fixture
def pictures(shared, tmp_path):
    """Six real pictures, and a function that writes a changed copy of one."""
    lines = (shared / "seed/bettersynth_200/seed.jsonl").read_text().splitlines()[:6]
    paths = [shared / "seed/bettersynth_200" / json.loads(line)["images"][0] for line in lines]

    def copy(index, change):
        image = change(open_image(paths[index], "picture"))
        path = tmp_path / f"copy-{len(list(tmp_path.glob('copy-*')))}.png"
        image.save(path)
        return path

    return paths, copy


def jpeg(image):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=50)
    return Image.open(stream)


def half(image):
    return image.resize((image.width // 2, image.height // 2))


def cropped(image):
    return image.crop((image.width // 100, image.height // 100, image.width * 99 // 100, image.height * 99 // 100))


def rows_of(paths):
    return [{"images": [str(path)], "text": f"text {index}"} for index, path in enumerate(paths)]


def test_changed_copies_of_real_pictures_go(dedupe, pictures):
    paths, copy = pictures
    copies = [copy(0, jpeg), copy(1, half), copy(2, cropped), copy(3, lambda image: half(jpeg(image)))]
    ids, pairs = dedupe("image_near_deduplicator", rows_of([*paths, *copies]))
    assert ids == [f"r{index}" for index in range(6)]
    assert [pair[:2] for pair in pairs] == [("r0", "r6"), ("r1", "r7"), ("r2", "r8"), ("r3", "r9")]
    assert all(0 <= distance <= 24 for *_, distance in pairs)


def test_rows_of_several_pictures_or_none_are_compared_among_themselves(dedupe, pictures):
    paths, copy = pictures
    one, other, none = [str(paths[0])], [str(paths[0]), str(paths[1])], []
    rows = [{"images": images, "text": "x"} for images in (one, other, none, none, [str(copy(0, jpeg)), other[1]])]
    ids, pairs = dedupe("image_near_deduplicator", rows)
    assert ids == ["r0", "r1", "r2", "r3"] and pairs[0][:2] == ("r1", "r4")


def test_another_text_about_the_same_picture_can_stay(dedupe, pictures):
    paths, copy = pictures
    texts = ["What is it?", "what is it", "Where?"]
    rows = [
        {"images": [str(path)], "text": text}
        for path, text in zip([paths[0], copy(0, jpeg), paths[0]], texts, strict=True)
    ]
    assert dedupe("image_near_deduplicator", rows)[0] == ["r0"]
    assert dedupe("image_near_deduplicator", rows, same_text=True)[0] == ["r0", "r2"]


def test_drawings_that_differ_by_color_can_stay(dedupe, tmp_path):
    paths = []
    for color in ("red", "green", "red"):
        image = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(image).ellipse((8, 8, 40, 40), fill=color)
        paths.append(tmp_path / f"{len(paths)}.png")
        image.save(paths[-1])
    assert dedupe("image_near_deduplicator", rows_of(paths), max_distance=4)[0] == ["r0"]
    assert dedupe("image_near_deduplicator", rows_of(paths), max_distance=4, colors=True)[0] == ["r0", "r1"]


def test_the_best_can_stay_instead_of_the_first(dedupe):
    texts = [LONG, f"{LONG} today", "another text", f"{LONG} once again"]
    filters = [("text_length_filter", {"min_len": 1})]
    ids, pairs = dedupe("text_near_deduplicator", [{"text": text} for text in texts], filters, keep_best="text_len")
    assert sorted(ids) == ["r2", "r3"] and [pair[:2] for pair in pairs] == [("r3", "r0"), ("r3", "r1")]
    with pytest.raises(UserError, match="keep_best: a row has no sharpness; put the filter that computes it before"):
        dedupe("text_near_deduplicator", [{"text": text} for text in texts], filters, keep_best="sharpness")


def test_a_row_without_images_is_the_worst_by_a_statistic_of_images(dedupe, pictures):
    paths, _ = pictures
    rows = [{"text": LONG}, {"text": f"<__dj__image>\n{LONG}", "images": [str(paths[0])]}, {"text": LONG}]
    filters = [("image_shape_filter", {"min_width": 1})]
    ids, pairs = dedupe("text_near_deduplicator", rows, filters, keep_best="image_width")
    assert ids == ["r1"] and [pair[:2] for pair in pairs] == [("r1", "r0"), ("r1", "r2")]


def test_reworded_texts_go_and_templates_stay(dedupe):
    texts = [
        f"<__dj__image>\n[[human]]: What?\n[[gpt]]: {LONG} <|__dj__eoc|>",
        f"<__dj__image>\nWhat? {LONG.upper()}!",
        LONG.replace("dog", "cat").replace("beach", "street").replace("boat", "hut"),
        "a red circle",
        "a blue circle",
        "A  red circle.",
        "...",
        "...",
    ]
    ids, pairs = dedupe("text_near_deduplicator", [{"text": text} for text in texts])
    assert ids == ["r0", "r2", "r3", "r4", "r6", "r7"]
    assert pairs == [("r0", "r1", 0.0), ("r3", "r5", 0.0)]


def test_the_same_text_about_another_picture_can_stay(dedupe):
    rows = [{"text": LONG, "images": [name], "image_sha256": [name]} for name in ("one", "two", "one")]
    assert dedupe("text_near_deduplicator", rows)[0] == ["r0"]
    assert dedupe("text_near_deduplicator", rows, same_images=True)[0] == ["r0", "r1"]


@pytest.mark.parametrize(
    ("name", "parameters", "match"),
    [
        ("image_near_deduplicator", {"max_distance": 81}, "max_distance: 81 is not between 0 and 80"),
        ("text_near_deduplicator", {"min_similarity": 0.5}, "min_similarity: 0.5 is not between 0.6 and 1"),
        ("text_near_deduplicator", {"ngram": 0}, "ngram: 0 is not 1 or more"),
    ],
)
def test_wrong_limits_are_named(dedupe, name, parameters, match):
    with pytest.raises(UserError, match=match):
        dedupe(name, [{"text": "x"}], **parameters)
