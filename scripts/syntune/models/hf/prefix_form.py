"""Conversations for processors of prefix and suffix, such as PaliGemma's, which have no chat template."""

import inspect
from collections.abc import Sequence

from transformers import BatchFeature, ProcessorMixin

from syntune.errors import UserError
from syntune.models.hf.messages import Message, images_of, text_of


def takes_suffix(processor: ProcessorMixin) -> bool:
    """Whether a processor is asked with a prefix and trained with a suffix."""
    return "suffix" in inspect.signature(type(processor).__call__).parameters


class PrefixForm:
    """A question is the prefix, which the model reads in both directions; its answer is the suffix."""

    def __init__(self, processor: ProcessorMixin) -> None:
        self._processor = processor
        self._tokenizer = processor.tokenizer
        self.control_tokens = {*self._tokenizer.all_special_tokens, processor.image_token}

    def inputs(self, chat: Sequence[Message], opens_answer: bool) -> BatchFeature:
        """The model's inputs for one chat, a batch of one.

        Raises:
            UserError: there is more than one question.
        """
        if len(chat) > 2:
            raise UserError("this model takes one question and one answer a row: split the conversation into rounds")
        images, question = images_of(chat), text_of(chat[0])
        suffix = None if opens_answer else [text_of(chat[1])]
        if images:
            text = self._processor.image_token * len(images) + question
            return self._processor(text=[text], images=[images], suffix=suffix, return_tensors="pt")
        # the processor refuses a question without an image: here is what it would have made of the text
        return self._tokenizer(
            [f"{self._tokenizer.bos_token}{question}\n"],
            text_pair=suffix and [suffix[0] + self._tokenizer.eos_token],
            return_token_type_ids=True,
            add_special_tokens=False,
            return_tensors="pt",
        )

    def answers(self, chat: Sequence[Message], inputs: BatchFeature) -> list[tuple[int, int]]:
        """Where the answer is in ``inputs(chat)``: from its first token, past its last."""
        types = inputs["token_type_ids"][0]
        return [(len(types) - int(types.sum()), len(types))]
