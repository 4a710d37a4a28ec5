"""Data-Juicer's text and messages say the same."""

import pytest

from syntune.data.conversations import fault_of, pair_turns, to_messages, to_text

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
        ("<__dj__image>\nan <image> tag", messages("<image>\nPROMPT", "an <image> tag")),
        (
            "<__dj__image>\n[[human]]: What is <image>?\n[[gpt]]: <image> is a tag.",
            messages("<image>\nWhat is < image>?", "<image> is a tag."),
        ),
        (
            "<__dj__image>\n[[gpt]]: Hello.\n[[human]]: Q?\n[[gpt]]: A",
            [{"role": ASSISTANT, "content": "Hello."}, *messages("<image>\nQ?", "A")],
        ),
    ],
)
def test_text_becomes_messages(text, expected):
    assert to_messages(text, "PROMPT") == expected


def test_messages_survive_the_way_through_text():
    turns = messages("<__dj__image>\nWhat is it?\nSay it.", "A cat.", "And [[this]]?", "A [[gpt]]: dog, an <image>.")
    read = to_messages(to_text(turns), "PROMPT")
    assert read == [{**turns[0], "content": "<image>\nWhat is it?\nSay it."}, *turns[1:]]


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
        (messages("<image>\nQ", "A <image>"), None),
        (messages("<image>\nQ", "A <__dj__image>"), "images and their marks differ"),
    ],
)
def test_faults_are_named(turns, fault):
    assert fault_of(turns, images=1) == fault


FIRST, LAST, PAIR = (
    "first answer without a question",
    "last question without an answer",
    "pair without a question or an answer",
)


@pytest.mark.parametrize(
    ("turns", "kept", "left_out"),
    [
        (messages("<image>\nQ", "A"), messages("<image>\nQ", "A"), []),
        (messages("<image>\nQ", "A", "Thanks!"), messages("<image>\nQ", "A"), [LAST]),
        (messages("<image>\nQ", "A", "R", "", "S", "C"), messages("<image>\nQ", "A", "S", "C"), [PAIR]),
        (messages("<image>\nQ", "", "R", "B"), messages("<image>\nR", "B"), [PAIR]),
        (messages("Q", "A", "<image>\nR", ""), messages("Q\n<image>", "A"), [PAIR]),
        (messages("Q", "A", "<image>\nR"), messages("Q\n<image>", "A"), [LAST]),
        (messages("Q", "", "R"), messages("Q", "", "R"), []),
        (messages("Q"), messages("Q"), []),
        ([*messages("Q", "A"), *messages("R"), *messages("S", "B")],) * 2 + ([],),
        ([], [], []),
    ],
)
def test_what_cannot_be_learned_is_left_out_of_a_conversation(turns, kept, left_out):
    assert pair_turns(turns) == (kept, left_out)


def test_a_first_answer_is_left_out():
    greeting = {"role": ASSISTANT, "content": "Hello."}
    assert pair_turns([greeting, *messages("Q", "A", "R")]) == (messages("Q", "A"), [FIRST, LAST])
