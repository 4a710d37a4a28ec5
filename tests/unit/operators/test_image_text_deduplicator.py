"""Duplicates are rows that look and read the same."""

import pytest
from PIL import Image, ImageDraw


@pytest.fixture
def drawing(tmp_path):
    """Draw a shape in a color."""

    def draw(name, shape="ellipse", color="red", size=64):
        image = Image.new("RGB", (size, size), "white")
        getattr(ImageDraw.Draw(image), shape)((size // 8, size // 8, size // 2, size // 2), fill=color)
        image.save(tmp_path / name)
        return tmp_path / name

    return draw


def test_copies_go_and_others_stay(run, drawing):
    images = [
        drawing("a.png"),
        drawing("copy.png"),
        drawing("larger.png", size=128),
        drawing("blue.png", color="blue"),
        drawing("square.png", shape="rectangle"),
        drawing("other-text.png"),
    ]
    texts = ["A shape", "a  shape", "a shape", "a shape", "a shape", "a red shape"]
    assert run("image_text_deduplicator", texts, images) == ["A shape", "a shape", "a shape", "a red shape"]


def test_rows_without_images_are_compared_by_text(run):
    assert run("image_text_deduplicator", ["one", "two", "One"]) == ["one", "two"]
