"""Settings of the contamination gate: when training data count as holding a benchmark's questions."""

from pydantic import Field, model_validator

from syntune.settings.strict import Strict

LIMITS = {"max_share", "max_questions"}
"""The keys that say how much is too much; the search goes by the others."""


class ContaminationSettings(Strict):
    """What counts as the same question, what as the same image, and how much of it stops the workflow."""

    max_share: float | None = Field(
        default=0.01,
        ge=0,
        le=1,
        description="largest share of a benchmark's questions that may stand, with their image, in one row of a "
        "dataset; above it training does not start, if they are more than max_questions. null only reports",
    )
    max_questions: int = Field(
        default=2,
        ge=0,
        description="so many questions of a benchmark may always be found, whatever their share: of a small benchmark "
        "one that is found by chance would be over max_share. Two of 16 questions or more move a score by at most "
        "the standard error of a score of one half",
    )
    ngram: int = Field(
        default=8,
        ge=1,
        le=50,
        description="words in a row that a question and a training text must share; a shorter question must occur "
        "whole",
    )
    hash_size: int = Field(
        default=12, ge=4, le=32, description="side of the perceptual hash; an image's hash has 2 * hash_size**2 bits"
    )
    max_distance: int = Field(
        default=40,
        ge=0,
        description="two images of like colors are near when at most this many bits of their hashes differ",
    )

    def of_search(self) -> str:
        """The settings that the search goes by, as JSON: another limit is no reason to search again."""
        return self.model_dump_json(exclude=LIMITS)

    @model_validator(mode="after")
    def _tells_images_apart(self) -> "ContaminationSettings":
        if self.max_distance >= self.hash_size**2:
            raise ValueError(
                f"max_distance {self.max_distance} is not below hash_size**2 = {self.hash_size**2}: unrelated images "
                "differ by about as many bits"
            )
        return self
