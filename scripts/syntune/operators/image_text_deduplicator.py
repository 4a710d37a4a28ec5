"""Near-duplicates by picture and text together."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import imagehash
from data_juicer.ops.base_op import OPERATORS, Deduplicator

from syntune.files import sha256_bytes
from syntune.images import open_image

_HASH = "__dj__imagehash"


@lru_cache(maxsize=100_000)
def look_of(path: str, hash_size: int) -> str:
    """The perceptual hash of each color channel of an image; seeds ask much about one image, so it is remembered."""
    channels = open_image(Path(path), path, max_pixels=None).split()
    return ",".join(str(imagehash.phash(channel, hash_size)) for channel in channels)


@OPERATORS.register_module("image_text_deduplicator")
class ImageTextDeduplicator(Deduplicator):
    """Keeps the first of the rows whose images look alike and whose texts are the same, save for case and spaces.

    Images look alike when the perceptual hashes of their three color channels are equal: copies do, at most sizes, and
    drawings that differ by color do not; strong recompression can set copies apart. Data-Juicer's own
    ``document_deduplicator`` sees the text alone and would drop the same question about another picture.
    """

    def __init__(self, hash_size: int = 8, *args: Any, **kwargs: Any):
        """Take the recipe's parameters.

        Args:
            hash_size: the hash of a channel has this many bits, squared; more bits tell more images apart.
            args: Data-Juicer's.
            kwargs: Data-Juicer's.
        """
        super().__init__(*args, **kwargs)
        self.hash_size = hash_size

    def compute_hash(self, sample: dict[str, Any], context: bool = False) -> dict[str, Any]:
        """Hash the row's images, and its text without case and spacing."""
        looks = " ".join(look_of(path, self.hash_size) for path in sample[self.image_key])
        text = " ".join(sample[self.text_key].lower().split())
        sample[_HASH] = sha256_bytes(f"{looks}\n{text}".encode())[:32]
        return sample

    def process(self, dataset: Any, show_num: int = 0) -> tuple[Any, dict]:
        """Select the first row of each look and text; the pairs that Data-Juicer traces are not collected."""
        seen, kept = set(), []
        for index, key in enumerate(dataset[_HASH]):
            if key not in seen:
                seen.add(key)
                kept.append(index)
        return dataset.select(kept), {}
