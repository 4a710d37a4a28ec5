"""Settings of a benchmark: its protocol and its files."""

from typing import Annotated, Literal

from pydantic import Field

from syntune.settings.strict import Strict


class _BenchmarkSettings(Strict):
    """What every benchmark has."""

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
        default="refuse", description="an answer without text: stop before scoring, or count it as wrong"
    )

    def files(self) -> list[str]:
        """The files of questions and annotations."""
        raise NotImplementedError

    def folders(self) -> list[str]:
        """The folders of images."""
        return []

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


BenchmarkSettings = Annotated[TextVqaSettings | MmBenchSettings | NlvrSettings, Field(discriminator="protocol")]
