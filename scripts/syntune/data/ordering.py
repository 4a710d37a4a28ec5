"""Orders and choices that look random and are the same on every machine."""

from typing import Any

from syntune.files import sha256_bytes


def key_hash(*key: Any) -> str:
    """The hex SHA-256 of ``key``, its parts joined by slashes: to sort by, or to choose with."""
    return sha256_bytes("/".join(map(str, key)).encode())
