"""What every benchmark offers: questions, decoding, answer extraction and submission files."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import isfile
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from PIL import Image

from syntune.artifacts.questions import QuestionId
from syntune.artifacts.shards import IMAGE_MARK
from syntune.benchmarks.names import listed, repeated
from syntune.errors import UserError
from syntune.images import open_image
from syntune.settings.pixels import AS_VIEWERS, PixelSettings

S = TypeVar("S")


@dataclass(frozen=True)
class Question:
    """One question about one image.

    Attributes:
        id: unique in the benchmark.
        prompt: the text that the model is given with the image.
        image: the image file's path, or its content.
        references: the human answers, or the one right answer; empty where they are kept secret.
        group: what the question shares with others whose scores hang together: its image, its base question.
        categories: the parts of the benchmark that it belongs to, by kind.
        options: the answers that it offers, by letter.
        notes: what is unusual about it; score file and report count each.
        words: its own words, where the prompt holds more than these and an instruction.
        rotation_of: the question that it asks again, with the options in another order.
    """

    id: QuestionId
    prompt: str
    image: Path | bytes = field(repr=False)
    references: tuple[str, ...] = ()
    group: QuestionId = ""
    categories: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    words: str = ""
    rotation_of: QuestionId | None = None

    @property
    def base(self) -> QuestionId:
        """The question that is scored with all its rotations; its own id if it is none."""
        return self.id if self.rotation_of is None else self.rotation_of

    def image_bytes(self) -> bytes:
        """The image file's content."""
        return self.image if isinstance(self.image, bytes) else self.image.read_bytes()

    def open_image(
        self, max_pixels: int, max_bytes: int | None = None, pixels: PixelSettings = AS_VIEWERS
    ) -> Image.Image:
        """The image, decoded (RGB); a damaged or oversized one is a :class:`UserError`."""
        name = f"question {self.id}" if isinstance(self.image, bytes) else str(self.image)
        return open_image(self.image, name, max_pixels, max_bytes, pixels)


class Protocol(ABC, Generic[S]):
    """One benchmark, as its settings configure it. Nothing here needs a model, or any image before prediction."""

    metric: ClassVar[str]
    """The metric of ``metrics.METRICS`` that scores it."""
    clusters: ClassVar[str]
    """What the questions of a group share, in the plural."""
    primary: str | None = None
    """Which of the metric's scores stands for the benchmark; None for its first."""

    def __init__(self, settings: S, name: str) -> None:
        """``name`` is the benchmark's name in the config."""
        self.settings = settings
        self.name = name

    @abstractmethod
    def read(self) -> list[Question]:
        """Read and check every question of the benchmark, in its order."""

    @abstractmethod
    def label(self) -> str:
        """The protocol in a few words, with what makes its scores incomparable to others."""

    @abstractmethod
    def submission(self, questions: Sequence[Question], texts: Sequence[str], path: Path) -> None:
        """Write the file that the benchmark's own server takes; ``texts`` are the raw answers."""

    def all_questions(self) -> list[Question]:
        """Every question of the benchmark; ids are checked to be unique, and each to be about one image."""
        questions = self.read()
        if not questions:
            raise UserError(f"benchmark {self.name}: there are no questions in {listed(self.settings.files())}")
        if doubled := repeated(str(question.id) for question in questions):
            raise UserError(f"benchmark {self.name}: {len(doubled)} doubled question ids ({listed(doubled)})")
        if marked := [question.id for question in questions if question.prompt.count(IMAGE_MARK) > 1]:
            raise UserError(
                f"benchmark {self.name}: {len(marked)} of {len(questions)} questions have several {IMAGE_MARK} marks "
                f"({listed(marked)}); a question is about one image: leave the marks out"
            )
        return questions

    def questions(self) -> list[Question]:
        """The questions that are asked: all, or the first ``limit``."""
        return self.limited(self.all_questions())

    def limited(self, questions: list[Question]) -> list[Question]:
        """The first ``limit`` questions, each with all its rotations."""
        kept = set(list(dict.fromkeys(question.base for question in questions))[: self.settings.limit])
        return [question for question in questions if question.base in kept]

    def size(self, questions: Sequence[Question]) -> int:
        """The number of scores that ``questions`` come to: one with all its rotations."""
        return len({question.base for question in questions})

    def decoding(self) -> dict[str, Any]:
        """How answers are decoded: greedily, up to a number of tokens."""
        return {"do_sample": False, "max_new_tokens": self.settings.max_new_tokens}

    def extract(self, question: Question, text: str) -> str:
        """The answer in the model's raw ``text``; empty where there is none."""
        return text.strip()

    def own_words(self, question: Question) -> str:
        """What the question itself asks: its words or its prompt without the instruction, the last line of several."""
        if question.words:
            return question.words
        lines = question.prompt.split("\n")
        return "\n".join(lines[: max(len(lines) - 1, 1)])

    def searched_texts(self, question: Question) -> tuple[str, ...]:
        """The texts by any of which the contamination search knows the question."""
        return (self.own_words(question),)

    def answer_texts(self, question: Question) -> tuple[str, ...]:
        """The right answers in words: of a letter, its option."""
        return tuple(question.options.get(reference, reference) for reference in question.references)

    def unscorable(self, questions: Sequence[Question]) -> str | None:
        """Why ``questions`` cannot be scored here, and what to do; None if they can."""
        without = [question.id for question in questions if not question.references]
        if not without:
            return None
        return (
            f"{len(without)} of {len(questions)} questions have no reference answer ({listed(without)}); write the "
            "server's file with score.py --submission"
        )

    def metadata(self) -> dict[str, Any]:
        """What a reader of a score must know of the protocol."""
        return {}

    def reference_answer(self, question: Question, text: str) -> dict[str, Any]:
        """The question and its raw answer as the reference's answer files hold them."""
        return {"question_id": question.id, "prompt": question.prompt, "text": text}

    def open_image(self, question: Question, pixels: PixelSettings = AS_VIEWERS) -> Image.Image:
        """A question's image, decoded (RGB) within the benchmark's limits."""
        return question.open_image(self.settings.max_pixels, self.settings.max_bytes, pixels)

    def check_images(self, questions: Sequence[Question]) -> None:
        """Refuse questions whose image file is not there or too large."""
        files = {question.image for question in questions if isinstance(question.image, Path)}
        missing = sorted(file for file in files if not isfile(file))
        if missing:
            raise UserError(
                f"benchmark {self.name}: {len(missing)} of {len(files)} images are missing ({listed(missing)}); "
                "put them there or correct the benchmark's images"
            )
        large = sorted(file for file in files if file.stat().st_size > self.settings.max_bytes)
        if large:
            raise UserError(
                f"benchmark {self.name}: {len(large)} of {len(files)} images are larger than max_bytes "
                f"{self.settings.max_bytes} ({listed(large)}); raise it or shrink them"
            )
