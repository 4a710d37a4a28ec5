"""What is asked, in which order, and by which job."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from syntune.benchmarks.protocol import Question
from syntune.files import sha256_bytes


@dataclass(frozen=True)
class Asked:
    """A question and the SHA-256 of its image, which questions may share."""

    question: Question
    image: str


@dataclass(frozen=True)
class Answer:
    """What the model wrote: its text without control tokens, and its length in tokens."""

    text: str
    tokens: int


def with_images(questions: Sequence[Question]) -> list[Asked]:
    """The questions with the hashes of their images; each file is read once."""
    hashes = {image: "" for image in (question.image for question in questions)}
    for question in questions:
        hashes[question.image] = hashes[question.image] or sha256_bytes(question.image_bytes())
    return [Asked(question, hashes[question.image]) for question in questions]


def of_slice(asked: Sequence[Asked], slice: int, slices: int) -> list[Asked]:
    """The questions of one job: the images are dealt out in turn, and each takes its questions along."""
    number = {image: place % slices for place, image in enumerate(dict.fromkeys(one.image for one in asked))}
    return [one for one in asked if number[one.image] == slice]


def by_image(asked: Iterable[Asked]) -> list[list[Asked]]:
    """Questions grouped by image, the groups with the longest prompts first.

    Neighbours are of similar length, so that little is padded, and what does not fit the memory fails at once.
    """
    groups: dict[str, list[Asked]] = {}
    for one in asked:
        groups.setdefault(one.image, []).append(one)
    return sorted(groups.values(), key=lambda group: -max(len(one.question.prompt) for one in group))
