"""Texts of unknown origin on a page: escaped, cut, and nothing in them that a reader can't see."""

import unicodedata

from markupsafe import Markup, escape

from syntune.formats import words

_UNSEEN = {"Cc", "Cf", "Co", "Cs", "Cn"}
"""Unicode's categories of characters without a look of their own: controls, marks of direction, joiners, ..."""


def visible(text: str, limit: int = 500) -> Markup:
    """``text`` as HTML, of ``limit`` characters at most; an unseen character is named, such as U+202E.

    Its direction is its own: a right-to-left text turns nothing around it.
    """
    return Markup('<bdi class="text">{}</bdi>').format(Markup("").join(map(_shown, words(text, limit))))


def _shown(letter: str) -> Markup:
    """A character as HTML."""
    if letter != "\n" and unicodedata.category(letter) in _UNSEEN:
        return Markup('<span class="unseen-character">U+{:04X}</span>').format(ord(letter))
    return escape(letter)
