"""The benchmarks' questions, ready to be found in training rows."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from syntune.artifacts.questions import QuestionId
from syntune.benchmarks.protocol import Protocol, Question
from syntune.contamination.parallel import in_order
from syntune.contamination.texts import TextIndex, without_marks
from syntune.images import open_image
from syntune.matching.hamming_index import HammingIndex
from syntune.matching.looks import Fingerprint, fingerprint
from syntune.settings.benchmarks import BenchmarkSettings
from syntune.settings.contamination import ContaminationSettings

SHARED, SHARED_BY = 0.05, 3
"""A text that more than this share of a benchmark's questions have in common, and more than so many, says nothing."""


class IndexedQuestion(NamedTuple):
    """A question: whose it is, and the places of its texts and its image in the index."""

    benchmark: str
    id: QuestionId
    texts: tuple[int, ...]
    image: int


class QuestionIndex:
    """Every benchmark's questions by text and by image.

    Attributes:
        questions: all of them, in the benchmarks' order.
        texts: the distinct texts that the questions are known by.
    """

    def __init__(
        self,
        questions: list[IndexedQuestion],
        texts: list[str],
        images: list[Fingerprint],
        settings: ContaminationSettings,
    ) -> None:
        """Index the questions; ``texts`` and ``images`` are distinct."""
        self.questions = questions
        self.texts = texts
        self.hash_size = settings.hash_size
        self._by_words = TextIndex(texts, settings.ngram)
        self._images = images
        self._by_pixels = {image.pixels: place for place, image in enumerate(images)}
        self._by_bits = HammingIndex((image.bits for image in images), 2 * settings.hash_size**2, settings.max_distance)
        self._of_image: list[dict[int, list[int]]] = [defaultdict(list) for _ in images]
        for place, question in enumerate(questions):
            for text in question.texts:
                self._of_image[question.image][text].append(place)

    def texts_in(self, text: str) -> set[int]:
        """The texts that stand in a training text."""
        return self._by_words.found_in(text)

    def same_image(self, image: Fingerprint) -> int | None:
        """The image that is the same, pixel for pixel."""
        return self._by_pixels.get(image.pixels)

    def near_images(self, image: Fingerprint) -> dict[int, int]:
        """The images that look the same, in colors too, and the distance of each; also the one that is the same."""
        near = self._by_bits.near(image.bits)
        return {place: distance for place, distance in near.items() if image.is_colored_as(self._images[place])}

    def asking(self, texts: set[int], image: int) -> Iterator[int]:
        """The places of the questions that ask one of ``texts`` about ``image``."""
        of_image = self._of_image[image]
        for text in of_image.keys() & texts:
            yield from of_image[text]


def index_questions(benchmarks: list[Protocol], settings: ContaminationSettings, processes: int = 1) -> QuestionIndex:
    """Read the questions that the benchmarks ask, and decode their images.

    Raises:
        UserError: a benchmark cannot be read, or an image is missing or damaged.
    """
    asked = []
    for benchmark in benchmarks:
        questions = benchmark.questions()
        benchmark.check_images(questions)
        asked += [(benchmark, question, known_by) for question, known_by in _known_by(benchmark, questions)]
    sources = {question.image: (benchmark, question) for benchmark, question, _ in asked}
    tasks = [
        (source, _image_name(benchmark, question), benchmark.settings, settings.hash_size)
        for source, (benchmark, question) in sources.items()
    ]
    fingerprints = dict(zip(sources, _fingerprints(tasks, processes), strict=True))
    texts: dict[str, int] = {}
    images: dict[bytes, tuple[int, Fingerprint]] = {}
    questions = []
    for benchmark, question, known_by in asked:
        of_question = tuple(texts.setdefault(text, len(texts)) for text in known_by)
        image = fingerprints[question.image]
        place, _ = images.setdefault(image.pixels, (len(images), image))
        questions.append(IndexedQuestion(benchmark.name, question.id, of_question, place))
    return QuestionIndex(questions, list(texts), [image for _, image in images.values()], settings)


def _known_by(benchmark: Protocol, questions: list[Question]) -> Iterator[tuple[Question, tuple[str, ...]]]:
    """Each question with the texts to look for: where its own are shared by many, the right answers, if there are any.

    A prompt such as "What is this?" stands in the training data anyway; what would leak is the answer. Marks of the
    image are no words.
    """
    own = [(question, tuple(map(without_marks, benchmark.searched_texts(question)))) for question in questions]
    sharing = Counter(texts for _, texts in {(question.base, texts) for question, texts in own})
    most = max(SHARED * benchmark.size(questions), SHARED_BY)
    for question, texts in own:
        yield question, (benchmark.answer_texts(question) or texts) if sharing[texts] > most else texts


def _fingerprints(tasks: list[tuple], processes: int) -> Iterator[Fingerprint]:
    """The fingerprint of each image, in order."""
    return tqdm(in_order(_fingerprint, tasks, processes), "benchmark images", len(tasks), unit="", disable=None)


def _fingerprint(task: tuple[Path | bytes, str, BenchmarkSettings, int]) -> Fingerprint:
    """Decode one image."""
    source, name, limits, hash_size = task
    return fingerprint(open_image(source, name, limits.max_pixels, limits.max_bytes), hash_size)


def _image_name(benchmark: Protocol, question: Question) -> str:
    """What a message calls a question's image."""
    if isinstance(question.image, Path):
        return str(question.image)
    return f"benchmark {benchmark.name}: image of question {question.id}"
