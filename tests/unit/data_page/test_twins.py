"""The kept row that a near-duplicate is shown beside."""

from PIL import Image

from syntune.data_page.twins import TwinSearch


def row(name, text, image=None):
    return {
        "id": name,
        "text": text,
        "images": [str(image)] if image else [],
        "image_sha256": [str(image)] if image else [],
    }


def search(dropped, *kept):
    twins = TwinSearch({dropped["id"]: dropped})
    for one in kept:
        twins.see(one)
    return {name: twin["id"] for name, twin in twins.twins().items()}


def test_among_equal_texts_the_look_decides(tmp_path):
    names = {}
    for name, seed in (("a", 1), ("b", 2)):
        picture = Image.frombytes("L", (8, 8), bytes((seed * 97 * i * i) % 256 for i in range(64))).resize((96, 96))
        picture.save(tmp_path / f"{name}.png")
        names[name] = picture
    names["a"].save(tmp_path / "again.jpg", quality=70)
    dropped = row("d", "What is it? a ball", tmp_path / "again.jpg")
    kept = [row(name, "What is it? A ball", tmp_path / f"{name}.png") for name in ("b", "a")]
    assert search(dropped, *kept) == {"d": "a"}


def test_rows_that_are_unlike_are_no_pair(tmp_path):
    assert search(row("d", "a red ball"), row("a", "the quiet street at night")) == {}
    assert search(row("d", "a red ball"), row("d", "a red ball")) == {}


def test_texts_of_the_same_image_are_a_pair():
    assert search(row("d", "a red ball on grass", "x"), row("a", "the red ball on grass", "x")) == {"d": "a"}


def test_equal_texts_about_other_images_are_a_pair_too():
    assert search(row("d", "what is it? red", "x"), row("a", "what is it? red", "y")) == {"d": "a"}
