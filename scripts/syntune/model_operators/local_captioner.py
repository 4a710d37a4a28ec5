"""Captions by a model of the config that is run here, greedily, in batches."""

from collections.abc import Iterator, Sequence

import torch

from syntune.errors import UserError
from syntune.model_operators.given import NamedModel, engine_content
from syntune.model_operators.items import Item, decoded
from syntune.model_operators.replies import CUT, EMPTY, Reply
from syntune.models.checkpoints import Loaded, load_chain
from syntune.models.greedy import encode_images, greedy_answers, narrowed

_ROOMS = ("syntune/models/", "syntune/model_operators/local_captioner.py")


class LocalCaptioner:
    """Asks a base model: bfloat16 on a GPU, float32 on a CPU, where a reply depends on nothing but its prompt."""

    def __init__(
        self, model: NamedModel, *, max_new_tokens: int, batch_size: int, device: torch.device, threads: int
    ) -> None:
        """Prepare; the model is loaded when it is first asked."""
        self._model, self._max_new_tokens, self._batch_size = model, max_new_tokens, batch_size
        self._device, self._threads = device, threads
        self._dtype = torch.bfloat16 if device.type == "cuda" else torch.float32

    def way(self) -> dict[str, object]:
        """Weights, code, and decoding."""
        return {
            "captions": "local",
            "model": self._model.content(),
            "engine": engine_content(*_ROOMS),
            "max_new_tokens": self._max_new_tokens,
            "dtype": str(self._dtype),
        }

    def replies(self, asked: Sequence[Item]) -> Iterator[dict[str, Reply]]:
        """Replies, a batch at a time.

        Raises:
            UserError: the model cannot be loaded, an image cannot be read, or a prompt is too long.
        """
        if not asked:
            return
        loaded = load_chain([self._model.checked_folder()], self._dtype, self._device)
        for batch in decoded(asked, self._batch_size, self._threads):
            rows = []
            for item, images in batch:
                try:
                    rows.append(narrowed(loaded.processor.encode_prompt(item.text, images), loaded.model))
                except UserError as error:
                    raise UserError(f"models.{self._model.name}: row {item.row}: {error}") from error
            features = encode_images(loaded, rows)
            answers = greedy_answers(loaded, rows, features, self._max_new_tokens, self._batch_size)
            yield {item.key: self._reply(loaded, answer.ids) for (item, _), answer in zip(batch, answers, strict=True)}

    def _reply(self, loaded: Loaded, ids: list[int]) -> Reply:
        """New ids as a reply."""
        text = loaded.processor.decode(ids)
        if len(ids) >= self._max_new_tokens:
            return Reply(text, CUT, output_tokens=len(ids))
        return Reply(text, None if text.strip() else EMPTY, output_tokens=len(ids))
