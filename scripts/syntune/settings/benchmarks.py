"""Settings of a benchmark: its protocol and its files."""

import os
import re
from string import Formatter
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from syntune.settings.strict import Name, Strict, is_unset


class _BenchmarkSettings(Strict):
    """What every benchmark has.

    Attributes:
        scoring_only: keys that change no question and no answer.
    """

    scoring_only: ClassVar[frozenset[str]] = frozenset({"empty_answers"})

    limit: int | None = Field(
        default=None,
        ge=1,
        description="use only this many questions from the top; null uses all, and only that score counts",
    )
    max_pixels: int = Field(
        default=50_000_000, ge=1, description="largest image that is decoded, in pixels; a larger one is an error"
    )
    max_bytes: int = Field(
        default=100_000_000, ge=1, description="largest image file that is read, in bytes; a larger one is an error"
    )
    empty_answers: Literal["refuse", "wrong"] = Field(
        default="refuse",
        description="an answer without text: give the run no score and say why, or count the answer as wrong",
    )

    def asking(self, *left_out: str) -> str:
        """The settings that questions and answers depend on, as JSON that reads as the section does."""
        return self.model_dump_json(exclude={*self.scoring_only, *left_out})

    def files(self) -> list[str]:
        """The files of questions and annotations."""
        raise NotImplementedError

    def folders(self) -> list[str]:
        """The folders of images."""
        return []

    def places_of_images(self) -> list[str]:
        """The folders that images may lie in: those that are named or, where none is, others."""
        return self.folders()

    def paths(self) -> dict[str, str]:
        """Each key that holds a path, and the path."""
        raise NotImplementedError


class TextVqaSettings(_BenchmarkSettings):
    """TextVQA: open questions, ten human answers each, the official soft accuracy."""

    protocol: Literal["textvqa"]
    annotations: str = Field(description="annotations in the 0.5.1 layout (JSON)")
    questions: str | None = Field(
        default=None, description="LLaVA's question file (JSON lines); null asks the annotations' questions"
    )
    images: str = Field(description="folder of images")
    ocr_tokens: bool = Field(
        default=True, description="show the question file's reference OCR tokens; scores with and without don't compare"
    )
    max_new_tokens: int = Field(default=128, ge=1, description="longest answer, in tokens")

    def files(self) -> list[str]:
        """The annotations and, where there is one, the question file."""
        return [self.annotations, *([self.questions] if self.questions else [])]

    def folders(self) -> list[str]:
        """The folder of images."""
        return [self.images]

    def paths(self) -> dict[str, str]:
        """Annotations, images and, where there is one, the question file."""
        questions = {"questions": self.questions} if self.questions else {}
        return {"annotations": self.annotations, "images": self.images, **questions}


class MmBenchSettings(_BenchmarkSettings):
    """MMBench: questions of choice, every rotation of the options asked, circular and vanilla accuracy.

    ``limit`` counts base questions: each keeps all its rotations.
    """

    protocol: Literal["mmbench"]
    table: str = Field(description="the published table (TSV with base64 images)")
    language: Literal["en", "cn"] = Field(default="en", description="language of the instruction after the options")
    none_options: Literal["offer", "cut"] = Field(
        default="offer",
        description="an option that reads None, NA, null, nan or n/a: offer it as any other, or end the options there, "
        "as LLaVA's and MGM's script does (pandas takes it for an empty cell); the score file counts such questions",
    )
    max_new_tokens: int = Field(default=1024, ge=1, description="longest answer, in tokens")

    def files(self) -> list[str]:
        """The table."""
        return [self.table]

    def paths(self) -> dict[str, str]:
        """The table."""
        return {"table": self.table}


class NlvrSettings(_BenchmarkSettings):
    """NLVR: true or false of a statement about an image; the worked example of adding a benchmark."""

    protocol: Literal["nlvr"]
    statements: str = Field(description="statements (JSON)")
    images: str = Field(description="folder of images")
    max_new_tokens: int = Field(default=16, ge=1, description="longest answer, in tokens")

    def files(self) -> list[str]:
        """The statements."""
        return [self.statements]

    def folders(self) -> list[str]:
        """The folder of images."""
        return [self.images]

    def paths(self) -> dict[str, str]:
        """The statements and the images."""
        return {"statements": self.statements, "images": self.images}


class _OwnQuestionsSettings(_BenchmarkSettings):
    """Questions of one's own: a file of rows (JSON lines or Parquet), each about one image."""

    scoring_only: ClassVar[frozenset[str]] = frozenset({"empty_answers", "answer_pattern"})
    fields: ClassVar[tuple[str, ...]] = ("question",)
    """What the prompt has a place for."""

    questions: str | None = Field(
        default=None, pattern=r"\.(jsonl|parquet)$", description="questions, a row each (.jsonl or .parquet)"
    )
    holdout: Name | None = Field(
        default=None,
        exclude_if=is_unset,
        description="instead of questions: the dataset whose held-out rows are asked about, each with its own first "
        "question, to which prompt adds nothing unless it is set",
    )
    images: str | None = Field(
        default=None, description="folder that the rows' image paths start from; null: the questions' own folder"
    )
    prompt: str
    answer_pattern: str | None = Field(
        default=None,
        min_length=1,
        description="regular expression (Python's) that takes the answer out of the text: its first match, or the "
        "first group of that; where nothing matches there is no answer. null: the whole text",
    )

    @model_validator(mode="after")
    def _asks_one_thing(self) -> "_OwnQuestionsSettings":
        """The questions come from a file or from a dataset."""
        if (self.questions is None) == (self.holdout is None):
            raise ValueError("either questions (a file) or holdout (a dataset that holds rows out) says what is asked")
        if self.holdout and "options" in self.fields:
            raise ValueError("holdout: held-out rows have no options; take protocol vqa, or a file of questions")
        if self.holdout and self.images:
            raise ValueError("images: held-out rows bring their own; leave it out")
        return self

    @field_validator("prompt")
    @classmethod
    def _has_its_places(cls, prompt: str) -> str:
        """The prompt has a place for each of ``fields`` and for nothing else."""
        try:
            places = [place[1:] for place in Formatter().parse(prompt) if place[1] is not None]
        except ValueError as error:
            raise ValueError(f"{error}; write a brace of the text twice") from error
        if {name for name, _, _ in places} != set(cls.fields) or any(form or kind for _, form, kind in places):
            wanted = " and ".join(f"{{{name}}}" for name in cls.fields) or "no {...}"
            raise ValueError(f"must hold {wanted}, and no other braces; write a brace of the text twice")
        return prompt

    @field_validator("answer_pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        """The pattern is a regular expression."""
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression ({error})") from error
        return pattern

    def files(self) -> list[str]:
        """The questions."""
        return [self.questions] if self.questions else []

    def folders(self) -> list[str]:
        """The folder of images, where it is named."""
        return [self.images] if self.images else []

    def places_of_images(self) -> list[str]:
        """The folder that is named, or else the questions' own."""
        return self.folders() or [os.path.dirname(file) or "." for file in self.files()]

    def paths(self) -> dict[str, str]:
        """The questions and the folder of images, where they are named."""
        return {key: path for key in ("questions", "images") if (path := getattr(self, key))}

    def asked_of(self, questions: str) -> "_OwnQuestionsSettings":
        """The same, asked of the file of a dataset's held-out rows."""
        bare = {"prompt": "{question}"} if self.fields and "prompt" not in self.model_fields_set else {}
        return self.model_copy(update={"questions": questions, "holdout": None, **bare})


class VqaSettings(_OwnQuestionsSettings):
    """Open questions of one's own, each with one right answer or several."""

    scoring_only: ClassVar[frozenset[str]] = _OwnQuestionsSettings.scoring_only | {"metric"}

    protocol: Literal["vqa"]
    prompt: str = Field(
        default="{question}\nAnswer the question using a single word or phrase.",
        description="what the model is asked; {question} stands for a row's question",
    )
    metric: Literal["exact_match", "vqa_accuracy", "relaxed_accuracy", "anls"] = Field(
        default="exact_match", description="the main metric; the others are reported too"
    )
    max_new_tokens: int = Field(default=128, ge=1, description="longest answer, in tokens")


class ChoiceSettings(_OwnQuestionsSettings):
    """Questions of choice of one's own, with any number of options.

    ``limit`` counts questions: each keeps all its rotations.
    """

    fields: ClassVar[tuple[str, ...]] = ("question", "options")

    protocol: Literal["choice"]
    prompt: str = Field(
        default="{question}\n{options}\nAnswer with the option's letter from the given choices directly.",
        description="what the model is asked; {question} stands for a row's question, {options} for its options by "
        "letter, a line each",
    )
    circular: bool = Field(
        default=False,
        description="ask each question once for each rotation of its options; it is right if all answers are",
    )
    max_new_tokens: int = Field(default=128, ge=1, description="longest answer, in tokens")


class YesNoSettings(_OwnQuestionsSettings):
    """Questions of one's own that are answered with yes or no."""

    protocol: Literal["yes_no"]
    prompt: str = Field(
        default="{question}\nAnswer the question with yes or no.",
        description="what the model is asked; {question} stands for a row's question",
    )
    max_new_tokens: int = Field(default=16, ge=1, description="longest answer, in tokens")


class CaptionSettings(_OwnQuestionsSettings):
    """Images of one's own that are to be described."""

    fields: ClassVar[tuple[str, ...]] = ()

    protocol: Literal["caption"]
    prompt: str = Field(
        default="Describe the image in one sentence.",
        description="what the model is asked about an image whose row has no question of its own",
    )
    max_new_tokens: int = Field(default=128, ge=1, description="longest answer, in tokens")


BenchmarkSettings = Annotated[
    TextVqaSettings | MmBenchSettings | NlvrSettings | VqaSettings | ChoiceSettings | YesNoSettings | CaptionSettings,
    Field(discriminator="protocol"),
]
