"""The words of texts in any script, and their runs."""

import re
import unicodedata

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""A run of letters and digits; of Chinese and Japanese, which part no words, a character."""


def words_of(text: str) -> list[str]:
    """The words of ``text`` in Unicode's compatibility form (NFKC), without case and punctuation."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def grams_of(text: str, size: int) -> frozenset[str]:
    """Every run of ``size`` words of ``text``; of a shorter text, the whole."""
    words = words_of(text)
    last = max(len(words) - size, 0)
    return frozenset(" ".join(words[start : start + size]) for start in range(last + 1)) - {""}
