"""Questions found again in training texts: runs of words, whatever their case and punctuation."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

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


class TextIndex:
    """Texts by their runs of words."""

    def __init__(self, texts: Iterable[str], size: int) -> None:
        """Texts are known by their place in ``texts``; ``size`` is that of :func:`grams_of`."""
        self._texts: dict[str, list[int]] = defaultdict(list)
        lengths: dict[str, set[int]] = defaultdict(set)
        for place, text in enumerate(texts):
            for gram in grams_of(text, size):
                self._texts[gram].append(place)
                words = gram.split(" ")
                lengths[words[0]].add(len(words))
        self._texts.default_factory = None
        self._lengths = {word: sorted(found) for word, found in lengths.items()}

    def found_in(self, text: str) -> set[int]:
        """The texts of the index of which a run of words stands in ``text``."""
        words = words_of(text)
        found: set[int] = set()
        for start, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                found.update(self._texts.get(" ".join(words[start : start + length]), ()))
        return found
