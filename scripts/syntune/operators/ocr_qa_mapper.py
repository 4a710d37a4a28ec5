"""Questions and answers about the text in a picture, in the form of TextVQA."""

from typing import Any, Literal

from data_juicer.ops.base_op import OPERATORS, Mapper
from data_juicer.utils.constant import Fields

from syntune.operators.image_texts import Page, read_page
from syntune.operators.ocr_questions import Asked, Certainty, Picker, is_read_in, is_there_text, questions_about
from syntune.operators.question_answer import batch_of, conversation_text, rows_of


@OPERATORS.register_module("ocr_qa_mapper")
class OcrQaMapper(Mapper):
    """Asks about the text that PP-OCR reads in a picture, where the answer is beyond doubt.

    Only lines that are read with confidence are answers, but what may be text besides counts against a question: the
    largest text is the largest of all that was found. Which questions are asked is decided by a hash of the row's id.
    Lines, confidences and boxes become the row's statistics ``ocr_texts``, ``ocr_scores`` and ``ocr_boxes`` (left, top,
    right, bottom in pixels).
    """

    _batched_op = True

    def __init__(
        self,
        questions: int = 3,
        turns: int = 3,
        min_score: float = 0.97,
        min_height: float = 0.03,
        max_words: int = 6,
        without_text: Literal["drop", "keep", "ask"] = "drop",
        sides: tuple[int, ...] | list[int] = (736, 480),
        instruction: str = "Answer the question using a single word or phrase.",
        random_seed: int = 0,
        *args: Any,
        **kwargs: Any,
    ):
        """Take the recipe's parameters.

        Args:
            questions: the most questions about a picture.
            turns: the most questions in a row; more of them become further rows about the same picture.
            min_score: the least confidence of a line that is an answer, 0 to 1.
            min_height: the least height of its letters, as a share of the picture's height.
            max_words: the most words of an answer.
            without_text: what becomes of a row that nothing is asked about: it is dropped or kept as it is; with
                ``ask``, pictures without any text are asked whether there is some, and one in four of the others.
            sides: pictures are read enlarged until their shorter side has so many pixels; 736 is PP-OCR's own default.
                Where there is something to ask, they are read again with each further number: an answer must be read
                alike every time. ``[480]`` alone takes half the time, misses small print and doubts less.
            instruction: last line of each question; the default is TextVQA's in LLaVA's question file.
            random_seed: another one asks other questions.
            args: Data-Juicer's.
            kwargs: Data-Juicer's.
        """
        super().__init__(*args, **kwargs)
        if not sides or min(sides) < 32:
            raise ValueError(f"sides: {sides!r} is not a list of one or more numbers of at least 32 pixels")
        if without_text not in ("drop", "keep", "ask"):
            raise ValueError(f"without_text: {without_text!r} is not one of drop, keep, ask")
        for name, value in (("questions", questions), ("turns", turns), ("max_words", max_words)):
            if value < 1:
                raise ValueError(f"{name}: {value} is not 1 or more")
        self.questions, self.turns, self.without_text = questions, turns, without_text
        self.certainty = Certainty(min_score, min_height, max_words)
        self.sides, self.instruction, self.random_seed = tuple(sides), instruction, random_seed

    def process_batched(self, samples: dict[str, list]) -> dict[str, list]:
        """Replace each row by rows that ask about its picture; a row of several pictures has no such questions."""
        rows = []
        for row in rows_of(samples):
            if len(row[self.image_key]) != 1:
                rows += [row] if self.without_text == "keep" else []
                continue
            (path,) = row[self.image_key]
            page = read_page(path, self.sides[0])
            asked = self._ask(page, path, row)
            row[Fields.stats] = (row.get(Fields.stats) or {}) | _as_stats(page)
            if not asked and self.without_text == "keep":
                rows.append(row)
            for start in range(0, len(asked), self.turns):
                turns = [
                    (f"{one.question}\n{self.instruction}", one.answer) for one in asked[start : start + self.turns]
                ]
                rows.append(row | {self.text_key: conversation_text(1, turns)})
        return batch_of(rows, list({**samples, Fields.stats: None}))

    def _ask(self, page: Page, path: str, row: dict[str, Any]) -> list[Asked]:
        """The questions about a picture, at most so many."""
        pick = Picker(row["id"], self.random_seed)
        asked = questions_about(page, row[self.text_key], self.certainty, pick)
        for side in self.sides[1:] if asked else ():
            again = read_page(path, side)
            asked = [one for one in asked if is_read_in(one, again)]
        if self.without_text == "ask" and not page.lines:
            asked = [is_there_text("no", pick)]
        elif self.without_text == "ask" and asked and pick.number("any") % 4 == 0:
            asked = [is_there_text("yes", pick), *asked]
        return asked[: self.questions]


def _as_stats(page: Page) -> dict[str, list]:
    """A page as a row's statistics."""
    return {
        "ocr_texts": [line.text for line in page.lines],
        "ocr_scores": [line.score for line in page.lines],
        "ocr_boxes": [list(line.box) for line in page.lines],
    }
