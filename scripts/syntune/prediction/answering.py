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
from syntune.models.family import Row
from syntune.models.greedy import Features, encode_images, greedy_answers, narrowed
from syntune.prediction.plan import AnsweredQuestion, GeneratedAnswer, HashedQuestion


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
        features: dict[str, Features] = {}
        for batch in in_batches(self._encoded(groups, ahead=batch_size), batch_size):
            fresh = {asked.image: row for asked, row in batch if asked.image not in features}
            features |= dict(zip(fresh, encode_images(self.loaded, list(fresh.values())), strict=True))
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
                row = self.loaded.processor.encode_prompt(question.prompt, [image])
            except UserError as error:
                raise UserError(f"question {question.id}: {error}") from error
            rows.append(narrowed(row, self.loaded.model.dtype))
        return rows

    def _generate(self, rows: list[Row], features: list[Features]) -> list[GeneratedAnswer]:
        """The answers to a batch."""
        answers = greedy_answers(self.loaded, rows, features, self.max_new_tokens)
        return [GeneratedAnswer(self.loaded.processor.decode(ids), len(ids)) for ids in answers]
