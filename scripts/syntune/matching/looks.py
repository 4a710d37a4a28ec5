"""How an image looks: its very pixels, and a perceptual hash that differs in a few bits from those of its copies."""

import hashlib
from typing import NamedTuple

import imagehash
import numpy
from PIL import Image


class Fingerprint(NamedTuple):
    """What an image is compared by.

    Attributes:
        pixels: SHA-256 of the size and the decoded pixels.
        bits: the perceptual hash, 2 * hash_size**2 bits.
    """

    pixels: bytes
    bits: int


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
    return Fingerprint(pixels.digest(), int.from_bytes(packed.tobytes(), "big") >> padding)
