"""A model answers questions: batches of prompts, each image encoded once, images decoded ahead by other threads."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from PIL import Image

from syntune.batches import in_batches
from syntune.benchmarks.protocol import Question
from syntune.errors import UserError
from syntune.models.checkpoints import Loaded
from syntune.models.family import Generated, Row
from syntune.models.greedy import IMAGES_AT_ONCE, Features, encode_images, greedy_answers, narrowed
from syntune.prediction.plan import AnsweredQuestion, GeneratedAnswer, HashedQuestion

EncodedGroup = tuple[Sequence[HashedQuestion], list[Row]]
"""Questions about an image, and each one's model inputs."""


class Answerer:
    """Answers greedily; in float32 an answer depends on nothing but the question."""

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
        self.loaded = loaded
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
        rows = self._with_features(self._encoded(groups, ahead=max(batch_size, IMAGES_AT_ONCE)))
        batches = in_batches(rows, batch_size)
        batch = next(batches, None)
        while batch:
            asked, *given = map(list, zip(*batch, strict=True))
            generated = greedy_answers(self.loaded, *given, self.max_new_tokens, batch_size)
            batch = next(batches, None)  # a GPU has its images to work on while these answers are written
            yield [(one, self._answer(each)) for one, each in zip(asked, generated, strict=True)]

    def _answer(self, generated: Generated) -> GeneratedAnswer:
        """What the model wrote, as text."""
        return GeneratedAnswer(self.loaded.processor.decode(generated.ids), len(generated.ids), generated.near_tie)

    def _with_features(self, encoded: Iterator[EncodedGroup]) -> Iterator[tuple[HashedQuestion, Row, Features]]:
        """The questions with what the model made of their images; several images go through it at a time."""
        for groups in in_batches(encoded, IMAGES_AT_ONCE):
            features = encode_images(self.loaded, [rows[0] for _, rows in groups])
            for (group, rows), of_image in zip(groups, features, strict=True):
                for asked, row in zip(group, rows, strict=True):
                    yield asked, row, of_image

    def _encoded(self, groups: Sequence[Sequence[HashedQuestion]], ahead: int) -> Iterator[EncodedGroup]:
        """Questions about an image with their model inputs, made by other threads for ``ahead`` images in advance."""
        with ThreadPoolExecutor(self.threads) as pool:
            waiting, left = deque(), iter(groups)
            try:
                while True:
                    coming = islice(left, ahead - len(waiting))
                    waiting += [(group, pool.submit(self._encode_group, group)) for group in coming]
                    if not waiting:
                        return
                    group, rows = waiting.popleft()
                    yield group, rows.result()
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
                row = self.loaded.processor.encode_prompt(question.prompt, [image], like=rows[0] if rows else None)
            except UserError as error:
                raise UserError(f"question {question.id}: {error}") from error
            rows.append(narrowed(row, self.loaded.model))
        return rows
