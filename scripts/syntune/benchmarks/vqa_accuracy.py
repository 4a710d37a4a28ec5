"""The accuracy of VQA and TextVQA: EvalAI's answer normaliser and the agreement with human answers, ten as a rule.

It gives the numbers of the evaluator that LLaVA, MGM and the challenge use, quirks included.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

AGREEING = 3
"""Of the other annotators, so many must have given an answer for it to be right."""
ENOUGH = AGREEING + 1
"""Human answers that a question must have for an answer to be right."""

_PUNCTUATION = ';/[]"{}()=+\\_->@<`!'
_PERIOD = re.compile(r"\.(?!\d)")
# the evaluator passes re.UNICODE (32) where re.sub takes the number of replacements
_PERIODS_REMOVED = int(re.UNICODE)
_DIGITS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
_ARTICLES = {"a", "an", "the"}

_CONTRACTED = {
    "n't": "ai are ca could did does do had has have is might must need ought sha should was were wo would",
    "n't've": "could had might should would",
    "'ve": "could might must not should they we what where who would you",
    "'d": "he how it someone something there they where who you",
    "'d've": "he it she somebody someone something there they we who you",
    "'ll": "how it somebody someone something they what who why you",
    "'re": "there they what why you",
    "'s": "he how somebody someone that there what when where who why",
    "": "ma'am o'clock 'twas y'all y'all'll y'all'd've 'ow's'at",
}


def _contractions() -> dict[str, str]:
    """Each contraction by its misspellings, which lack one of its apostrophes."""
    words = [stem + ending for ending, stems in _CONTRACTED.items() for stem in stems.split()]
    misspelt = {
        word[:place] + word[place + 1 :]: word for word in words for place, letter in enumerate(word) if letter == "'"
    }
    # the one entry that the evaluator's table has the wrong way round
    return misspelt | {"somebody'd": "somebodyd"}


_CONTRACTIONS = _contractions()


@lru_cache(maxsize=100_000)
def normalise(answer: str) -> str:
    """An answer as it is compared: lower case, without punctuation and articles, number words as digits."""
    text = answer.lower().replace(",", "").replace("?", "").replace("'s", " 's")
    text = text.strip().replace("\n", " ").replace("\t", " ").strip()
    cleaned = text
    for mark in _PUNCTUATION:
        beside_space = f"{mark} " in text or f" {mark}" in text
        cleaned = cleaned.replace(mark, "" if beside_space else " ")
    cleaned = _PERIOD.sub("", cleaned, count=_PERIODS_REMOVED)
    words = (_DIGITS.get(word, word) for word in cleaned.split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def vqa_accuracy(answer: str, references: Sequence[str]) -> float:
    """The accuracy of one answer against at least four human answers; of ten: 0, 0.3, 0.6, 0.9 or 1.

    The mean of min(1, matches / 3) over the ways to leave out one human answer (Antol et al., 2015, VQA).
    """
    if len(references) < ENOUGH:
        raise ValueError(f"{len(references)} human answers where there must be {ENOUGH} or more")
    matches = Counter(map(normalise, references))[normalise(answer)]
    others = len(references) - matches
    return (others * min(matches, AGREEING) + matches * min(matches - 1, AGREEING)) / (AGREEING * len(references))
