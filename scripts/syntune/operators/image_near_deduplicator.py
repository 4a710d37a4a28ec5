"""Near-duplicates by their pictures."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from data_juicer.ops.base_op import OPERATORS

from syntune.images import open_image
from syntune.matching.bit_strings import BitStrings
from syntune.matching.looks import fingerprint
from syntune.matching.words import words_of
from syntune.operators.near_duplicates import NearDeduplicator, group_of

_HASH_SIZE = 12
_BYTES = 2 * _HASH_SIZE**2 // 8


@lru_cache(maxsize=100_000)
def look_of(path: str, colors: bool) -> bytes:
    """The perceptual hash of an image, or of each of its color channels; an image is often asked about repeatedly."""
    image = open_image(Path(path), path, max_pixels=None)
    layers = [channel.convert("RGB") for channel in image.split()] if colors else [image]
    return b"".join(fingerprint(layer, _HASH_SIZE).bits.to_bytes(_BYTES, "big") for layer in layers)


@OPERATORS.register_module("image_near_deduplicator")
class ImageNearDeduplicator(NearDeduplicator):
    """Keeps the first of the rows whose images look alike: recompressed, resized or a little cropped copies.

    Two rows look alike when they have as many images and the perceptual hashes of these, 288 bits each, differ in at
    most ``max_distance`` bits altogether. Rows without images stay.
    Distances are bits.
    """

    def __init__(
        self,
        max_distance: int = 24,
        same_text: bool = False,
        colors: bool = False,
        keep_best: str | None = None,
        *args: Any,
        **kwargs: Any,
    ):
        """Take the recipe's parameters.

        Args:
            max_distance: bits that may differ.
            same_text: drop a row only if its text, too, is the same, save for case, punctuation and spaces.
            colors: hash each color channel, so that drawings that differ by color alone do not look alike.
            keep_best: keep the row with the highest value of this statistic, such as image_text_similarity, instead of
                the first.
            args: Data-Juicer's.
            kwargs: Data-Juicer's.

        Raises:
            ValueError: ``max_distance`` is negative or a third of all bits, as far apart as unlike images are.
        """
        super().__init__(*args, **kwargs)
        if not 0 <= max_distance <= 80:
            raise ValueError(f"max_distance: {max_distance} is not between 0 and 80")
        self.max_distance = max_distance
        self.same_text = same_text
        self.colors = colors
        self.keep_best = keep_best

    def compared(self, sample: dict[str, Any]) -> bytes:
        """The row's group, and the hashes of its images."""
        group = group_of(*words_of(sample[self.text_key])) if self.same_text else group_of()
        return group + b"".join(look_of(path, self.colors) for path in sample[self.image_key])

    def things(self, packed: np.ndarray, groups: np.ndarray) -> BitStrings:
        """Hashes, to be compared bit by bit."""
        return BitStrings(packed, self.max_distance, groups)
