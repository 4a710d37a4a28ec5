"""Choice, yes or no, captions: questions of one's own to the score, with values computed by hand."""

import json

import pytest

from syntune.artifacts.predictions import Prediction
from syntune.benchmarks.scoring import score_run
from syntune.errors import UserError


@pytest.fixture
def protocol(tmp_path, load):
    """The benchmark of rows; ids and images are given to those that have none."""

    def make(kind: str, *rows: dict, **settings):
        path = tmp_path / "questions.jsonl"
        rows = [{"id": place, "image": "x.png"} | row for place, row in enumerate(rows)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return load(protocol=kind, questions=path, **settings)

    return make


def scored(protocol, texts: list[str]):
    questions = protocol.questions()
    lines = [Prediction(question_id=q.id, prompt=q.prompt, text=text) for q, text in zip(questions, texts, strict=True)]
    return score_run("run", protocol, questions, lines)


def values(score) -> dict[str, float]:
    return {name: metric.value for name, metric in score.metrics.items()}


CHOICE = {"question": "Which is it?", "options": ["cat", "dog", "cow"], "answer": "dog", "category": "animals"}


def test_options_are_asked_in_every_rotation(protocol):
    made = protocol("choice", CHOICE, CHOICE | {"answer": "A", "options": ["x", "y"]}, circular=True)
    questions = made.questions()
    assert [question.id for question in questions] == [0, "0~1", "0~2", 1, "1~1"]
    assert [question.references for question in questions] == [("B",), ("A",), ("C",), ("A",), ("B",)]
    assert questions[1].prompt == (
        "Which is it?\nA. dog\nB. cow\nC. cat\nAnswer with the option's letter from the given choices directly."
    )
    assert made.own_words(questions[1]) == "Which is it?" and made.size(questions) == 2
    score = scored(made, ["B", "A. dog", "It is C.", "A", "A"])
    assert score.primary == "circular" and score.questions == [
        (0, 1.0, questions[0].group),
        (1, 0.0, questions[0].group),
    ]
    assert values(score) == {
        "circular": 0.5, "vanilla": 0.8, "first_pass": 1.0, "circular_exact": 0.0, "vanilla_exact": 0.4
    }  # fmt: skip
    assert score.breakdown["circular_by_category"]["animals"].value == 0.5
    assert score.metadata.clusters == "images" and score.main.clusters == 1
    limited = protocol("choice", CHOICE, CHOICE, circular=True, limit=1)
    assert [question.id for question in limited.questions()] == [0, "0~1", "0~2"]


def test_options_are_asked_once(protocol):
    made = protocol("choice", CHOICE, CHOICE | {"answer": "C"}, answer_pattern="Answer: (.*)")
    score = scored(made, ["A or C. Answer: B", "C"])
    assert values(score) == {"vanilla": 0.5, "vanilla_exact": 0.5}
    assert score.breakdown["answers"] == {
        "empty": 0, "not recognised": 1, "exact letter": 0, "extracted letter": 1
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": ["cat"]}, "options: List should have at least 2 items"),
        ({"options": ["cat", "cat"]}, "options: one stands there twice"),
        ({"options": ["A. cat", "B. dog"], "answer": "A"}, "options: each begins with its letter; leave the letters"),
        ({"options": ["(A) cat", "(B) dog"], "answer": "A"}, "options: each begins with its letter"),
        ({"answer": "D"}, "answer: 'D' must be the letter or the text of one option"),
        ({"options": ["B", "A"], "answer": "A"}, "answer: 'A' must be the letter or the text of one option"),
        ({"answers": ["dog"]}, "answers: unknown key"),
    ],
)
def test_a_choice_that_is_wrong_is_named(protocol, change, message):
    with pytest.raises(UserError, match=f"questions.jsonl: line 2: {message}"):
        protocol("choice", CHOICE, CHOICE | change).questions()


def test_yes_and_no(protocol):
    answers = ["yes", True, "no", "No", False, "yes"]
    made = protocol("yes_no", *({"question": "Is it?", "answer": answer, "image": f"{place}.png"}
                                for place, answer in enumerate(answers)))  # fmt: skip
    score = scored(made, ["Yes, no doubt.", "no", "YES", "There is no cat.", "no", "I cannot tell."])
    # right: 1, 4, 5; said yes: 1 and 3, one of them right; to be said yes: 1, 2 and 6, one of them right
    assert values(score) == pytest.approx(
        {"accuracy": 3 / 6, "precision": 1 / 2, "recall": 1 / 3, "f1": 2 * 1 / (2 * 1 + 1 + 2), "says_yes": 2 / 6}
    )
    assert score.breakdown["answers"] == {"empty": 0, "not recognised": 1}
    assert score.metrics["f1"].interval is not None and score.primary == "accuracy"
    never = scored(made, ["no"] * 6)
    assert "precision" not in never.metrics and values(never)["f1"] == 0 and values(never)["says_yes"] == 0
    true = scored(made, ["True.", "false", "It is true that there is no cat.", "False", "No", "false"])
    assert (values(true)["says_yes"], true.breakdown["answers"]["not recognised"]) == (1 / 6, 0)
    with pytest.raises(UserError, match="line 1: answer: Input should be 'yes' or 'no'"):
        protocol("yes_no", {"question": "Is it?", "answer": "maybe"}).questions()


def test_captions(protocol):
    made = protocol(
        "caption", {"answer": "abd"}, {"answers": ["zzz", "a cat"], "question": "What is here?"}, prompt="Say {{it}}."
    )
    first, second = made.questions()
    assert (first.prompt, second.prompt) == ("Say {it}.", "What is here?")
    assert made.searched_texts(second) == ("zzz", "a cat")
    score = scored(made, ["abc", "a cat"])
    # "abc" beside "abd": 2 of 3 letters, 1 of 2 pairs, 0 of 1 triple are shared, on both sides
    assert [value for _, value, _ in score.questions] == pytest.approx([(2 / 3 + 1 / 2 + 0) / 3, 1.0])
    assert score.primary == "chrf"
