"""The base of the schemas of what stages leave for each other: no unknown keys, no changes after reading."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """A JSON object of an artifact. Its writer builds it, its readers validate it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def as_written(self) -> dict[str, Any]:
        """The object for ``json``, keys in the order of the fields; fields that were never set are left out."""
        return self.model_dump(exclude_unset=True)
