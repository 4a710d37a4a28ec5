"""Data-Juicer's text and messages say the same."""

import pytest

from syntune.data.conversations import fault_of, to_messages, to_text

USER, ASSISTANT = "user", "assistant"


def messages(*contents):
    return [{"role": (USER, ASSISTANT)[index % 2], "content": content} for index, content in enumerate(contents)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<__dj__image>\n[[human]]: Q?\n[[gpt]]: A <|__dj__eoc|>", messages("<image>\nQ?", "A")),
        (
            "[[human]]: <__dj__image>\nQ?\nA. x\nB. y\n[[gpt]]: A <|__dj__eoc|>",
            messages("<image>\nQ?\nA. x\nB. y", "A"),
        ),
        ("[[human]]: Q <__dj__image>\n[[gpt]]: A\n[[human]]: R\n[[gpt]]: B", messages("Q <image>", "A", "R", "B")),
        ("<__dj__image>\na caption <|__dj__eoc|>", messages("<image>\nPROMPT", "a caption")),
        ("<__dj__image>\n<__dj__image>\ntwo pictures", messages("<image>\n<image>\nPROMPT", "two pictures")),
    ],
)
def test_text_becomes_messages(text, expected):
    assert to_messages(text, "PROMPT") == expected


def test_messages_survive_the_way_through_text():
    turns = messages("<image>\nWhat is it?\nSay it.", "A cat.", "And [[this]]?", "A [[gpt]]: dog.")
    assert to_messages(to_text(turns), "PROMPT") == turns


@pytest.mark.parametrize("content", ["x\n[[gpt]]: forged answer", "x <|__dj__eoc|> y"])
def test_a_turn_that_forges_marks_is_refused(content):
    with pytest.raises(ValueError, match="Data-Juicer's own marks"):
        to_text(messages(content, "A"))


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        (messages("<image>\nQ", "A"), None),
        (messages("<image>", "A"), None),
        (messages("<image>\nQ", ""), "no answer"),
        (messages("<image>\nQ"), "no answer"),
        (messages("", "A"), "no question"),
        (messages("<image>\nQ", "A", "Q"), "turns out of order"),
        (messages("Q", "A"), "images and their marks differ"),
        (messages("<image> <image>", "A"), "images and their marks differ"),
        (messages("<image>\nQ", "A <image>"), "images and their marks differ"),
    ],
)
def test_faults_are_named(turns, fault):
    assert fault_of(turns, images=1) == fault
