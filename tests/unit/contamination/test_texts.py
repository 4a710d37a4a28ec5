"""Questions in training texts."""

import pytest

from syntune.benchmarks.mmbench import MmBench
from syntune.benchmarks.nlvr import Nlvr
from syntune.benchmarks.protocol import Question
from syntune.benchmarks.textvqa import TextVqa
from syntune.contamination.texts import TextIndex
from syntune.matching.words import words_of

LONG = "What is the name of the shop on the left side of the street?"


def found(question: str, text: str, size: int = 8) -> bool:
    return TextIndex([question], size).found_in(text) == {0}


def test_case_punctuation_width_and_spaces_do_not_matter():
    assert words_of("What's  the\nＢＲＡＮＤ, “Acme”?") == ["what", "s", "the", "brand", "acme"]
    assert words_of("snake_case") == ["snake", "case"]
    assert words_of("?!") == []
    assert words_of("in\u00advis\u200bible \ufeffmarks") == ["invisible", "marks"]


def test_a_long_question_is_found_by_any_run_of_its_words():
    assert found(LONG, "Well: NAME of the shop, on the left side! Is it open?")
    assert not found(LONG, "name of the shop on the left")


def test_a_short_question_is_found_whole_only():
    assert found("What brand is it?", "Look here. What brand is it, please")
    assert not found("What brand is it?", "what brand is")
    assert not found("it", "iteration")


def test_chinese_is_compared_by_characters():
    assert words_of("图中有2只猫。") == ["图", "中", "有", "2", "只", "猫"]
    assert found("图中有几只猫?", "请看:图中有几只猫,谢谢")


def test_a_question_without_words_is_found_nowhere():
    assert not found("???", "??? anything")


def test_questions_that_share_words_are_all_found():
    index = TextIndex([LONG, "what is the name of the shop on the right", "is it open"], 8)
    assert index.found_in("what is the name of the shop on the moon; is it open?") == {0, 1, 2}


@pytest.mark.parametrize(
    ("protocol", "prompt", "options", "text"),
    [
        (Nlvr, "There is a box.\nIs this true or false?", {}, "There is a box."),
        (TextVqa, "What brand?\nAnswer the question using a single word or phrase.", {}, "What brand?"),
        (TextVqa, "What brand?\nReference OCR token: ACME, CO\nAnswer the question.", {}, "What brand?"),
        (MmBench, "A hint.\nWhich?\nA. cat\nB. dog\nAnswer.", {"A": "cat", "B": "dog"}, "A hint.\nWhich?"),
        (TextVqa, "What brand?", {}, "What brand?"),
    ],
)
def test_instruction_options_and_ocr_tokens_are_not_the_question(protocol, prompt, options, text):
    question = Question(id=1, prompt=prompt, image=b"", options=options)
    assert protocol(None, "bench").own_words(question) == text
