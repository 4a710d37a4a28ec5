"""Settings of a dataset: a seed, the Data-Juicer recipe that synthesises from it, and what is mixed in."""

from typing import Annotated

from pydantic import Field

from syntune.settings.strict import Name, Strict


class DatasetSettings(Strict):
    """One training dataset: sharded Parquet with the images inside."""

    seed: Name = Field(description="the seed that it is made from")
    recipe: str | None = Field(
        default=None,
        description="Data-Juicer recipe (YAML) that filters, deduplicates and synthesises; null keeps the "
        "seed as it is",
    )
    mix: dict[Name, Annotated[int, Field(ge=1)] | None] = Field(
        default_factory=dict,
        description="other datasets whose rows are mixed in: rows to take (chosen by a hash of the "
        "row id), null takes all",
    )
    limit: int | None = Field(
        default=None, ge=1, description="keep this many rows, chosen by a hash of the row id; null keeps all"
    )
    shards: int = Field(default=4, ge=1, le=99_999, description="number of Parquet files; fixed")
    caption_prompts: list[str] = Field(
        default_factory=lambda: [
            "Describe the image concisely.",
            "Provide a brief description of the given image.",
            "Share a concise interpretation of the image provided.",
            "Give a short and clear explanation of the image.",
        ],
        min_length=1,
        description="user turns for rows that are a bare caption; each row's is chosen by a hash of its id",
    )
    license: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9.\-]*$",
        description="the data's licence for the dataset's card, as the Hugging Face Hub names it, such as cc-by-4.0",
    )
