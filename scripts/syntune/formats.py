"""Numbers and settings as people read them: with units, separators and no more digits than they carry."""

import math
import re
from collections.abc import Sequence

NOT_RECORDED = "not recorded"
MINUS = "\N{MINUS SIGN}"
EXPONENT = re.compile(r"e\+?(-?)0*(?=\d)")
NO_BREAK = "\N{NO-BREAK SPACE}"


def count(value: float | None, none: str = NOT_RECORDED) -> str:
    """``12345`` as ``12,345``."""
    return none if value is None else _signed(f"{value:,.0f}")


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """``1 run``, ``3 runs``; ``nouns`` is the plural where it is not noun + s."""
    return f"{count(number)} {noun if number == 1 else nouns or noun + 's'}"


def number(value: float | None, digits: int = 3) -> str:
    """A value in ``digits`` significant digits, in powers of ten where it is very small."""
    if value is None:
        return NOT_RECORDED
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        decimals = 0 if value == 0 else max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return _signed(f"{value:,.{decimals}f}")
    return _signed(EXPONENT.sub(r"e\1", f"{value:.{digits}g}"))


def size(value: float | None) -> str:
    """Bytes in binary units: ``1.5 MiB``."""
    if value is None:
        return NOT_RECORDED
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = min(len(units) - 1, math.floor(math.log(value, 1024))) if value >= 1 else 0
    return f"{value / 1024**power:,.{1 if power else 0}f}{NO_BREAK}{units[power]}"


def gibibytes(value: float | None) -> str:
    """GiB as ``12.6 GiB``, small ones in MiB."""
    return NOT_RECORDED if value is None else size(value * 2**30)


def duration(seconds: float | None) -> str:
    """Seconds as ``8.2 s``, ``3 min 05 s`` or ``2 h 14 min``."""
    if seconds is None:
        return NOT_RECORDED
    if seconds < 59.95:
        return f"{seconds:.1f}{NO_BREAK}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{NO_BREAK}min {rest:02d}{NO_BREAK}s"
    return f"{minutes // 60:,}{NO_BREAK}h {minutes % 60:02d}{NO_BREAK}min"


def in_percent(share: float | None, decimals: int = 1, sign: str = "", none: str = NOT_RECORDED) -> str:
    """A share of 1 as ``63.4``, in ASCII; with ``sign`` + as ``+63.4``."""
    return none if share is None else f"{100 * share:{sign}.{decimals}f}"


def percent(share: float | None, decimals: int = 1) -> str:
    """A share of 1 as ``63.4%``."""
    return NOT_RECORDED if share is None else f"{in_percent(share, decimals)}%"


def points(share: float | None, none: str = NOT_RECORDED) -> str:
    """A difference of two shares in percentage points, signed: ``+12.3``."""
    return _signed(in_percent(share, sign="+", none=none))


def interval(bounds: Sequence[float] | None, form=points) -> str:
    """Both ends of an interval: ``+9.8 to +14.7``; a single question, or cluster of them, has none."""
    return "none" if bounds is None else f"{form(bounds[0])} to {form(bounds[1])}"


def p_value(value: float | None, none: str = NOT_RECORDED, tiny: str = "< 0.001") -> str:
    """A p value; below a thousandth its size says nothing more, and ``tiny`` stands for it."""
    if value is None:
        return none
    return tiny if value < 0.001 else f"{value:.3f}"


def short_hash(value: str | None) -> str:
    """The first twelve digits of a content hash."""
    return NOT_RECORDED if value is None else value[:12]


def words(text: str, limit: int = 400) -> str:
    """Text cut at ``limit`` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def sentence(text: str) -> str:
    """Text with a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def listing(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    items = list(items)
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def plain(value: object) -> str:
    """A setting as it is shown in a table."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _signed(EXPONENT.sub(r"e\1", f"{value:g}"))
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    return str(value)


def _signed(text: str) -> str:
    """A real minus sign for a hyphen, in the mantissa and the exponent."""
    return text.replace("-", MINUS)
