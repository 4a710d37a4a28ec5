"""Numbers as people read them."""

import pytest

from syntune import formats
from syntune.settings.flattening import flat


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (formats.count, 1234567, "1,234,567"),
        (formats.count, None, "not recorded"),
        (formats.number, 5.99146, "5.99"),
        (formats.number, 9876.5, "9,876"),
        (formats.number, -0.01234, "−0.0123"),
        (formats.number, 2e-5, "2e−5"),
        (formats.number, 0.0, "0"),
        (formats.number, float("nan"), "nan"),
        (formats.size, 0, "0 B"),
        (formats.size, 1023, "1,023 B"),
        (formats.size, 1024, "1.0 KiB"),
        (formats.size, 5 * 2**40, "5.0 TiB"),
        (formats.gibibytes, 12.62, "12.6 GiB"),
        (formats.duration, 8.21, "8.2 s"),
        (formats.duration, 59.97, "1 min 00 s"),
        (formats.duration, 185, "3 min 05 s"),
        (formats.duration, 8040, "2 h 14 min"),
        (formats.percent, 0.634, "63.4%"),
        (formats.points, -0.05, "−5.0"),
        (formats.interval, (-0.01, 0.2), "−1.0 to +20.0"),
        (formats.interval, None, "none"),
        (formats.p_value, 1e-9, "< 0.001"),
        (formats.number, 12345678.0, "1.23e7"),
        (formats.plain, 0.0, "0"),
        (formats.plain, 2e-5, "2e−5"),
        (formats.plain, True, "yes"),
        (formats.plain, None, "none"),
        (formats.listing, ["a", "b", "c"], "a, b and c"),
        (formats.words, "long" * 200, "long" * 99 + "lon…"),
    ],
)
def test_formats(form, value, text):
    assert form(value).replace("\N{NO-BREAK SPACE}", " ") == text


def test_settings_by_their_path():
    assert flat({"lora": {"r": 16}, "epochs": 1}) == {"lora.r": 16, "epochs": 1}


def test_percent_in_plain_text():
    assert [formats.in_percent(-0.05), formats.in_percent(0.05, 2, "+"), formats.in_percent(None, none="-")] == [
        "-5.0", "+5.00", "-"
    ]  # fmt: skip
