"""The base of all settings: no unknown keys, no changes after reading."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
"""The name of a seed, dataset, model, run or benchmark: it becomes a file name."""


class Strict(BaseModel):
    """Settings that refuse unknown keys and are never modified."""

    model_config = ConfigDict(extra="forbid", frozen=True)
