"""TextVQA 0.5.1: open questions about the text in an image, each with ten human answers."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from syntune.artifacts.reading import read_json_file, read_json_lines
from syntune.benchmarks.names import listed
from syntune.benchmarks.protocol import Protocol, Question
from syntune.errors import UserError
from syntune.files import write_json
from syntune.settings.benchmarks import TextVqaSettings
from syntune.settings.reading import read_settings

VERSION = "0.5.1"
INSTRUCTION = "Answer the question using a single word or phrase."
OCR = "Reference OCR token: "


class Annotation(BaseModel):
    """One question of the annotation file; the test split has no answers."""

    question_id: int
    image_id: str
    question: str
    answers: Annotated[list[str], Field(min_length=10, max_length=10)] | None = None


class Annotations(BaseModel):
    """The annotation file."""

    dataset_version: str
    data: list[Annotation]


class QuestionLine(BaseModel):
    """One line of LLaVA's question file; ``question_id`` is the image's."""

    question_id: str
    image: str
    text: str


class TextVqa(Protocol[TextVqaSettings]):
    """The prompt is the question, the reference OCR tokens if they are shown, and an instruction, a line each."""

    metric = "vqa_accuracy"
    clusters = "images"

    def label(self) -> str:
        """Scores with and without OCR tokens are two different benchmarks."""
        return f"TextVQA, {'with' if self.settings.ocr_tokens else 'without'} reference OCR tokens"

    def metadata(self) -> dict[str, Any]:
        """The version of the annotations, and whether the prompts show OCR tokens."""
        return {"annotations": VERSION, "ocr_tokens": self.settings.ocr_tokens}

    def read(self) -> list[Question]:
        """Read the questions, in the question file's order where there is one."""
        annotations = _read_annotations(self.settings.annotations)
        if self.settings.questions:
            return self._from_question_file(annotations)
        if self.settings.ocr_tokens:
            raise UserError(
                f"benchmark {self.name}: ocr_tokens: the annotations hold no OCR tokens; name LLaVA's question file "
                "as 'questions', or set ocr_tokens to false"
            )
        return [self._question(each, f"{each.image_id}.jpg", each.question) for each in annotations]

    def _from_question_file(self, annotations: list[Annotation]) -> list[Question]:
        """The question file's lines, each with the annotation of its image and question.

        Where a question was annotated twice, the evaluator looks both up by their text and finds the last one's
        answers; so does this.
        """
        path = self.settings.questions
        waiting, last = defaultdict(list), {}
        for annotation in annotations:
            key = (annotation.image_id, annotation.question.lower())
            waiting[key].append(annotation)
            last[key] = annotation.answers
        questions, unknown = [], []
        for where, line in read_json_lines(path, QuestionLine):
            key = (line.question_id, _question_of(line.text, where))
            if not waiting[key]:
                unknown.append(where.rpartition(": ")[2])
                continue
            annotation = waiting[key].pop(0).model_copy(update={"answers": last[key]})
            questions.append(self._question(annotation, line.image, line.text))
        unasked = [annotation.question_id for left in waiting.values() for annotation in left]
        if unknown or unasked:
            raise UserError(
                f"{path} and {self.settings.annotations} are not of the same version: "
                f"{len(unknown)} questions have no annotation ({listed(unknown) or 'none'}) and "
                f"{len(unasked)} annotated questions are not asked ({listed(unasked) or 'none'})"
            )
        self._check_ocr(questions)
        return questions

    def _check_ocr(self, questions: list[Question]) -> None:
        """OCR tokens are shown for every question or for none."""
        without = [question.id for question in questions if OCR not in question.prompt]
        if self.settings.ocr_tokens and without:
            raise UserError(
                f"{self.settings.questions}: {len(without)} of {len(questions)} questions have no '{OCR.strip()}' line "
                f"({listed(without)}); set the benchmark's ocr_tokens to false"
            )

    def _question(self, annotation: Annotation, image: str, text: str) -> Question:
        """A question with its prompt as the settings want it; ``text`` is its text in the file."""
        lines = text.split("\n")
        if not self.settings.ocr_tokens:
            lines = [line for line in lines if not line.startswith(OCR)]
        if not self.settings.questions:
            lines.append(INSTRUCTION)
        return Question(
            id=annotation.question_id,
            prompt="\n".join(lines),
            image=Path(self.settings.images, image),
            references=tuple(annotation.answers or ()),
            group=annotation.image_id,
        )

    def own_words(self, question: Question) -> str:
        """The question without its OCR tokens."""
        return "\n".join(line for line in super().own_words(question).split("\n") if not line.startswith(OCR))

    def submission(self, questions: Sequence[Question], texts: Sequence[str], path: Path) -> None:
        """Write the JSON that the challenge's server on EvalAI takes."""
        answers = [
            {"question_id": question.id, "answer": text.strip()}
            for question, text in zip(questions, texts, strict=True)
        ]
        write_json(path, answers)

    def reference_answer(self, question: Question, text: str) -> dict[str, Any]:
        """The reference names a question by its image, and finds it again by its prompt."""
        return super().reference_answer(question, text) | {"question_id": question.group}


def _read_annotations(path: str) -> list[Annotation]:
    """Read the annotation file; one of another version is refused."""
    content = read_json_file(path, Any)
    version = content.get("dataset_version") if isinstance(content, dict) else None
    if re.split(r"[\s_]", str(version))[0] != VERSION:  # a remark may follow the number
        raise UserError(
            f"{path}: dataset_version is {version!r}; TextVQA is scored on {VERSION} "
            "(TextVQA_0.5.1_val.json of https://textvqa.org/dataset)"
        )
    return read_settings(content, Annotations, path).data


def _question_of(text: str, where: str) -> str:
    """The question in a question file's prompt, in lower case; a prompt of another form is refused."""
    question = question_of_prompt(text)
    if question is None or "\n" not in text:
        raise UserError(
            f"{where}: text: not a prompt of TextVQA: it must be the question, optionally a line "
            f"'{OCR}...', and an instruction"
        )
    return question


def question_of_prompt(prompt: str) -> str | None:
    """The question in a prompt of one of the forms that the evaluator knows, in lower case; None for another form."""
    lines = prompt.split("\n")
    if prompt.startswith("OCR tokens: "):
        found = re.search(r"Question: (.*?) Short answer:", prompt, re.DOTALL)
        return found.group(1).lower() if found else None
    if OCR in prompt and len(lines) == 3:
        return lines[1 if prompt.startswith(OCR.strip()) else 0].lower()
    return lines[0].lower() if len(lines) == 2 else None
