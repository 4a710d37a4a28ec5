"""Questions about the text in a picture whose answers are beyond doubt.

Lines that are surely read right are answers. Every other line that was found counts against a question: the largest
text is the largest of all, the only number is the only one that may be there.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from syntune.data.ordering import key_hash
from syntune.operators.image_texts import Block, Line, Page, blocks_of

_WATERMARK = re.compile(
    r"shutter|istock|getty|alamy|dreamstime|vectorstock|depositphotos|123rf|adobe ?stock|fotolia|canstock|freepik|"
    r"pngtree|envato|bigstock|copyright|[©®™]",
    re.IGNORECASE,
)
"""A line like this is no answer: it was laid over the picture."""

_EDGE = 0.01
"""A line that comes so close to the picture's edge, as a share of its width, may be cut off."""

_READABLE = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ0-9 .,:;!?'’\"&%$€£#/@()+*-]+")
_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ][A-Za-zÀ-ÖØ-öø-ÿ'’]*[A-Za-zÀ-ÖØ-öø-ÿ]")

_SMALL_WORDS = {
    *("a", "an", "and", "are", "as", "at", "but", "by", "for", "from", "in", "into", "is", "it", "its", "of", "on"),
    *("or", "our", "the", "this", "to", "with", "your"),
}
"""No one asks for them, and a text that ends in one goes on elsewhere."""

_KINDS_OF_TOKEN = (
    ("website", re.compile(r"(?:www\.)?[a-z0-9-]{3,}\.(?:com|org|net|edu|gov|co\.uk|de|fr|eu|info)", re.I)),
    ("price", re.compile(r"[$€£]\d+(?:[.,]\d\d)?")),
    ("percentage", re.compile(r"\d+(?:\.\d+)?%")),
    ("time", re.compile(r"\d{1,2}:\d\d(?: ?[AaPp][Mm])?")),
    ("year", re.compile(r"(?:19|20)\d\d")),
    ("number", re.compile(r"\d{1,5}")),
)
"""What a word may be, the first that fits it whole."""

_ASK_TOKEN = {
    "website": ("What website is shown?", "What is the web address?", "Which website is written here?"),
    "price": ("What is the price?", "What price is shown?", "How much does it cost?"),
    "percentage": ("What percentage is shown?", "What is the percentage in the image?"),
    "time": ("What time is written in the image?", "What time is shown?"),
    "year": ("What year is shown?", "What year is written in the image?", "Which year can be seen?"),
    "number": ("What number is shown?", "What number is written in the image?", "What is the number in the picture?"),
}
_ASK_ALL = ("What does the text say?", "What is written in the image?", "What text is shown in the picture?")
_ASK_WORD = ("What word is shown in the image?", "What word is written in the picture?", "What is the word shown?")
_ASK_THING = ("What does the {thing} say?", "What is written on the {thing}?", "What is the text on the {thing}?")
_ASK_LARGEST = (
    "What does the largest text say?",
    "What is written in the largest letters?",
    "What does the biggest text say?",
)
_ASK_PLACE = {
    "top": ("What is written at the top?", "What does the text at the top say?"),
    "bottom": ("What is written at the bottom?", "What does the text at the bottom say?"),
    "left": ("What is written on the left?", "What does the text on the left say?"),
    "right": ("What is written on the right?", "What does the text on the right say?"),
}
_ASK_FIRST_LETTER = ("What word starts with the letter {letter}?", 'Which word begins with "{letter}"?')
_ASK_NEXT = ('What word comes after "{word}"?', 'Which word follows "{word}"?')
_ASK_ANY = ("Is there any text in the image?", "Is anything written in the picture?", "Does the image contain text?")

_THINGS = (
    *("sign", "poster", "banner", "logo", "card", "shirt", "t-shirt", "sweatshirt", "hoodie", "label", "billboard"),
    *("sticker", "mug", "license plate", "plaque", "ticket", "certificate", "badge", "cap", "envelope", "flag"),
)
"""Things that carry one text; a caption that names one of them says what the picture's only text is on."""


class Asked(NamedTuple):
    """A question and its answer; those that people ask have the lowest ``turn`` and are asked first."""

    question: str
    answer: str
    turn: int = 1


class Certainty(NamedTuple):
    """What a line must have to be an answer."""

    min_score: float
    min_height: float
    """As a share of the picture's height."""
    max_words: int

    def covers(self, line: Line, page: Page) -> bool:
        """Whether a line is read without doubt, and is not laid over the picture."""
        return (
            line.score >= self.min_score
            and line.level
            and line.letter_height >= self.min_height * page.height
            and _EDGE * page.width <= line.box.left
            and line.box.right <= (1 - _EDGE) * page.width
            and _READABLE.fullmatch(line.text) is not None
            and not _WATERMARK.search(line.text)
        )

    def answers(self, block: Block, page: Page) -> bool:
        """Whether all of a block is sure, and short enough for a short answer."""
        words = block.text.split()
        return (
            all(self.covers(line, page) for line in block.lines)
            and len(words) <= self.max_words
            and words[-1].lower() not in _SMALL_WORDS
            and not words[-1].endswith(("-", "&", ","))
            and sum(map(str.isalnum, block.text)) >= 3
        )


class Picker:
    """Choices that depend on a row's id alone."""

    def __init__(self, row_id: str, random_seed: int) -> None:
        """Another seed chooses otherwise."""
        self.key = (random_seed, row_id)

    def number(self, *what: str) -> int:
        """A number for ``what``."""
        return int(key_hash(*self.key, *what)[:8], 16)

    def one(self, among: tuple[str, ...]) -> str:
        """One of several wordings."""
        return among[self.number(among[0]) % len(among)]

    def rank(self, question: str) -> str:
        """To order questions by."""
        return key_hash(*self.key, "ask", question)


def questions_about(page: Page, caption: str, certainty: Certainty, pick: Picker) -> list[Asked]:
    """All questions about a picture, no answer twice; in an order that depends on the row."""
    blocks = blocks_of(page.lines)
    sure = [block for block in blocks if certainty.answers(block, page)]
    candidates = [
        *_about_whole_texts(caption, blocks, sure, pick),
        *_about_places(page, blocks, sure, pick),
        *_about_tokens(page, certainty, pick),
        *_about_words(page, sure, pick),
    ]
    asked: dict[str, Asked] = {}
    for one in sorted(candidates, key=lambda one: (one.turn, pick.rank(one.question))):
        asked.setdefault(one.answer.lower(), one)
    return list(asked.values())


def is_read_in(one: Asked, page: Page) -> bool:
    """Whether another reading of the same picture has all words of an answer."""
    read = [word for line in page.lines for word in line.text.split()] + _tokens(page.lines)
    return set(one.answer.lower().split()) <= {word.lower() for word in read}


def is_there_text(answer: str, pick: Picker) -> Asked:
    """The question whether there is text at all."""
    return Asked(pick.one(_ASK_ANY), answer)


def _about_whole_texts(caption: str, blocks: list[Block], sure: list[Block], pick: Picker) -> Iterator[Asked]:
    """The picture's only text, or its largest."""
    for block in sure:
        if len(blocks) == 1:
            thing = next((thing for thing in _THINGS if re.search(rf"\b{thing}\b", caption.lower())), None)
            asks = _ASK_THING if thing else _ASK_WORD if _WORD.fullmatch(block.text) else _ASK_ALL
            yield Asked(pick.one(asks).format(thing=thing), block.text)
        elif all(block.letter_height >= 1.4 * other.letter_height for other in blocks if other is not block):
            yield Asked(pick.one(_ASK_LARGEST), block.text)


def _about_places(page: Page, blocks: list[Block], sure: list[Block], pick: Picker) -> Iterator[Asked]:
    """Where a text stands, if it lies apart from all others and in that third of the picture."""
    if len(blocks) < 2:
        return
    for block in sure:
        others = [other.box for other in blocks if other is not block]
        box = block.box
        stands = {
            "top": box.bottom <= min(other.top for other in others) and box.bottom <= page.height * 0.4,
            "bottom": box.top >= max(other.bottom for other in others) and box.top >= page.height * 0.6,
            "left": box.right <= min(other.left for other in others) and box.right <= page.width * 0.5,
            "right": box.left >= max(other.right for other in others) and box.left >= page.width * 0.5,
        }
        where = next((place for place, is_there in stands.items() if is_there), None)
        if where:
            yield Asked(pick.one(_ASK_PLACE[where]), block.text)


def _about_tokens(page: Page, certainty: Certainty, pick: Picker) -> Iterator[Asked]:
    """Numbers, prices, addresses and the like that are the only ones of their kind."""
    everything = _tokens(page.lines)
    sure = _tokens([line for line in page.lines if certainty.covers(line, page)])
    with_digits = [token for token in everything if any(map(str.isdigit, token))]
    for kind in _ASK_TOKEN:
        answers = [token for token in sure if _kind_of(token) == kind]
        if len(answers) != 1 or sum(_kind_of(token) == kind for token in everything) != 1:
            continue
        rivals = (
            [token for token in everything if token.lower().startswith("www")] if kind == "website" else with_digits
        )
        if set(rivals) <= set(answers):
            yield Asked(pick.one(_ASK_TOKEN[kind]), answers[0], turn=0)


def _tokens(lines: list[Line]) -> list[str]:
    """The words of some lines, without the punctuation around them."""
    return [token.lstrip("\"'(").rstrip(".,;:!?\"')") for line in lines for token in line.text.split()]


def _about_words(page: Page, sure: list[Block], pick: Picker) -> Iterator[Asked]:
    """Words known by their first letter or by the word before."""
    all_words = [word.lower() for line in page.lines for word in re.findall(r"\w+", line.text)]
    for block in sure:
        words = block.text.split()
        askable = [_WORD.fullmatch(word) and len(word) >= 3 and word.lower() not in _SMALL_WORDS for word in words]
        for index, word in enumerate(words[:-1]):
            if askable[index] and askable[index + 1] and all_words.count(word.lower()) == 1:
                yield Asked(pick.one(_ASK_NEXT).format(word=word), words[index + 1], turn=2)
                break
        for index, word in enumerate(words):
            alone = sum(other[0] == word[0].lower() for other in all_words) == 1
            if askable[index] and alone and len(word) >= 4:
                yield Asked(pick.one(_ASK_FIRST_LETTER).format(letter=word[0].upper()), word, turn=2)
                break


def _kind_of(token: str) -> str | None:
    """What a token is, if it is no ordinary word."""
    return next((kind for kind, pattern in _KINDS_OF_TOKEN if pattern.fullmatch(token)), None)
