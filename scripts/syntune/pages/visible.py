"""Texts of unknown origin on a page: escaped, cut, and nothing in them that a reader can't see."""

import unicodedata
from collections.abc import Iterator

from markupsafe import Markup, escape

from syntune.formats import words

_UNSEEN = {"Cc", "Cf", "Co", "Cs", "Cn"}
"""Unicode's categories of characters without a look of their own: controls, marks of direction, joiners, ..."""

_MOST_UNSEEN = 40
"""Unseen characters that are named; a text with more is cut there."""


def visible(text: str, limit: int = 500) -> Markup:
    """``text`` as HTML, of ``limit`` characters at most; an unseen character is named, such as U+202E.

    Its direction is its own: a right-to-left text turns nothing around it.
    """
    return Markup('<bdi class="text">{}</bdi>').format(Markup("").join(_shown(words(text, limit))))


def seen(text: str) -> Markup:
    """``text`` as HTML, whole and without an element of its own unless it has a character that can't be seen."""
    return visible(text, len(text)) if any(map(_is_unseen, text)) else escape(text)


def _is_unseen(letter: str) -> bool:
    """Whether a character has no look of its own."""
    return letter != "\n" and unicodedata.category(letter) in _UNSEEN


def _shown(text: str) -> Iterator[Markup]:
    """Each character as HTML."""
    unseen = 0
    for letter in text:
        if not _is_unseen(letter):
            yield escape(letter)
        elif unseen == _MOST_UNSEEN:
            yield escape("…")
            return
        else:
            unseen += 1
            yield Markup('<span class="unseen-character">U+{:04X}</span>').format(ord(letter))
