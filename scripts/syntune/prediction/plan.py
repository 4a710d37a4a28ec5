"""What is asked, in which order, and by which job."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from syntune.benchmarks.protocol import Question
from syntune.files import canonical_json, sha256_bytes
from syntune.images import UPRIGHT, has_transparent_pixels, orientation_of
from syntune.settings.pixels import AS_VIEWERS, PixelSettings


@dataclass(frozen=True)
class HashedQuestion:
    """A question and what is known of its image's file, which questions may share.

    Attributes:
        question: the question.
        image: SHA-256 of the image's file.
        seen: the settings of pixels that matter for the image, with their values: ``orientation`` where it has such a
            tag, ``transparency`` where it has transparent pixels.
    """

    question: Question
    image: str
    seen: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class GeneratedAnswer:
    """What the model wrote.

    Attributes:
        text: without control tokens.
        tokens: its length.
        near_tie: whether rounding may have decided one of them, or the end.
    """

    text: str
    tokens: int
    near_tie: bool = False


AnsweredQuestion = tuple[HashedQuestion, GeneratedAnswer]


def hash_images(
    questions: Sequence[Question], pixels: PixelSettings = AS_VIEWERS, threads: int = 1
) -> list[HashedQuestion]:
    """The questions with the hashes of their images; each file is read once, ``threads`` of them at a time."""

    def look_at(question: Question) -> tuple[str, tuple[tuple[str, str], ...]]:
        content = question.image_bytes()
        matters = {
            "orientation": orientation_of(content) != UPRIGHT,
            "transparency": has_transparent_pixels(content),
        }
        seen = tuple((name, getattr(pixels, name)) for name, does in matters.items() if does)
        return sha256_bytes(content), seen

    about = {question.image: question for question in reversed(questions)}
    with ThreadPoolExecutor(threads) as pool:
        images = dict(zip(about, pool.map(look_at, about.values()), strict=True))
    return [HashedQuestion(question, *images[question.image]) for question in questions]


def content_hash(questions: Sequence[HashedQuestion]) -> str:
    """SHA-256 over ids, prompts and the content of every image."""
    content = [[hashed.question.id, hashed.question.prompt, hashed.image] for hashed in questions]
    return sha256_bytes(canonical_json(content).encode())


def of_slice(questions: Sequence[HashedQuestion], index: int, slices: int) -> list[HashedQuestion]:
    """The questions of slice ``index`` of so many: images are dealt out in turn, each takes its questions along."""
    images = dict.fromkeys(hashed.image for hashed in questions)
    slice_of = {image: place % slices for place, image in enumerate(images)}
    return [hashed for hashed in questions if slice_of[hashed.image] == index]


def by_image(questions: Iterable[HashedQuestion]) -> list[list[HashedQuestion]]:
    """Questions grouped by image, the groups with the longest prompts first.

    Neighbours are of similar length, so that little is padded, and what does not fit the memory fails at once.
    """
    groups: dict[str, list[HashedQuestion]] = {}
    for hashed in questions:
        groups.setdefault(hashed.image, []).append(hashed)
    return sorted(groups.values(), key=lambda group: -max(len(hashed.question.prompt) for hashed in group))
