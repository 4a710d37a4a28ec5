"""Settings of a dataset: a seed, the Data-Juicer recipe that synthesises from it, and what is mixed in."""

from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from syntune.settings.pixels import AS_VIEWERS, Orientation, PixelSettings, Transparency
from syntune.settings.strict import Name, Strict, is_unset


class MixSettings(Strict):
    """How much of another dataset is mixed in: one of ``rows``, ``share`` and ``weight``; without one, all of it."""

    rows: int | None = Field(default=None, ge=1, description="rows to take, repeats among them")
    share: float | None = Field(
        default=None, gt=0, lt=1, description="share of the finished dataset's rows that come from this one"
    )
    weight: float | None = Field(default=None, gt=0, description="rows to take for each row of the dataset's own")
    repeat: int = Field(
        default=1,
        ge=1,
        description="how often a row may stand in the dataset; no row stands twice before all have been taken",
    )
    cap: int | None = Field(default=None, ge=1, description="take no more rows than this, whatever share or weight say")

    @model_validator(mode="after")
    def _one_amount(self) -> "MixSettings":
        """The amount is said once."""
        said = [key for key in ("rows", "share", "weight") if getattr(self, key) is not None]
        if len(said) > 1:
            raise ValueError(f"{said[0]} and {said[1]} both say how much; keep one")
        return self


def _spelled_out(mix: Any) -> Any:
    """A mix given as a plain number of rows, or as null for all of them."""
    if isinstance(mix, int) and mix < 1:
        raise ValueError("Input should be greater than or equal to 1")
    return {"rows": mix} if isinstance(mix, int) else {} if mix is None else mix


Mix = Annotated[MixSettings, BeforeValidator(_spelled_out, json_schema_input_type=int | MixSettings | None)]


def _amount(value: Any) -> Any:
    """A number of rows as it is, a share or a percentage as a share."""
    share = value
    if isinstance(value, str) and value.endswith("%"):
        with suppress(ValueError):
            share = float(value[:-1]) / 100
    is_rows = isinstance(share, int) and not isinstance(share, bool) and share >= 1
    if share is None or is_rows or (isinstance(share, float) and 0 < share < 1):
        return share
    raise ValueError(f"{value!r} is neither a number of rows, such as 200, nor a share, such as 0.1 or 10%")


Amount = Annotated[int | float | None, BeforeValidator(_amount, json_schema_input_type=int | float | str | None)]


class DatasetSettings(Strict):
    """One training dataset: sharded Parquet with the images inside."""

    seed: Name = Field(description="the seed that it is made from")
    recipe: str | None = Field(
        default=None,
        description="Data-Juicer recipe (YAML) that filters, deduplicates and synthesises; null keeps the "
        "seed as it is",
    )
    executor: Literal["default", "ray"] = Field(
        default="default",
        description="how a recipe's mappers and filters are called: within each chunk's job, or through Data-Juicer's "
        "datasets on Ray (a cluster's where RAY_ADDRESS names one, else this machine's); the rows are the same",
    )
    orientation: Orientation = Field(
        default=AS_VIEWERS.orientation,
        exclude_if=AS_VIEWERS.orientation.__eq__,
        description="how a recipe's operators that run a model see images with an orientation tag, as for runs: set it "
        "as the runs that train on the dataset have it",
    )
    transparency: Transparency = Field(
        default=AS_VIEWERS.transparency,
        exclude_if=AS_VIEWERS.transparency.__eq__,
        description="the same for images with transparent pixels",
    )
    mix: dict[Name, Mix] = Field(
        default_factory=dict,
        description="other datasets whose rows are mixed in: a number of rows (chosen by a hash of the row id), null "
        "for all, or keys that say how much and how often",
    )
    limit: int | None = Field(
        default=None, ge=1, description="keep this many rows, chosen by a hash of the row id; null keeps all"
    )
    holdout: Amount = Field(
        default=None,
        exclude_if=is_unset,
        description="take rows out before training, for validation and benchmarks of one's own: a number, or a share "
        "of the dataset's own rows (0.1 or 10%). They are chosen by a hash of the image file, text alone by its seed "
        "row's id; no dataset of the config keeps a row about the same image file or of the same seed row",
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

    def pixels(self) -> PixelSettings:
        """How a recipe's model operators see images."""
        return PixelSettings(orientation=self.orientation, transparency=self.transparency)

    @model_validator(mode="after")
    def _room_for_own_rows(self) -> "DatasetSettings":
        """Shares leave something to the rows that are no share."""
        shares = sum(one.share or 0 for one in self.mix.values())
        if shares >= 1:
            raise ValueError(f"mix: shares add up to {shares:g}; below 1, the dataset's own rows have room")
        return self
