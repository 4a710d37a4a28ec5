"""The page shows each question with each run's answer and mark, obeys nothing in it, and stays small."""

import json
import re
from html.parser import HTMLParser

from syntune.answers_page.reading import ScoredQuestion, chosen
from syntune.benchmarks.protocol import Question

VOID = {"meta", "img", "input"}


class Articles(HTMLParser):
    """Checks nesting while it reads; keeps each article's attributes and words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.tags, self.articles = [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "article":
            self.articles.append((dict(attributes), []))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "article" in self.open:
            self.articles[-1][1].append(data)

    @property
    def words(self) -> list[str]:
        return [" ".join("".join(text).split()) for _, text in self.articles]


def answer(run: str, place: int) -> str:
    """The base is wrong, the later runs are right of more and more."""
    right = {"base": 0, "raw": 2, "synthetic": 4}[run]
    return "circle" if place < right else f"{run} says {place}"


def test_each_question_has_each_runs_answer_and_mark(page, open_benchmark):
    found = Articles(page(open_benchmark(6), answer))
    marks = [attributes["data-marks"] for attributes, _ in found.articles]
    assert marks == ["0 0 0", "0 1 1", "0 0 1", "0 0 0", "0 0 0", "0 0 0"]
    assert [attributes["data-kinds"] for attributes, _ in found.articles][:3] == ["0 1 1", "0 1 1", "0 1 2"]
    assert "base says 1 ✗wrong raw circle ✓right synthetic circle ✓right" in found.words[1]
    assert "reference circle ×8, round ×2" in found.words[1] and "question 1" in found.words[1]


def test_any_two_runs_stand_side_by_side(page, open_benchmark):
    html = page(open_benchmark(6), answer)
    rows = re.findall(r'<tr><th scope="row">.*?</tr>', html)
    numbers = [re.findall(r'<td class="num">([^<]*)</td>', row) for row in rows]
    assert [row[1:] for row in numbers] == [["", "0", "0"], ["1", "", "0"], ["2", "1", ""]]
    assert numbers[2][0] == "33.3%"
    assert ": 6 questions, and what 3 runs answered." in html


def test_rotations_stand_with_the_question_that_they_mark(page, choice_benchmark):
    found = Articles(page(choice_benchmark, lambda run, place: "A" if run == "raw" else "AABB"[place]))
    assert [attributes["data-marks"] for attributes, _ in found.articles] == ["1 0 1", "1 0 1"]
    assert [attributes["data-parts"] for attributes, _ in found.articles] == ["0 2", "1 2"]
    assert "1 further rotation" in found.words[0] and "Which is 7? A. dog" in found.words[0]


def test_what_is_read_from_an_answer_is_shown(page, choice_benchmark):
    texts = {"base": "The answer is A.", "raw": "", "synthetic": "no idea"}
    words = Articles(page(choice_benchmark, lambda run, place: texts[run])).words[0]
    assert "base The answer is A. read as A" in words and "raw empty" in words
    assert "synthetic no idea no answer recognised" in words


def test_hostile_texts_are_escaped_and_what_is_unseen_is_named(page, open_benchmark):
    attack = "</article></script><script>alert('x')</script><img src=x onerror=alert(1)>\u202egnp\u0007\u2028"
    protocol = open_benchmark(3, word=attack)
    html = page(protocol, lambda run, place: attack)
    tags = Articles(html).tags
    assert [dict(attributes).get("type") for tag, attributes in tags if tag == "script"] == ["application/json", None]
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert "\u202e" not in html and "\u0007" not in html and "U+202E" in html and "U+0007" in html


def test_the_page_needs_nothing_else(page, open_benchmark, tmp_path):
    html = page(open_benchmark(3), answer)
    references = [
        value for _, attributes in Articles(html).tags for name, value in attributes.items() if name == "href"
    ]
    assert references == ["../index.html"]
    assert "default-src 'none'" in html and "url(" not in html and "@import" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert str(tmp_path) not in html


def pictures(html: str) -> list[str]:
    return json.loads(re.search(r'<script id="pictures" type="application/json">(.*?)</script>', html)[1])


def test_questions_of_one_image_share_its_picture(page, open_benchmark):
    html = page(open_benchmark(6), answer)
    assert len(pictures(html)) == 3 and html.count("data-picture=") == 6
    assert all(one.startswith("data:image/webp;base64,") for one in pictures(html))


def test_pictures_end_where_the_room_does(page, open_benchmark):
    protocol = open_benchmark(20)
    html = page(protocol, answer, room=40_000)
    assert 0 < len(pictures(html)) < 10 and sum(map(len, pictures(html))) <= 40_000
    shown = html.count("data-picture=")
    assert f"{shown} questions have their picture here" in html
    assert html.count("picture not shown") == 20 - shown
    assert page(protocol, answer, room=40_000) == html


def test_an_image_that_cannot_be_read_is_not_shown(page, open_benchmark, tmp_path):
    protocol = open_benchmark(4)
    (tmp_path / "benchmark/images/i0.jpg").write_bytes(b"no image")
    assert page(protocol, answer).count("picture not shown") == 2


def test_of_very_many_questions_a_hash_chooses():
    questions = [ScoredQuestion(Question(id=place, prompt="", image=b"")) for place in range(100)]
    kept = [one.question.id for one in chosen(questions, 10)]
    assert len(kept) == 10 and kept == sorted(kept) and kept != list(range(10))
    assert set(kept) <= {one.question.id for one in chosen(questions, 20)}
    assert chosen(questions, 100) == questions


def test_a_run_that_is_not_scored_has_answers_without_marks(page, open_benchmark):
    protocol = open_benchmark(2)
    html = page(protocol, lambda run, place: "" if run == "raw" else "circle")
    assert [attributes["data-marks"] for attributes, _ in Articles(html).articles] == ["0 - 0", "1 - 1"]
    assert html.count(">not scored</td>") == 1
    html = page(protocol, lambda run, place: "" if place else "circle")
    assert [attributes["data-marks"] for attributes, _ in Articles(html).articles] == ["- - -", "- - -"]
    assert "No run is scored." in html
