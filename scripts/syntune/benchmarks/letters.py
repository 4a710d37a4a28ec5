"""Which option's letter a model's answer names. In doubt it names none: never another letter than a reader would see.

A stated answer ("the answer is B", a letter in front of the text, a letter at its end) counts; an option that is only
mentioned doesn't. Statements that differ, statements with "or" between letters and negated ones are no answer.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping

LETTERS = "ABCD"
"""The letters that every table has."""

_NEAR = 200
"""Characters before a statement, or after a letter, that are looked at."""


def _pattern(text: str, flags: re.RegexFlag = re.IGNORECASE) -> re.Pattern:
    """A pattern, written over several lines: spaces in it count for nothing."""
    return re.compile(text, flags | re.VERBOSE)


# What is around an answer

_THOUGHTS = _pattern(
    r"<(think|thinking|thought|reasoning)> .*? (</\1> | $) | ^ .* </(think|thinking|thought|reasoning)>", re.DOTALL
)
_ANSWER = _pattern(r"<answer> (.*?) (?: </answer> | $ )", re.DOTALL | re.IGNORECASE)
_BOXED = _pattern(r"\\boxed \s* \{ ( (?: [^{}] | \{[^{}]*\} )* ) \}")
_EMPHASIS = _pattern(
    r"[*`${}] | \#{2,} | (?<!\w)\# | __ | (?<!\w)_ | _(?!\w) | </?(?:b|i|u|em|strong|code|p|br|span|div)\s*/?>"
    r"| \\(?:text|textbf|mathrm|mathbf|mathsf|bf|rm)\b\s* | \\[()\[\]]",
    re.DOTALL,
)
_ARTICLE = re.compile(r"^(?:an?|the)\s+")
_OUTER_MARKS = re.compile(r"^(?:(?![-+.]\d)[\W_])+|(?:(?<=\w)([+#]+))?[\W_]*$")

# A letter

_OPEN, _CLOSE = r"[\s\"'“‘(\[<]*", r"[\"'”’)\]>]*"
_NO_WORD = r"(?! [A-Za-z0-9+\#] | ['’-]\w )"  # nor C++ or C#
_CAPITAL = rf"(?<![A-Za-z0-9'’]) (?-i:[A-Z]) {_NO_WORD}"
_ALONE = _pattern(r"[\W_]* ([A-Z]) (?![+\#-]) (?:选项)? [\W_]*")
_IN_FRONT = _pattern(rf"{_OPEN} ([A-Z]) {_NO_WORD}")
_BEHIND = _pattern(r"(.+) [(\[] ([A-Z]) [)\]] [.!。]? \s*", re.DOTALL | re.IGNORECASE)
_AT_END = _pattern(rf"[.!?:\n。！？：] {_OPEN} ([A-Z]) {_CLOSE} [.!。]? \s* $", re.DOTALL)

# What may follow a letter

_SET_OFF = _pattern(rf"{_CLOSE} \s* (?: [.:;)\]。、；：,] | \n | [-–—=]\s | \( ) | \s+(?:because|since)\b")
_ENDS = _pattern(
    rf"{_CLOSE} \s* (?: $ | [.,:;!?)\n。，、；：！] | 选?项 | [-–—=]\s | \( )"
    rf"| {_CLOSE} \s+ (?:because|since|as|which|for|is|was|due)\b"
)
_OTHER_LETTER = _pattern(
    rf"[.)]* \s* (?: or | and | nor | / | & | \| | 或者? | 和 | 与 | 及 | 、 | ,\s*(?:or|and) ) \s*"
    rf"(?:option|choice|选项)? {_OPEN} {_CAPITAL}"
    rf"| \s* , {_OPEN} {_CAPITAL} {_CLOSE} \s* (?: $ | [.,;\n] | or\b | and\b )"
)
_IS_WRONG = _pattern(
    r"[\s:,.)(-]* (?: (?:is|are|was)\s+ )? (?:not|no|never|isn|wrong|incorrect|false|错) (?: \b | n't | $ )"
    rf"(?! \s+ (?:option\s+)? {_CAPITAL} )"  # "B, not A" says nothing against B
    rf"| {_CLOSE} \s* \?"
)

# Statements, up to the letter or the option's text

_IS = (
    r"[\"'】]? \s* (?: (?: (?:is|was|are|would\s+be|should\s+be|must\s+be|will\s+be)\b | (?:应该|应)?[是为] )"
    r"(?: \s+ (?:most\s+likely|likely|probably|definitely|clearly|therefore|thus|simply|indeed) )? )?"
    r"\s* (?: [:=] | [-–—]+(?!\d)>? | → | ⇒ )? \s*"
)
_TO_WHAT = r"(?: \s+ (?:to|of|for) \s+ [^.:;\n]{1,80}? (?= \s+is\b | \s*: ) )?"
_NAMELY = r"(?: (?:the\s+)? (?:option|choice|letter|answer|选项) \s* :? \s* )?"
_FINAL = _pattern(rf"(?: \bfinal\s+(?:answer|choice|option) | 最终答案 ) {_TO_WHAT} {_IS} {_NAMELY}")
_STATED = _pattern(
    r"(?: \b (?: ans | answer | (?:correct|right|best|my)\s+(?:option|choice|response|letter)"
    rf"| the\s+(?:option|choice|letter)(?=\s+is\b) ) \b \.? {_TO_WHAT} | 答案 | 正确选项 ) {_IS} {_NAMELY}"
)
_CHOSEN = _pattern(
    r"(?: \b (?: it\s+is | it'?s | therefore | thus | hence | so | correct: | i(?:'d|'ll|\s+would|\s+will)?\s+"
    r"(?:say|choose|pick|select|think|believe|go\s+(?:with|for)) (?:\s+(?:it\s+is|it'?s|that))? ) | 选(?!项)择? )"
    rf"[,:]? \s* {_NAMELY}"
)
_CALLED_RIGHT = _pattern(
    rf"({_CAPITAL}) {_CLOSE} \s* (?:选?项)? (?: \s (?:is|would\s+be|must\s+be) \s+ (?:(?:the|my)\s+)?"
    r"(?:(?:only|most|final)\s+)?"
    r"(?:correct|right|best|accurate|answer|choice)\b | 是?正确 | 是对 )",
    re.DOTALL,
)
_MENTIONED = _pattern(
    rf"\W* (?: (?:option|choice|letter)\b | 选项 ) \s* :? {_OPEN} ([A-Z]) {_CLOSE} \s* (?: $ | [.:,;)\n。，：-] )"
)

# What takes a statement back

_CLAUSE_ENDS = _pattern(r"[.!?;,:\n。；，！？：] | \b(?:but|so|because|therefore|thus|hence|however)\b")
_DENIED = _pattern(
    r"\b (?: not | never | neither | nor | no | cannot | wrong | incorrect | false | least | second | worst | doubt"
    r"| if | whether | unless | suppose | assume | why ) \b | n't\b | 不 | 非 | 别 | 如果"
    rf"| {_CAPITAL} {_CLOSE} \s* (?: or | and | nor | / | 或 | 和 ) \s* (?:option\s*)? $"
)
_HEDGED = _pattern(rf"\b (?:could|might|may) \s+ (?:also\s+)? be \s+ {_NAMELY} {_OPEN} ({_CAPITAL})")
_CORRECTED = _pattern(
    r"\b (?: wait | correction | i\s+mean | scratch\s+that | on\s+second\s+thought | actually | sorry ) \b"
    rf".*? ({_CAPITAL})",
    re.DOTALL | re.IGNORECASE,
)


def read_letter(text: str, options: Mapping[str, str]) -> str:
    """The letter of the option that ``text`` names; empty where it names none, or it is not clear which.

    Args:
        text: a model's raw answer.
        options: the options' texts, by letter.
    """
    text = _THOUGHTS.sub(" ", _normal(text))
    reader = _Reader(options)
    letter = _only({reader.read(part) for part in _ANSWER.findall(text) or [text]})
    return letter if letter in {*LETTERS, *options} else ""


class _Reader:
    """Reads answers to one question."""

    def __init__(self, options: Mapping[str, str]) -> None:
        plain = {letter: _plain(_normal(text)) for letter, text in options.items()}
        # where an option's text is a letter itself, an answer is read as the letter in front of an option
        self.plain = {letter: text for letter, text in plain.items() if text and not _ALONE.fullmatch(text)}
        self.texts = {letter: _bare(text) for letter, text in self.plain.items()}
        self._longest = 2 * max(map(len, options.values()), default=0) + _NEAR

    def read(self, text: str) -> str:
        """The letter that a text without thoughts names."""
        if boxed := _BOXED.findall(text):
            return _only({self.read(part) for part in boxed})
        text = _plain(text).strip()
        if alone := _ALONE.fullmatch(text):
            return alone[1].upper()
        if whole := self._option_of(text):
            return whole
        if final := set(self._statements(_FINAL, text)):
            return _only(final)
        stated = {*self._statements(_STATED, text), *self._statements(_CHOSEN, text, letters_only=True)}
        stated |= {found[1] for found in _CALLED_RIGHT.finditer(text) if not _is_denied(text, found.start())}
        stated |= {*self._in_front(text), *_AT_END.findall(text)}
        if stated:
            return _only({*stated, *_HEDGED.findall(text), *_CORRECTED.findall(text)})
        return self._mentioned(text)

    def _statements(self, pattern: re.Pattern, text: str, letters_only: bool = False) -> Iterator[str]:
        """What each statement names; ``?`` for one that leaves open which option it means."""
        for found in pattern.finditer(text):
            if not _is_denied(text, found.start()):
                yield from self._named(text[found.end() :], letters_only)

    def _named(self, rest: str, letters_only: bool) -> Iterator[str]:
        """The option whose text or letter ``rest`` begins with."""
        if not letters_only and (option := self._option_at_start_of(rest)):
            yield option
        elif found := _IN_FRONT.match(rest):
            letter, after, is_capital = found[1].upper(), rest[found.end() :], found[1].isupper()
            is_named = _ENDS.match(after) or (is_capital and self._is_labelled(letter, after))
            if self._is_called_wrong(letter, after):
                return
            if _OTHER_LETTER.match(after) or (is_named and self._contradicts(letter, after)):
                yield "?"
            elif is_named or (is_capital and letter not in "AI" and not letters_only):  # A and I are words too
                yield letter

    def _in_front(self, text: str) -> Iterator[str]:
        """The letter in front of a text, unless that lists the options."""
        found = _IN_FRONT.match(text)
        if not found:
            return
        letter, after = found[1].upper(), text[found.end() :]
        listed = self._listed(text)
        if _OTHER_LETTER.match(after) or self._is_called_wrong(letter, after) or (letter in listed and len(listed) > 1):
            return
        in_brackets = "(" in found[0] and after.startswith(")")
        if self._is_labelled(letter, after) or in_brackets or (found[1].isupper() and _SET_OFF.match(after)):
            yield "?" if self._contradicts(letter, after) else letter

    def _mentioned(self, text: str) -> str:
        """The option that a text without any statement begins with."""
        found = _MENTIONED.match(text)
        if not found:
            return ""
        letter, after = found[1].upper(), text[found.end(1) :]
        doubts = _OTHER_LETTER.match(after) or self._is_called_wrong(letter, after) or self._contradicts(letter, after)
        return "" if doubts else letter

    def _listed(self, text: str) -> set[str]:
        """The letters that are set off before their option's text, or in front of a line."""
        listed = set()
        for found in re.finditer(r"(?:^|(?<=[\s(\[]))([A-Z])[.):]+\s*", text, re.MULTILINE):
            line = text[max(found.start() - _NEAR, 0) : found.start()].rpartition("\n")[2]
            if not line.strip(" ([") or self._own_text_follows(found[1], text[found.end() :]):
                listed.add(found[1])
        return listed

    def _option_of(self, text: str) -> str:
        """The letter of the one option whose text ``text`` is, with or without that letter in brackets behind it."""
        text = text[: self._longest]
        behind = _BEHIND.fullmatch(text)
        is_behind = behind is not None and self._same_as(behind[1]) == behind[2].upper()
        return behind[2].upper() if is_behind else self._same_as(text)

    def _same_as(self, text: str) -> str:
        """The letter of the one option whose text ``text`` is; articles may differ.

        Options may differ in marks and case alone: ``5`` and ``-5``, ``10`` and ``10%``, ``mW`` and ``MW``.
        """
        for change in (_unquoted, _bare, _without_article):
            wanted = change(text)
            same = [letter for letter, option in self.plain.items() if wanted and change(option) == wanted]
            if len(same) == 1:
                return same[0]
        return ""

    def _option_at_start_of(self, text: str) -> str:
        """The same of a text or of its first sentence."""
        text = text[: self._longest]
        return self._option_of(text) or self._option_of(re.split(r"[.!?;\n。！？](?:\s|$)", text, maxsplit=1)[0])

    def _own_text_follows(self, letter: str, after: str) -> bool:
        """Whether a letter is followed by its own option's text."""
        option = self.texts.get(letter.upper())
        bare = _bare(after[: self._longest])
        return bool(option) and re.match(rf"{re.escape(option)}(?!\w)", bare) is not None

    def _is_labelled(self, letter: str, after: str) -> bool:
        """Whether a letter stands in front of its own option's text; ``A`` without a mark may be an article."""
        if letter == "A" and not _SET_OFF.match(after):
            return self._option_at_start_of(after) == letter
        return self._own_text_follows(letter, after)

    def _contradicts(self, letter: str, after: str) -> bool:
        """Whether a letter is followed by another option's text."""
        other = self._option_at_start_of(after)
        return bool(other) and other != letter

    def _is_called_wrong(self, letter: str, after: str) -> bool:
        """Whether a letter is followed by what denies or questions it, and that is not its own option's text."""
        return _IS_WRONG.match(after) is not None and not self._own_text_follows(letter, after)


def _only(letters: set[str]) -> str:
    """The letter, if there is just one."""
    return letters.pop() if len(letters) == 1 else ""


def _is_denied(text: str, place: int) -> bool:
    """Whether the clause before ``place`` denies or only supposes what follows, or joins it to another letter."""
    return _DENIED.search(_CLAUSE_ENDS.split(text[max(place - _NEAR, 0) : place])[-1]) is not None


def _plain(text: str) -> str:
    """A text without emphasis and formulas."""
    return _EMPHASIS.sub("", text)


def _normal(text: str) -> str:
    """A text in the plainest characters that mean the same."""
    return re.sub(r"[−–](?=\d)", "-", unicodedata.normalize("NFKC", text))


def _unquoted(text: str) -> str:
    """A text without quotation marks around it, a full stop and doubled spaces."""
    return " ".join(text.split()).strip("\"'“”‘’").rstrip(".。")


def _bare(text: str) -> str:
    """A text without case, doubled spaces and outer marks that say nothing: ``-5``, ``.5`` and ``C++`` stay."""
    return " ".join(_OUTER_MARKS.sub(r"\1", text.casefold()).split())


def _without_article(text: str) -> str:
    """The same without an article in front."""
    return _ARTICLE.sub("", _bare(text))
