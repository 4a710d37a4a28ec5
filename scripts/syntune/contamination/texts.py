"""Questions found again in training texts: runs of words, whatever their case and punctuation."""

from collections import defaultdict
from collections.abc import Iterable

from syntune.artifacts.shards import IMAGE_MARK
from syntune.matching.words import grams_of, words_of


def without_marks(text: str) -> str:
    """A question or a turn without the marks of its images, which are no words."""
    return text.replace(IMAGE_MARK, " ").strip()


class TextIndex:
    """Texts by their runs of words."""

    def __init__(self, texts: Iterable[str], size: int) -> None:
        """Texts are known by their place in ``texts``; ``size`` is that of :func:`syntune.matching.words.grams_of`."""
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
