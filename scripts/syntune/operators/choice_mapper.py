"""Captions, asked for among captions that are wrong in one word."""

import re
from typing import Any, Literal

from data_juicer.ops.base_op import OPERATORS, Mapper

from syntune.data.ordering import key_hash
from syntune.operators.choices import INSTRUCTION, check_max_options, pools_by_text, with_options
from syntune.operators.question_answer import QuestionAnswer, batch_of, parse_caption, rows_of

_ASK = (
    "Which caption describes the picture?",
    "Which one is the correct caption of this image?",
    "Which of these sentences is true of the image?",
)


_BEFORE_NOUNS = {
    *(
        "a",
        "an",
        "the",
        "his",
        "her",
        "their",
        "its",
        "of",
        "and",
        "with",
        "in",
        "on",
        "small",
        "large",
        "big",
        "little",
    ),
    *("old", "new", "young", "beautiful", "modern", "long", "empty", "open", "several", "some", "many"),
}
_SMALL_WORDS = {
    *(
        "and",
        "or",
        "with",
        "of",
        "in",
        "on",
        "at",
        "by",
        "for",
        "from",
        "to",
        "under",
        "over",
        "near",
        "next",
        "behind",
    ),
    *("is", "are", "that", "which", "who", "while", "sitting", "standing", "wearing", "holding", "against", "inside"),
    *("into", "through", "between", "surrounded", "during", "along", "as", "outside", "walking", "riding", "playing"),
}
"""What stands before a noun that is no part of a compound, and after it."""


@OPERATORS.register_module("choice_mapper")
class ChoiceMapper(Mapper):
    """Asks which of up to four captions is a picture's own; the others have one of its words replaced.

    Words are replaced by others of their pool: colors by colors, animals by animals. So a wrong caption differs in what
    can be seen, not in style, and needs no other row: the number of chunks changes nothing. A noun that is part of a
    name or a compound is left ("house speaker", "dog food"): what replaced it would be found without the picture.
    Which words and which order is decided by a hash of the row's id, so no letter is favoured. The idea is that of hard
    negatives, as in ARO (Yuksekgonul et al., 2023) and SugarCrepe (Hsieh et al., 2023).
    """

    _batched_op = True

    def __init__(
        self,
        nouns: list[list[str]] | None = None,
        adjectives: list[list[str]] | None = None,
        max_options: int = 4,
        captions: Literal["keep", "drop"] = "keep",
        instruction: str = INSTRUCTION,
        random_seed: int = 0,
        *args: Any,
        **kwargs: Any,
    ):
        """Take the recipe's parameters.

        Args:
            nouns: lists of words that exclude each other; a word stands in one list only.
            adjectives: likewise, words that stand before what they describe: colors, materials, numbers.
            max_options: the most options of a question, the right one among them.
            captions: keep each caption's row and add the question after it, or drop it for the question. Rows without
                a question are kept or dropped alike; rows that are no caption are kept.
            instruction: last line of the question.
            random_seed: another one draws other words in another order.
            args: Data-Juicer's.
            kwargs: Data-Juicer's.
        """
        super().__init__(*args, **kwargs)
        check_max_options(max_options)
        if captions not in ("keep", "drop"):
            raise ValueError(f"captions: {captions!r} is not one of keep, drop")
        named = (("nouns", nouns or []), ("adjectives", adjectives or []))
        self.pool_of = pools_by_text(((name, pool) for name, pools in named for pool in pools), "words")
        if not self.pool_of:
            raise ValueError("nouns, adjectives: at least one list of words is needed")
        self.adjectives = {word.lower() for pool in adjectives or [] for word in pool}
        self.words = re.compile(rf"\b({'|'.join(map(re.escape, self.pool_of))})\b", re.IGNORECASE)
        self.max_options, self.captions = max_options, captions
        self.instruction, self.random_seed = instruction, random_seed

    def process_batched(self, samples: dict[str, list]) -> dict[str, list]:
        """Add a row after each caption that can be asked for, or replace it."""
        rows = []
        for row in rows_of(samples):
            caption = parse_caption(row[self.text_key])
            asked = caption and self._ask(*caption, row["id"])
            if self.captions == "keep" or not caption:
                rows.append(row)
            if asked:
                rows.append(row | {self.text_key: asked.text()})
        return batch_of(rows, list(samples))

    def _ask(self, images: int, caption: str, row_id: str) -> QuestionAnswer | None:
        """The question, if some word of the caption is in a pool."""
        wrong = sorted(self._wrong(caption), key=lambda other: key_hash(self.random_seed, "draw", row_id, other))
        if not wrong or images != 1:
            return None
        question = _ASK[int(key_hash(self.random_seed, "ask", row_id), 16) % len(_ASK)]
        asked = QuestionAnswer(images, question, caption)
        return with_options(asked, wrong[: self.max_options - 1], self.instruction, self.random_seed, "order", row_id)

    def _wrong(self, caption: str) -> set[str]:
        """The caption with one word replaced, in all ways; a word that it says twice is left."""
        found = list(self.words.finditer(caption))
        said = [match[0].lower() for match in found]
        wrong = set()
        for match in found:
            before, after = caption[: match.start()], caption[match.end() :]
            if said.count(match[0].lower()) > 1 or not self._stands_alone(match[0].lower(), before, after):
                continue
            for other in self.pool_of[match[0].lower()]:
                if other.lower() not in caption.lower():
                    wrong.add(f"{_with_article(before, other)}{_spelled_as(match[0], other)}{after}")
        return wrong

    def _stands_alone(self, word: str, before: str, after: str) -> bool:
        """Whether a word is no part of a compound, by its neighbours."""
        last, following = re.search(r"(\S+) $", before), re.match(r" (\S+)", after)
        if word in self.adjectives:
            return following is not None and following[1] not in _SMALL_WORDS
        ends = not after or after[0] in ",." or (following is not None and following[1].lower() in _SMALL_WORDS)
        known = last is not None and last[1].lower() in (_BEFORE_NOUNS | self.adjectives)
        return ends and known


def _with_article(before: str, word: str) -> str:
    """What stands before ``word``, its article fitting."""
    ending = "n" if word[0].lower() in "aeiou" else ""
    return re.sub(r"\b(a)n? $", rf"\g<1>{ending} ", before, flags=re.IGNORECASE)


def _spelled_as(word: str, other: str) -> str:
    """``other`` with a capital letter where ``word`` has one: it would be found by that."""
    return other[0].upper() + other[1:] if word[0].isupper() else other
