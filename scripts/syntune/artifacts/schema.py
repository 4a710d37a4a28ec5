"""The base of the schemas of what stages leave for each other: no unknown keys, no changes after reading."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from syntune.files import canonical_json, sha256_bytes

SEAL = "seal"
"""The key of an artifact's seal."""


class Schema(BaseModel):
    """A JSON object of an artifact. Its writer builds it, its readers validate it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def as_written(self) -> dict[str, Any]:
        """The object for ``json``, keys in the order of the fields; fields that were never set are left out."""
        return self.model_dump(exclude_unset=True)


class Artifact(Schema):
    """A whole JSON file, or a line of one: it carries a hash of what it says, so that a changed byte is refused.

    One that was made elsewhere may have no seal.
    """

    def as_written(self) -> dict[str, Any]:
        """The object with its seal."""
        return sealed(super().as_written())

    @model_validator(mode="before")
    @classmethod
    def _unsealed(cls, value: Any) -> Any:
        """The object without its seal, which must be its own."""
        if not isinstance(value, dict) or SEAL not in value:
            return value
        if sealed(value)[SEAL] != value[SEAL]:
            raise ValueError("damaged: it does not say what was written")
        return {key: part for key, part in value.items() if key != SEAL}


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """``content`` with its seal: 32 hexadecimal digits of SHA-256 over what a reader of the rest of its JSON gets."""
    read = json.loads(json.dumps(content, ensure_ascii=False))
    read.pop(SEAL, None)
    return content | {SEAL: sha256_bytes(canonical_json(read).encode("utf-8", "surrogatepass"))[:32]}
