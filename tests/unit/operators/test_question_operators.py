"""The operators that turn questions into captions, into choices and into prompts."""

from collections import Counter

import pytest

from syntune.errors import UserError

IMAGE, END = "<__dj__image>\n", " <|__dj__eoc|>"
CAPTION = f"{IMAGE}a caption{END}"
TWO_TURNS = f"{IMAGE}[[human]]: a?\n[[gpt]]: b\n[[human]]: c?\n[[gpt]]: d{END}"


def ask(question, answer):
    return f"{IMAGE}[[human]]: {question}\n[[gpt]]: {answer}{END}"


TEMPLATES = [
    {"question": r"what color is the (?P<thing>\w+)\?", "answer": r"(?P<color>\w+)", "caption": "A {color} {thing}."},
    {"question": r"is there a (?P<thing>\w+)\?", "answer": "yes", "caption": "A {thing}."},
]


def test_captions_state_what_the_answer_says(run):
    texts = [ask("What color is the shape?", "Red"), ask("is there a circle?", "yes"), ask("is there a dog?", "no")]
    captions = run("qa_caption_mapper", [*texts, CAPTION, TWO_TURNS], templates=TEMPLATES)
    assert captions == [f"{IMAGE}A Red shape.{END}", f"{IMAGE}A circle.{END}"]


def test_rows_that_no_template_fits_can_be_kept(run):
    texts = [ask("is there a dog?", "no"), CAPTION, TWO_TURNS]
    assert run("qa_caption_mapper", texts, templates=TEMPLATES, unmatched="keep") == texts


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"templates": [TEMPLATES[1] | {"caption": "A {shape}."}]}, "shape.* is no group of the patterns"),
        ({"templates": [TEMPLATES[1] | {"question": "("}]}, "qa_caption_mapper: .*unterminated subpattern"),
        ({"templates": [{"question": "a", "answer": "b"}]}, "caption"),
        ({"templates": TEMPLATES, "unmatched": "skip"}, "unmatched: 'skip' is not one of .*drop.*keep"),
    ],
)
def test_a_wrong_template_is_named(run, parameters, match):
    with pytest.raises(UserError, match=match):
        run("qa_caption_mapper", [CAPTION], **parameters)


COLORS = ["black", "blue", "brown", "gray", "green", "red", "teal", "yellow"]


def test_choices_stand_beside_the_question_in_the_form_of_mmbench(run):
    question = ask("what color is it?", "red")
    original, choice = run("qa_choice_mapper", [question], pools=[COLORS], max_options=4)
    assert original == question
    lines = choice.removeprefix(f"{IMAGE}[[human]]: ").removesuffix(END).split("\n")
    assert lines[0] == "what color is it?"
    assert [line[:3] for line in lines[1:5]] == ["A. ", "B. ", "C. ", "D. "]
    assert lines[5] == "Answer with the option's letter from the given choices directly."
    options = {line[0]: line[3:] for line in lines[1:5]}
    assert options[lines[6].removeprefix("[[gpt]]: ")] == "red"
    assert len(set(options.values())) == 4 and set(options.values()) <= set(COLORS)


def test_the_right_option_is_spelled_as_the_others_are(run):
    original, choice = run("qa_choice_mapper", [ask("what color is it?", "Red")], pools=[COLORS])
    assert original == ask("what color is it?", "Red")
    assert ". red\n" in choice and "Red" not in choice


def test_choices_favour_no_letter_and_no_option(run):
    texts = run("qa_choice_mapper", [ask("what color is it?", "red")] * 400, pools=[COLORS])[1::2]
    letters = Counter(text.removesuffix(END)[-1] for text in texts)
    assert set(letters) == set("ABCD") and all(70 < count < 130 for count in letters.values())
    wrong = Counter(color for text in texts for color in COLORS[:5] + COLORS[6:] if f". {color}\n" in text)
    assert all(130 < count < 215 for count in wrong.values())


def test_another_random_seed_draws_other_options(run):
    texts = [ask("what color is it?", "red")] * 20
    first, again, other = (run("qa_choice_mapper", texts, pools=[COLORS], random_seed=seed) for seed in (0, 0, 1))
    assert first == again != other


def test_choices_need_one_question_whose_answer_is_in_a_pool(run):
    texts = [ask("how many?", "seven"), CAPTION, TWO_TURNS]
    assert run("qa_choice_mapper", texts, pools=[["one", "two"]]) == texts


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"pools": [["red"]]}, "two or more texts"),
        ({"pools": [["red", "blue"], ["Blue", "green"]]}, "Blue is listed twice"),
        ({"pools": [["red", "blue"]], "max_options": 1}, "max_options: 1 is not between 2 and 8"),
    ],
)
def test_wrong_pools_are_named(run, parameters, match):
    with pytest.raises(UserError, match=match):
        run("qa_choice_mapper", [CAPTION], **parameters)


def test_prompts_are_added_to_one_line_questions_alone(run):
    choice = ask("what?\nA. x\nB. y\nAnswer with the letter.", "A")
    told = run("qa_prompt_mapper", [ask("what?", "x"), choice, CAPTION])
    assert told == [ask("what?\nAnswer the question using a single word or phrase.", "x"), choice, CAPTION]


LAYOUTS = ["[[human]]: <__dj__image>\nwhat color is it?", "[[human]]: what color is it?\n<__dj__image>"]


@pytest.mark.parametrize("asked", LAYOUTS)
def test_a_mark_in_the_question_as_in_llavas_data_is_no_part_of_it(run, asked):
    text = f"{asked}\n[[gpt]]: red{END}"
    (told,) = run("qa_prompt_mapper", [text], instruction="Be short.")
    original, choice = run("qa_choice_mapper", [text], pools=[COLORS])
    (caption,) = run(
        "qa_caption_mapper", [text], templates=[{**TEMPLATES[0], "question": "what (?P<thing>color) is it."}]
    )
    assert (told, original) == (ask("what color is it?\nBe short.", "red"), text)
    assert choice.startswith(f"{IMAGE}[[human]]: what color is it?\nA. ") and choice.count("__dj__image") == 1
    assert caption == f"{IMAGE}A red color.{END}"


def test_a_question_without_an_answer_is_none(run):
    assert run("qa_prompt_mapper", [ask("what?", "")]) == [ask("what?", "")]


def test_many_spaces_in_a_row_take_no_time(run):
    wide = f"x{' ' * 100_000}y"
    texts = [ask("what?", wide), ask(wide, "x"), ask("what?", f"{wide}\n[[human]]: {wide}")]
    assert run("qa_prompt_mapper", texts, instruction="i")[:2] == [ask("what?\ni", wide), ask(f"{wide}\ni", "x")]


def test_images_within_a_question_are_left_alone(run):
    text = f"[[human]]: is <__dj__image> or <__dj__image> red?\n[[gpt]]: red{END}"
    assert run("qa_choice_mapper", [text], pools=[COLORS]) == [text]
    assert run("qa_prompt_mapper", [text]) == [text]


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("Look at it.\nWhat color is it?", "Look at it.\nWhat color is it?"),
        ("Look at it.\nWhat color is it?\nAnswer in a word.", "Look at it.\nWhat color is it?"),
        ("Name the color.\nAnswer in a word.", "Name the color."),
        ("Name the color.", "Name the color."),
    ],
)
def test_choices_are_put_to_the_whole_question_but_for_its_instruction(run, question, kept):
    _, choice = run("qa_choice_mapper", [ask(question, "red")], pools=[COLORS])
    assert choice.startswith(f"{IMAGE}[[human]]: {kept}\nA. ")


def test_a_group_that_took_no_part_leaves_nothing_in_the_caption(run):
    template = {
        "question": r"what color is (?P<size>big )?it\?",
        "answer": r"(?P<color>\w+)",
        "caption": "{size}{color}",
    }
    assert run("qa_caption_mapper", [ask("what color is it?", "red")], templates=[template]) == [f"{IMAGE}red{END}"]


def test_text_alone_is_left(run, tmp_path):
    assert run("text_only_mapper", [ask("is there a dog?", "no"), CAPTION], images=["a.png", "b.png"]) == [
        f"[[human]]: is there a dog?\n[[gpt]]: no{END}", f"a caption{END}",
    ]  # fmt: skip
