"""How an image looks: its very pixels, and what its copies share: a perceptual hash but for a few bits, and colors."""

import hashlib
from typing import NamedTuple

import imagehash
import numpy
from PIL import Image

_CELLS = 4
"""The colors of an image are those of so many cells across, and down."""

MOST_COLOR = 24
"""Levels, of 256, by which the color of a cell may differ in a copy: those that the docs count differ by 16 at most."""


class Fingerprint(NamedTuple):
    """What an image is compared by.

    Attributes:
        pixels: SHA-256 of the size and the decoded pixels.
        bits: the perceptual hash, 2 * hash_size**2 bits; it is of grey values.
        colors: the mean Cb and Cr of 4 x 4 cells, a byte each.
    """

    pixels: bytes
    bits: int
    colors: bytes

    def is_colored_as(self, other: "Fingerprint") -> bool:
        """Whether no cell has a color that a copy would not have; how bright it is does not count."""
        return all(abs(one - two) <= MOST_COLOR for one, two in zip(self.colors, other.colors, strict=True))


def fingerprint(image: Image.Image, hash_size: int) -> Fingerprint:
    """The fingerprint of an RGB image.

    The perceptual hash joins pHash (the signs of low frequencies) and dHash (the signs of gradients) of ImageHash: on
    patterns and on flat grounds one of the two becomes unstable, the other does not.
    """
    pixels = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    pixels.update(image.tobytes())
    # ImageHash would resample the whole image twice
    side = 8 * hash_size
    grey = image.convert("L").resize((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    hashes = [imagehash.phash(grey, hash_size).hash, imagehash.dhash(grey, hash_size).hash]
    packed = numpy.packbits(numpy.concatenate([part.ravel() for part in hashes]))
    padding = -2 * hash_size**2 % 8
    bits = int.from_bytes(packed.tobytes(), "big") >> padding
    cells = image.resize((_CELLS, _CELLS), Image.Resampling.BOX, reducing_gap=2.0).convert("YCbCr")
    return Fingerprint(pixels.digest(), bits, numpy.asarray(cells)[..., 1:].tobytes())
