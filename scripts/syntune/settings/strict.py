"""The base of all settings: no unknown keys, no changes after reading."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

LONGEST_NAME = 64
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=LONGEST_NAME)]
"""The name of a seed, dataset, model, run or benchmark: it becomes a file name."""


def is_unset(value: Any) -> bool:
    """For ``exclude_if`` of a later key: while it is not set, params and fingerprints are as if there were none."""
    return value is None


class Strict(BaseModel):
    """Settings that refuse unknown keys and are never modified."""

    model_config = ConfigDict(extra="forbid", frozen=True)
