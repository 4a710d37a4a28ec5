"""Images found again, and others not."""

import base64
import csv
import io
import itertools
import random
import sys

import pytest
from PIL import Image

from syntune.images import open_image
from syntune.matching.hamming_index import HammingIndex
from syntune.matching.looks import fingerprint
from syntune.settings.contamination import ContaminationSettings

DEFAULT = ContaminationSettings()


def jpeg(quality):
    def change(image):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        return open_image(stream.getvalue(), "jpeg")

    return change


def scaled(factor):
    return lambda image: image.resize((round(image.width * factor), round(image.height * factor)))


def png(image):
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return open_image(stream.getvalue(), "png")


CHANGES = {"half": scaled(0.5), "three quarters": scaled(0.75), "JPEG 75": jpeg(75), "JPEG 50": jpeg(50)}


@pytest.fixture(scope="module")
def real_images(shared) -> list[Image.Image]:
    """The seed records' and MMBench's images, each once."""
    contents = {path.read_bytes() for path in (shared / "seed/bettersynth_200/images").rglob("*") if path.is_file()}
    csv.field_size_limit(sys.maxsize)
    for name in ("mmbench_samples_en", "ccbench_samples", "mmbench_dev_mini"):
        with (shared / f"bench/mmbench/{name}.tsv").open(newline="") as file:
            cells = [row["image"] for row in csv.DictReader(file, delimiter="\t")]
        contents |= {base64.b64decode(cell) for cell in cells if not cell.isdigit()}
    decoded = (open_image(content, "image") for content in sorted(contents))
    return list({fingerprint(image, 8).pixels: image for image in decoded}.values())


@pytest.fixture(scope="module")
def index(real_images) -> HammingIndex:
    bits = [fingerprint(image, DEFAULT.hash_size).bits for image in real_images]
    return HammingIndex(bits, 2 * DEFAULT.hash_size**2, DEFAULT.max_distance)


@pytest.mark.parametrize("change", CHANGES)
def test_real_images_are_found_after_resize_and_recompression(real_images, index, change):
    missed = [
        place
        for place, image in enumerate(real_images)
        if place not in index.near(fingerprint(CHANGES[change](image), DEFAULT.hash_size).bits)
    ]
    assert len(real_images) > 200 and missed == []


def test_real_images_are_the_same_after_png(real_images):
    assert all(fingerprint(png(image), 8) == fingerprint(image, 8) for image in real_images[:40])


def test_unrelated_real_images_are_not_near(real_images, index):
    for place, image in enumerate(real_images):
        assert set(index.near(fingerprint(image, DEFAULT.hash_size).bits)) == {place}


@pytest.mark.parametrize(("bits", "distance"), [(288, 40), (128, 0), (128, 1), (32, 5), (50, 12)])
def test_the_index_finds_what_comparing_with_each_finds(bits, distance):
    rng = random.Random(distance)
    strings = [rng.getrandbits(bits) for _ in range(60)]
    strings += [strings[0]]
    index = HammingIndex(strings, bits, distance)
    for flips in itertools.chain(range(distance + 3), (bits,)):
        string = strings[flips % 60]
        for bit in rng.sample(range(bits), min(flips, bits)):
            string ^= 1 << bit
        apart = {place: (string ^ other).bit_count() for place, other in enumerate(strings)}
        assert index.near(string) == {place: bits for place, bits in apart.items() if bits <= distance}
