"""The words of texts in any script, and their runs."""

import re
import unicodedata

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""A run of letters and digits; of Chinese and Japanese, which part no words, a character."""

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
"""Soft hyphens, spaces without width and the like, which may stand within a word."""


def words_of(text: str) -> list[str]:
    """The words of ``text`` in compatibility form (NFKC), without case, punctuation and what can't be seen."""
    return _WORD.findall(_INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold())


def grams_of(text: str, size: int) -> frozenset[str]:
    """Every run of ``size`` words of ``text``; of a shorter text, the whole."""
    words = words_of(text)
    last = max(len(words) - size, 0)
    return frozenset(" ".join(words[start : start + size]) for start in range(last + 1)) - {""}
