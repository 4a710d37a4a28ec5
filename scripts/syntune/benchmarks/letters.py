"""Which option's letter a model's answer names. In doubt it names none: never another letter than a reader would see.

A stated answer ("the answer is B", a letter in front of the text, a letter at its end) counts; an option that is only
mentioned doesn't. Statements that differ, statements with "or" between letters and negated ones are no answer.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping

LETTERS = "ABCD"
"""The letters that every table has."""

_THOUGHTS = re.compile(
    r"<(think|thinking|thought|reasoning)>.*?(</\1>|$)|^.*</(think|thinking|thought|reasoning)>", re.S
)
_ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|$)", re.S | re.I)
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_TEX = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mathsf|bf|rm)\b\s*|\\[()\[\]]")
_MARKS = re.compile(r"[*`$#{}]|__|</?(?:b|i|u|em|strong|code|p|br|span|div)\s*/?>")
"""Emphasis, code, formulas, tags."""

_ALONE = re.compile(r"[\W_]*([A-Z])[\W_]*", re.I)
_OPEN, _CLOSE = r"[\s\"'“‘(\[<]*", r"[\"'”’)\]>]*"
_TOKEN = r"(?<![A-Za-z0-9'’])(?-i:[A-Z])(?![A-Za-z0-9]|['’-]\w)"
_JOINED = re.compile(
    rf"\s*(?:or|and|nor|/|&|\||或者?|和|与|及|、|,\s*(?:or|and))\s*(?:option|choice|选项)?{_OPEN}{_TOKEN}", re.I
)
_SERIES = re.compile(rf"\s*,{_OPEN}{_TOKEN}{_CLOSE}\s*(?:$|[.,;\n]|or\b|and\b)")
_CALLED_WRONG = re.compile(
    rf"[\s:,.)(-]*(?:(?:is|are|was)\s+)?(?:not|no|never|isn|wrong|incorrect|false|错)(?:\b|n't|$)(?!\s+(?:option\s+)?{_TOKEN})",
    re.I,
)

_IS = (
    r"[\"']?\s*(?:(?:(?:is|was|are|would\s+be|should\s+be|must\s+be|will\s+be)\b|应该是|应该为|应为|应是|是|为)"
    r"(?:\s+(?:most\s+likely|likely|probably|definitely|clearly|therefore|thus|simply|indeed))?)?"
    r"\s*(?:[:=]|-+>|→|⇒)?\s*"
)
_NAMED = r"(?:(?:the\s+)?(?:option|choice|letter|answer|选项)\s*[:：]?\s*)?"
_FOR = r"(?:\s+(?:to|of|for)\s+[^.:;\n]{1,80}?(?=\s+is\b|\s*:))?"
_FINAL = re.compile(rf"(?:\bfinal\s+(?:answer|choice|option)|最终答案){_FOR}{_IS}{_NAMED}", re.I)
_STATED = re.compile(
    rf"(?:\b(?:ans|answer|(?:correct|right|best|my)\s+(?:option|choice|response|letter)"
    rf"|the\s+(?:option|choice|letter)(?=\s+is\b))\b\.?{_FOR}|答案|正确选项)"
    rf"{_IS}{_NAMED}",
    re.I,
)
_CHOSEN = re.compile(
    r"(?:\b(?:it\s+is|it'?s|therefore|thus|hence|so|correct:)|\bi(?:'d|'ll|\s+would|\s+will)?\s+"
    r"(?:say|choose|pick|select|think|believe|go\s+(?:with|for))(?:\s+(?:it\s+is|it'?s|that))?|选(?!项)择?)"
    rf"[,:]?\s*{_NAMED}",
    re.I,
)
_CALLED_RIGHT = re.compile(
    rf"({_TOKEN}){_CLOSE}\s*(?:项)?(?:\s(?:is|would\s+be|must\s+be)\s+(?:(?:the|my)\s+)?(?:only\s+|most\s+|final\s+)?"
    r"(?:correct|right|best|accurate|answer|choice)\b|是(?:正确|对)|正确)"
)
_MENTIONED = re.compile(
    rf"\W*(?:(?:option|choice|letter)\b|选项)\s*[:：]?{_OPEN}([A-Z]){_CLOSE}\s*(?:$|[.:,;)\n。，：-])", re.I
)
_CLAUSE = re.compile(r"[.!?;,:\n。；，！？：]|\b(?:but|so|because|therefore|thus|hence|however)\b", re.I)
_NEGATED = re.compile(
    r"\b(?:not|never|neither|nor|no|cannot|wrong|incorrect|false|least|second|worst|doubt|if|whether|unless|suppose|assume|why)\b|n't\b|不|非|别|如果",
    re.I,
)
_AFTER = re.compile(
    rf"{_CLOSE}\s*(?:$|[.,:;!?)\n。，、；：！项]|[-–—=]\s|\()|{_CLOSE}\s+(?:because|since|as|which|for|is|was|due)\b",
    re.I,
)
_CORRECTED = re.compile(
    rf"\b(?:wait|correction|i\s+mean|scratch\s+that|on\s+second\s+thought|actually|sorry)\b.*?({_TOKEN})", re.I | re.S
)
_LAST = re.compile(rf"[.!?:\n。！？：]{_OPEN}([A-Z]){_CLOSE}[.!。]?\s*$")
_NEAR = 200
"""Characters of a clause that are looked at."""
_ARTICLE = re.compile(r"^(?:an?|the)\s+")


def read_letter(text: str, options: Mapping[str, str]) -> str:
    """The letter of the option that ``text`` names; empty where it names none, or it is not clear which.

    Args:
        text: a model's raw answer.
        options: the options' texts, by letter.
    """
    text = _THOUGHTS.sub(" ", unicodedata.normalize("NFKC", text))
    reader = _Reader(options)
    if marked := _ANSWER.findall(text) or _BOXED.findall(text):
        found = {reader.read(part) for part in marked}
    else:
        found = {reader.read(text)}
    letter = found.pop() if len(found) == 1 else ""
    return letter if letter in {*LETTERS, *options} else ""


class _Reader:
    """Reads answers to one question."""

    def __init__(self, options: Mapping[str, str]) -> None:
        texts = {letter: _bare(_plain(unicodedata.normalize("NFKC", text))) for letter, text in options.items()}
        # where an option's text is a letter itself, an answer is read as the letter in front of an option
        self.texts = {letter: text for letter, text in texts.items() if not re.fullmatch("[a-z]", text)}
        self._longest = 2 * max(map(len, options.values()), default=0) + _NEAR

    def read(self, text: str) -> str:
        """The letter that a text without thoughts names."""
        if boxed := _BOXED.findall(text):
            found = {self.read(part) for part in boxed}
            return found.pop() if len(found) == 1 else ""
        text = _plain(text).strip()
        if alone := _ALONE.fullmatch(text):
            return alone[1].upper()
        if whole := self._with_text(text):
            return whole
        final = set(self._statements(_FINAL, text))
        if final:
            return final.pop() if len(final) == 1 else ""
        stated = {*self._statements(_STATED, text), *self._statements(_CHOSEN, text, letters_only=True)}
        stated |= {found[1] for found in _CALLED_RIGHT.finditer(text) if not _is_denied(text, found.start())}
        stated |= {*self._leading(text), *(found[1] for found in _LAST.finditer(text))}
        if stated:
            stated |= {found[1] for found in _CORRECTED.finditer(text)}
        elif mentioned := _MENTIONED.match(text):
            after = text[mentioned.end(1) :]
            letter = mentioned[1].upper()
            doubted = _JOINED.match(after) or self._is_called_wrong(letter, after) or self._contradicts(letter, after)
            stated = set() if doubted else {letter}
        return stated.pop() if len(stated) == 1 else ""

    def _statements(self, pattern: re.Pattern, text: str, letters_only: bool = False) -> Iterator[str]:
        """What stands after each match of ``pattern``; ``?`` for what leaves open which option it means."""
        for found in pattern.finditer(text):
            if not _is_denied(text, found.start()):
                yield from self._named(text[found.end() :], letters_only)

    def _named(self, rest: str, letters_only: bool) -> Iterator[str]:
        """The letter, or the letter of the option's text, that ``rest`` begins with."""
        if not letters_only and (named := self._with_text(rest, as_start=True)):
            yield named
            return
        found = re.match(rf"{_OPEN}([A-Z])(?![A-Za-z0-9]|['’-]\w)", rest, re.I)
        if not found:
            return
        letter, after = found[1].upper(), rest[found.end() :]
        if self._is_called_wrong(letter, after):
            return
        if _JOINED.match(after) or _SERIES.match(after):
            yield "?"
        elif _AFTER.match(after) or (found[1].isupper() and self._begins_with_text(letter, after)):
            yield "?" if self._contradicts(letter, after) else letter
        elif letter not in "AI" and found[1].isupper() and not letters_only:
            yield letter

    def _leading(self, text: str) -> Iterator[str]:
        """The letter in front of a text; none of a list of options."""
        found = re.match(rf"{_OPEN}([A-Z])(?![A-Za-z0-9]|['’-]\w)", text, re.I)
        if not found or len(self._listed(text)) > 1:
            return
        letter, after = found[1].upper(), text[found.end() :]
        if self._is_called_wrong(letter, after):
            return
        own = self._begins_with_text(letter, after)
        is_set_off = re.match(
            rf"{_CLOSE}\s*(?:[.:;)。、；：]|\n|[-–—=]\s|\(|,(?!\s*[a-z]+\b\s+(?:is|are)))", after
        ) or re.match(r"\s*[)\]]", after)
        in_brackets = "(" in found[0] and after.startswith(")")
        if _JOINED.match(after.lstrip(".)")) or _SERIES.match(after):
            return
        if found[1].islower() and not (own or in_brackets):
            return
        elif is_set_off or own or re.match(r"\s+(?:because|since)\b", after):
            yield "?" if self._contradicts(letter, after) else letter

    def _listed(self, text: str) -> set[str]:
        """The letters that stand before their option's text, or in front of a line, set off by a mark."""
        found = re.finditer(r"(?:^|(?<=[\s(\[]))([A-Z])[.):]+\s*", text, re.M)
        return {
            each[1]
            for each in found
            if self._begins_with_text(each[1], text[each.end() :])
            or text[max(each.start() - 5, 0) : each.start()].rstrip(" ([")[-1:] in ("", "\n")
        }

    def _with_text(self, text: str, as_start: bool = False) -> str:
        """The letter of the one option whose text ``text`` is, or begins with; articles may differ."""
        text = text[: self._longest]
        for change in (_bare, _without_article):
            bare = change(text)
            same = [letter for letter, option in self.texts.items() if option and change(option) == bare]
            if len(same) == 1:
                return same[0]
        if not as_start:
            return ""
        sentence = re.split(r"[.!?;\n。！？](?:\s|$)", text, maxsplit=1)[0]
        return self._with_text(sentence) if sentence != text else ""

    def _begins_with_text(self, letter: str, after: str) -> bool:
        """Whether a letter's own option follows it."""
        option = self.texts.get(letter.upper(), "")
        bare = _bare(after[: 2 * len(option) + _NEAR])
        return bool(option) and re.match(rf"{re.escape(option)}(?!\w)", bare) is not None

    def _is_called_wrong(self, letter: str, after: str) -> bool:
        """Whether a letter is followed by a word that denies it, which is not its own option's."""
        return _CALLED_WRONG.match(after) is not None and not self._begins_with_text(letter, after)

    def _contradicts(self, letter: str, after: str) -> bool:
        """Whether the text of another option follows a letter, and nothing else."""
        other = self._with_text(after, as_start=True)
        return bool(other) and other != letter.upper()


def _plain(text: str) -> str:
    """A text without emphasis and formulas."""
    return _MARKS.sub("", _TEX.sub("", text))


def _is_denied(text: str, place: int) -> bool:
    """Whether the clause before ``place`` denies, or only supposes, what follows; or joins it to another letter."""
    before = _CLAUSE.split(text[max(place - _NEAR, 0) : place])[-1]
    return bool(
        _NEGATED.search(before) or re.search(rf"{_TOKEN}{_CLOSE}\s*(?:or|and|nor|/|或|和)\s*(?:option\s*)?$", before)
    )


def _bare(text: str) -> str:
    """A text without case, outer marks and doubled spaces."""
    return " ".join(re.sub(r"^[\W_]+|[\W_]+$", "", text.casefold()).split())


def _without_article(text: str) -> str:
    """The same without an article in front."""
    return _ARTICLE.sub("", _bare(text))
