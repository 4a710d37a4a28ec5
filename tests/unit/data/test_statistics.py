"""Statistics: counted as a person would."""

from PIL import Image

from syntune.data.statistics import Histogram, Statistics, script_of


def turns(question, answer):
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def test_a_histogram_counts_up_to_each_bound():
    histogram = Histogram((1, 5))
    for value in (0, 1, 2, 5, 6, 700):
        histogram.add(value)
    assert histogram.as_details() == {"up_to": [1, 5], "counts": [2, 2, 2]}


def test_a_row_is_a_duplicate_if_text_and_images_are_the_same(png):
    statistics = Statistics()
    red, blue = png("red"), png("blue")
    for content, name in ((red, "a" * 64), (red, "a" * 64), (blue, "b" * 64)):
        statistics.add(turns("<image>\nWhat?", "red"), [content], [name])
    statistics.add(turns("What?", "\u4f60\u597d"), [], [])
    details = statistics.as_details()
    assert (details["duplicate_rows"], details["images"], details["distinct_answers"]) == (1, 2, 2)
    assert details["images_per_row"] == {"0": 1, "1": 3}
    assert details["image_bytes"] == 2 * len(red) + len(blue)
    assert details["scripts"] == {"CJK": 1, "Latin": 3}


def test_the_script_is_that_of_most_letters():
    assert script_of("12 + 3 = 15") == "none"
    assert script_of("ein \u0434\u043e\u043c, \u0433\u043e\u0440\u043e\u0434") == "Cyrillic"
    assert script_of("\u3053\u308c\u306f\u732b") == "Hiragana"


def test_an_image_beyond_pillows_own_limits_stops_nothing(png, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    statistics = Statistics()
    statistics.add(turns("<image>", "red"), [png()], ["a" * 64])
    assert statistics.as_details()["image_formats"] == {"not read": 1}
