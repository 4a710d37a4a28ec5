"""Rows without their images: the language of the questions, for a model that is to learn to read first."""

from typing import Any

from data_juicer.ops.base_op import OPERATORS, Mapper

from syntune.data.conversations import JUICER_IMAGE_MARK


@OPERATORS.register_module("text_only_mapper")
class TextOnlyMapper(Mapper):
    """Takes the images and their marks out: what is left says what an answer looks like, not which is right."""

    _batched_op = True

    def process_batched(self, samples: dict[str, list]) -> dict[str, Any]:
        """Change texts and images."""
        mark = JUICER_IMAGE_MARK
        samples[self.text_key] = [text.replace(f"{mark}\n", "").replace(mark, "") for text in samples[self.text_key]]
        samples[self.image_key] = [[] for _ in samples[self.text_key]]
        return samples
