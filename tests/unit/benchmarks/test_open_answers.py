"""Open answers beside right ones: values computed by hand."""

import pytest

from syntune.benchmarks.open_answers import anls, exact_match, relaxed_accuracy
from syntune.benchmarks.vqa_accuracy import vqa_accuracy


@pytest.mark.parametrize(
    ("answer", "references", "score"),
    [
        (" Red\nCar. ", ["blue", "red car"], 1),
        ("1.5", ["15"], 0),
        ("STRASSE", ["Straße"], 1),
        ("red cars", ["red car"], 0),
        ("", ["x"], 0),
    ],
)
def test_exact_match(answer, references, score):
    assert exact_match(answer, references) == score


@pytest.mark.parametrize(
    ("answer", "references", "score"),
    [
        ("Acme", ["acme"], 1),
        ("acne", ["zeta", "acme"], 0.75),  # one edit of four letters
        ("abcd", ["abxy"], 0.5),  # two of four: the least that counts
        ("abcde", ["abxyz"], 0),  # three of five: 0.4
        ("a  b", ["A b"], 1),
        ("", ["acme"], 0),
    ],
)
def test_anls(answer, references, score):
    assert anls(answer, references) == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize(
    ("answer", "references", "score"),
    [
        ("105", ["100"], 1),
        ("105.1", ["100"], 0),
        ("95", ["7", "100"], 1),
        ("-10", ["10"], 0),
        ("3%", ["0.03"], 1),
        ("3", ["3%"], 0),
        ("0.01", ["0"], 0),
        ("0", ["0"], 1),
        ("Yes", ["yes"], 1),
        ("nan", ["nan"], 1),
        ("inf", ["100"], 0),
        ("about 100", ["100"], 0),
    ],
)
def test_relaxed_accuracy(answer, references, score):
    assert relaxed_accuracy(answer, references) == score


@pytest.mark.parametrize(
    ("matches", "of", "score"),
    [(0, 10, 0), (1, 10, 0.3), (3, 10, 0.9), (4, 10, 1), (1, 4, 0.25), (3, 4, (3 * 2 / 3 + 1) / 4), (4, 4, 1)],
)
def test_vqa_accuracy_of_any_number_of_answers(matches, of, score):
    """Of four answers, one alone is found in the three sets that keep it: 3 * 1/3 of 4."""
    assert vqa_accuracy("a red", ["red"] * matches + ["blue"] * (of - matches)) == pytest.approx(score, abs=1e-12)


def test_vqa_accuracy_needs_enough_answers():
    with pytest.raises(ValueError, match="3 human answers where there must be 4 or more"):
        vqa_accuracy("red", ["red"] * 3)
