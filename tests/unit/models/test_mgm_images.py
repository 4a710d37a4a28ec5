"""Images: the reference's preprocessing bit for bit, and what happens to unusual or bad ones."""

import hashlib
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from syntune.errors import UserError
from syntune.images import open_image
from syntune.models.mgm.image_processing_mgm import MgmImageProcessor


def encoded(image, format="PNG", **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def test_preprocessing_is_the_references_bit_for_bit(goldens):
    folder = goldens / "mgm/preprocess"
    meta = json.loads((folder / "meta.json").read_text())
    for entry in meta["entries"]:
        image = open_image(folder / entry["file"], entry["file"])
        tiny = MgmImageProcessor(meta["tiny_low"], meta["tiny_aux"], entry["aspect"])([image])
        full = MgmImageProcessor(image_aspect_ratio=entry["aspect"])([image])
        for name in ("images", "images_aux"):
            assert hashlib.sha256(tiny[name][0].numpy().tobytes()).hexdigest() == entry["tiny_size"][name]["sha256"]
            sample = entry["full_size"][name]
            assert list(full[name][0].shape) == sample["shape"]
            assert torch.equal(full[name].flatten()[sample["flat_index"]], torch.tensor(sample["values"]))
            assert full[name].double().mean().item() == pytest.approx(sample["mean"], abs=1e-6)


def test_no_images_are_empty_tensors():
    tensors = MgmImageProcessor(64, 128)([])
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "images": (0, 3, 64, 64),
        "images_aux": (0, 3, 128, 128),
    }


def test_processor_settings_are_saved(tmp_path):
    MgmImageProcessor(64, 128, "square").save_pretrained(tmp_path)
    again = MgmImageProcessor.from_pretrained(tmp_path)
    assert (again.image_size, again.image_size_aux, again.image_aspect_ratio) == (64, 128, "square")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_unusual_modes_keep_their_colours(mode):
    gray = np.full((6, 9), 100, dtype=np.uint8)
    if mode == "I;16":
        image, wanted = Image.fromarray(gray.astype(np.uint16) * 257), 100
    else:
        image, wanted = Image.fromarray(gray).convert(mode), 0 if mode == "1" else 100
    if mode == "1":
        image = Image.new("1", (9, 6))
    opened = open_image(encoded(image, "TIFF" if mode == "CMYK" else "PNG"), "x")
    assert opened.mode == "RGB"
    assert opened.size == (9, 6)
    assert abs(int(np.asarray(opened).max()) - wanted) <= 1


def test_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "lime")]
    opened = open_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), "x.gif")
    assert opened.getpixel((3, 3)) == (255, 0, 0)


def test_bad_images_are_refused_by_name(tmp_path):
    whole = encoded(Image.effect_noise((200, 200), 50))
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    bad = {
        "cut.png": (tmp_path / "cut.png", "damaged"),
        "gone.png": (tmp_path / "gone.png", "cannot be read .No such file"),
        "text.png": (b"not an image", "not an image of a known format"),
        "empty.png": (b"", "not an image of a known format"),
        "icon.ppm": (encoded(Image.new("RGB", (4, 4)), "PPM"), "not an image of a known format"),
        "big.png": (encoded(Image.new("1", (1500, 1000))), "1500 x 1000 pixels are more than max_pixels 1000000"),
        "bomb.png": (encoded(Image.new("1", (20_000, 20_000))), "max_pixels|too many pixels"),
        "strip.png": (encoded(Image.new("1", (5000, 1))), "too elongated"),
        "float.tif": (encoded(Image.new("F", (8, 8)), "TIFF"), "fractions of an unknown range"),
    }
    for name, (source, message) in bad.items():
        with pytest.raises(UserError, match=f"^{name}: .*({message})"):
            open_image(source, name, max_pixels=1_000_000)
