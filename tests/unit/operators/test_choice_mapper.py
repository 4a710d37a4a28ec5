"""Captions asked for among others that are wrong in one word."""

from collections import Counter

import pytest

COLORS = ["red", "blue", "green", "orange"]
ANIMALS = ["dog", "cat", "elephant", "horse"]


@pytest.fixture
def choose(registered):
    """Run the operator on captions; returns the texts, without marks."""
    from syntune.operators.choice_mapper import ChoiceMapper

    def choose(*captions, **parameters):
        parameters = {"adjectives": [COLORS], "nouns": [ANIMALS], "captions": "drop", **parameters}
        batch = {
            "id": [f"r{index}" for index in range(len(captions))],
            "text": [f"<__dj__image>\n{caption} <|__dj__eoc|>" for caption in captions],
        }
        made = ChoiceMapper(**parameters).process_batched(batch)["text"]
        return [text.removeprefix("<__dj__image>\n").removesuffix(" <|__dj__eoc|>") for text in made]

    return choose


def options_of(text):
    """The options of a question, and the one that is the answer."""
    question, letter = text.split("\n[[gpt]]: ")
    options = dict(line.split(". ", 1) for line in question.splitlines()[1:-1])
    return options, options[letter]


def test_the_others_are_wrong_in_one_word(choose):
    (text,) = choose("a red car beside a dog")
    options, answer = options_of(text)
    assert answer == "a red car beside a dog"
    assert list(options) == list("ABCD")
    for option in set(options.values()) - {answer}:
        changed = [word for word in option.split() if word not in answer.split()]
        assert len(set(changed) & {*COLORS, *ANIMALS}) == 1
    assert text.splitlines()[-2] == "Answer with the option's letter from the given choices directly."


def test_articles_fit(choose):
    (text,) = choose("a dog", max_options=4)
    assert set(options_of(text)[0].values()) == {"a dog", "a cat", "an elephant", "a horse"}


def test_capital_letters_tell_nothing(choose):
    (sentence,), (title,) = choose("A dog"), choose("The Dog, An Orange Ball", nouns=[["dog", "cat"]])
    assert set(options_of(sentence)[0].values()) == {"A dog", "A cat", "An elephant", "A horse"}
    others = {"The Cat, An Orange Ball", *(f"The Dog, A {color} Ball" for color in ("Red", "Blue", "Green"))}
    assert set(options_of(title)[0].values()) < {"The Dog, An Orange Ball", *others}


def test_no_letter_is_favoured(choose):
    letters = Counter(text[-1] for text in choose(*(f"a red car number {number}" for number in range(400))))
    assert all(70 <= letters[letter] <= 130 for letter in "ABCD")


@pytest.mark.parametrize(
    "caption",
    ["some dog food", "a hot dog stand", "a dog and a dog", "a plain picture", "[[human]]: a dog?\n[[gpt]]: a red dog"],
)
def test_what_could_be_told_without_the_picture_is_not_asked(choose, caption):
    assert not [text for text in choose(caption) if "\nA. " in text]


def test_words_that_are_there_are_no_wrong_options(choose):
    (text,) = choose("a red ball and a blue ball", nouns=None)
    assert all(
        Counter(option.split())["red"] < 2 and option.count("blue") < 2 for option in options_of(text)[0].values()
    )


def test_captions_may_stay(choose):
    kept = choose("a red car", "a plain picture", captions="keep")
    assert kept[0] == "a red car" and kept[2] == "a plain picture" and "\nA. " in kept[1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"nouns": None, "adjectives": None}, "at least one list of words is needed"),
        ({"nouns": [["red", "dog"]]}, "adjectives: red is listed twice"),
        ({"nouns": [["dog"]]}, r"nouns: \['dog'\] is not a list of two or more words"),
        ({"max_options": 1}, "max_options: 1 is not between 2 and 8"),
        ({"captions": "some"}, "captions: 'some' is not one of keep, drop"),
    ],
)
def test_wrong_parameters_are_named(choose, parameters, message):
    with pytest.raises(ValueError, match=message):
        choose("a", **parameters)
