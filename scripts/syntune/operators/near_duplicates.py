"""What the operators that remove near-duplicates share: groups, the order of preference, and the pairs."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from syntune.files import sha256_bytes
from syntune.matching.first_near import Things, first_near

BEST = "__dj__best"
"""The column of the statistic that decides which of several near-duplicates stays."""

_GROUP_BYTES = 8


class NearPair(NamedTuple):
    """A row that goes, and the one that stays for it."""

    kept_id: str
    dropped_id: str
    distance: float


def group_of(*parts: str) -> bytes:
    """Eight bytes that are the same for equal parts: what a column of hashes begins with."""
    return bytes.fromhex(sha256_bytes("\0".join(parts).encode())[: 2 * _GROUP_BYTES]) if parts else bytes(_GROUP_BYTES)


def statistic(sample: dict[str, Any], name: str) -> float:
    """A row's statistic; of one value for each image, the mean.

    Raises:
        ValueError: the row has no such statistic.
    """
    value = (sample.get("__dj__stats__") or {}).get(name)
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(number, int | float) for number in values):
        raise ValueError(f"keep_best: a row has no {name}; put the filter that computes it before this")
    return float(np.mean(values))


def without_near(
    ids: Iterable[str],
    hashes: Iterable[bytes],
    best: Iterable[float] | None,
    things_of: Callable[[np.ndarray, np.ndarray], Things],
) -> tuple[list[int], list[NearPair]]:
    """Choose the rows that stay.

    Args:
        ids: the rows' ids, in order.
        hashes: of each row its group's eight bytes and what is compared, or no more where there is nothing to compare:
            such a row stays. Only rows of equal length and group are compared.
        best: the highest comes first; None takes the rows in their order, as it does between equals.
        things_of: makes what can be compared of the bytes, uint8 of (rows, bytes), and groups, uint64.

    Returns:
        the indices of the rows that stay, ascending, and a pair for each other row, in their order.
    """
    ids, hashes = list(ids), list(hashes)
    places = np.arange(len(ids)) if best is None else np.argsort(-np.fromiter(best, float, len(ids)), kind="stable")
    lengths = np.fromiter(map(len, hashes), np.int64, len(hashes))[places]
    first, distances = np.arange(len(ids)), np.zeros(len(ids))
    for length in np.unique(lengths[lengths > _GROUP_BYTES]):
        own = places[lengths == length]
        packed = np.frombuffer(b"".join(hashes[place] for place in own), np.uint8).reshape(-1, length)
        groups = np.ascontiguousarray(packed[:, :_GROUP_BYTES]).view(np.uint64).ravel()
        things = things_of(np.ascontiguousarray(packed[:, _GROUP_BYTES:]), groups)
        found = first_near(things)
        gone = np.flatnonzero(found != np.arange(len(found)))
        first[own] = own[found]
        distances[own[gone]] = things.distances(found[gone], gone)
    stay = first == np.arange(len(first))
    pairs = [NearPair(ids[first[place]], ids[place], float(distances[place])) for place in np.flatnonzero(~stay)]
    return np.flatnonzero(stay).tolist(), pairs
