"""A model answers questions: batches of prompts, each image encoded once, images decoded ahead by other threads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import torch
from PIL import Image

from syntune.benchmarks.protocol import Question
from syntune.errors import UserError
from syntune.models.checkpoints import Loaded
from syntune.models.family import Row
from syntune.prediction.margins import watch_margins
from syntune.prediction.plan import AnsweredQuestion, GeneratedAnswer, HashedQuestion

IMAGES_AT_ONCE = 8
"""Images that the towers see at a time: enough to keep a GPU busy, and their activations fit it."""

Features = torch.Tensor | None


class Answerer:
    """Answers greedily.

    In float32 an answer depends on nothing but the question: one with a choice so close that rounding, which differs
    with the batch, may have decided it is answered again, alone. In bfloat16 such choices are left as they are.
    """

    def __init__(
        self, loaded: Loaded, max_new_tokens: int, open_image: Callable[[Question], Image.Image], threads: int
    ) -> None:
        """Prepare.

        Args:
            loaded: the model, on its device.
            max_new_tokens: longest answer, in tokens.
            open_image: decodes a question's image.
            threads: threads that decode images.
        """
        self.model, self.processor, self.family = loaded.model, loaded.processor, loaded.family
        self.max_new_tokens = max_new_tokens
        self.open_image = open_image
        self.threads = threads

    def answer(self, groups: Sequence[Sequence[HashedQuestion]], batch_size: int) -> Iterator[list[AnsweredQuestion]]:
        """Yield the answered questions, a batch at a time.

        Args:
            groups: the questions, those of an image together.
            batch_size: questions at a time.

        Raises:
            UserError: an image is unreadable or a prompt is too long; the message names the question.
        """
        features: dict[str, Features] = {}
        for batch in _batches(self._encoded(groups, ahead=batch_size), batch_size):
            fresh = {asked.image: row for asked, row in batch if asked.image not in features}
            features |= dict(zip(fresh, self._encode_images(list(fresh.values())), strict=True))
            rows = [row for _, row in batch]
            answers = self._generate(rows, [features[asked.image] for asked, _ in batch])
            yield [(asked, answer) for (asked, _), answer in zip(batch, answers, strict=True)]
            # the next batch may begin with more questions about the last image
            last = batch[-1][0].image
            features = {last: features[last]}

    def _encoded(self, groups: Sequence[Sequence[HashedQuestion]], ahead: int) -> Iterator[tuple[HashedQuestion, Row]]:
        """The questions with their model inputs, made by other threads for ``ahead`` images in advance."""
        with ThreadPoolExecutor(self.threads) as pool:
            waiting, left = deque(), iter(groups)
            try:
                while True:
                    coming = islice(left, ahead - len(waiting))
                    waiting += [(group, pool.submit(self._encode_group, group)) for group in coming]
                    if not waiting:
                        return
                    group, rows = waiting.popleft()
                    yield from zip(group, rows.result(), strict=True)
            finally:
                for _, rows in waiting:
                    rows.cancel()

    def _encode_group(self, group: Sequence[HashedQuestion]) -> list[Row]:
        """The model inputs of questions about one image."""
        rows, image = [], None
        for asked in group:
            question = asked.question
            try:
                image = image or self.open_image(question)
                row = self.processor.encode_prompt(question.prompt, [image])
            except UserError as error:
                raise UserError(f"question {question.id}: {error}") from error
            rows.append({name: self._narrowed(tensor) for name, tensor in row.items()})
        return rows

    def _narrowed(self, tensor: torch.Tensor) -> torch.Tensor:
        """Pixels in the model's own type: half as much to move to a GPU."""
        return tensor.to(self.model.dtype) if tensor.is_floating_point() else tensor

    def _encode_images(self, rows: list[Row]) -> list[Features]:
        """The features of each row's image."""
        parts = (rows[start : start + IMAGES_AT_ONCE] for start in range(0, len(rows), IMAGES_AT_ONCE))
        return [features for part in parts for features in self.family.encode_images(self.model, part)]

    def _generate(self, rows: list[Row], features: list[Features]) -> list[GeneratedAnswer]:
        """The answers to a batch."""
        if self.model.dtype != torch.float32:
            answers = self._greedy(rows, features)
        else:
            with watch_margins(self.model) as margins:
                answers = self._greedy(rows, features)
            for place in margins.unsure(answers):
                row = [rows[place]]
                answers[place] = self._greedy(row, self._encode_images(row))[0]
        return [GeneratedAnswer(self.processor.decode(ids), len(ids)) for ids in answers]

    def _greedy(self, rows: list[Row], features: list[Features]) -> list[list[int]]:
        """The new ids of each row."""
        return self.family.generate(self.model, self.processor, rows, features, self.max_new_tokens)


def _batches(items: Iterable[tuple[HashedQuestion, Row]], size: int) -> Iterator[list[tuple[HashedQuestion, Row]]]:
    """Lists of ``size``, the last one shorter."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch
