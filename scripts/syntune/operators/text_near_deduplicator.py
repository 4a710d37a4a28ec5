"""Near-duplicates by their texts."""

import re
from typing import Any

import numpy as np
from data_juicer.ops.base_op import OPERATORS

from syntune.data.conversations import JUICER_END_MARK, JUICER_IMAGE_MARK
from syntune.matching.signatures import Signatures, signature
from syntune.operators.near_duplicates import NearDeduplicator, group_of

_MARKS = re.compile(rf"{re.escape(JUICER_IMAGE_MARK)}|{re.escape(JUICER_END_MARK)}|^\[\[\w+\]\]:", re.MULTILINE)


@OPERATORS.register_module("text_near_deduplicator")
class TextNearDeduplicator(NearDeduplicator):
    """Keeps the first of the rows whose texts share most of their runs of words.

    Two texts are near when the Jaccard similarity of their runs of ``ngram`` words, estimated by MinHash, is at least
    ``min_similarity``. Marks, case and punctuation do not count; a text shorter than ``ngram`` words counts whole. Rows
    without words stay.
    Distances are 1 - the similarity.
    """

    def __init__(
        self,
        min_similarity: float = 0.8,
        ngram: int = 3,
        same_images: bool = False,
        keep_best: str | None = None,
        *args: Any,
        **kwargs: Any,
    ):
        """Take the recipe's parameters.

        Args:
            min_similarity: Jaccard similarity from which texts are near.
            ngram: words in a run.
            same_images: drop a row only if its images, too, are the same files.
            keep_best: keep the row with the highest value of this statistic instead of the first.
            args: Data-Juicer's.
            kwargs: Data-Juicer's.

        Raises:
            ValueError: ``min_similarity`` is below 0.6, where too many would be missed, or above 1.
        """
        super().__init__(*args, **kwargs)
        if not 0.6 <= min_similarity <= 1:
            raise ValueError(f"min_similarity: {min_similarity} is not between 0.6 and 1")
        if ngram < 1:
            raise ValueError(f"ngram: {ngram} is not 1 or more")
        self.max_distance = round(1 - min_similarity, 6)
        self.ngram = ngram
        self.same_images = same_images
        self.keep_best = keep_best

    def compared(self, sample: dict[str, Any]) -> bytes:
        """The row's group, and the signature of its text."""
        group = group_of(*sample["image_sha256"]) if self.same_images else group_of()
        return group + signature(_MARKS.sub(" ", sample[self.text_key]), self.ngram)

    def things(self, packed: np.ndarray, groups: np.ndarray) -> Signatures:
        """Signatures, to be compared by how many of their parts are equal."""
        return Signatures(packed, self.max_distance + 1e-9, groups)
