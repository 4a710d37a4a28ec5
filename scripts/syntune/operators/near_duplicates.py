"""What the operators that remove near-duplicates share: groups, the order of preference, and the pairs."""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from data_juicer.ops.base_op import Deduplicator

from syntune.files import sha256_bytes
from syntune.matching.first_near import Things, first_near

HASH, BEST = "__dj__nearhash", "__dj__best"
"""The columns of what is compared, and of the statistic that decides which of several near-duplicates stays."""

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
    """A row's statistic; of one value for each image the mean, and without images what is worse than any.

    Raises:
        ValueError: the row has no such statistic.
    """
    value = (sample.get("__dj__stats__") or {}).get(name)
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(number, int | float) for number in values):
        raise ValueError(f"keep_best: a row has no {name}; put the filter that computes it before this")
    return float(np.mean(values)) if values else -np.inf


class NearDeduplicator(Deduplicator):
    """Keeps one of the rows that are near to each other; a kind of it says what is compared, and when that is near.

    Attributes:
        max_distance: of two rows that are near.
        keep_best: the statistic whose highest value stays; None keeps the first.
        pairs: after ``process``, each row that went, the one that stayed for it, and their distance.
    """

    max_distance: float
    keep_best: str | None
    pairs: list[NearPair]

    @property
    def limit(self) -> str:
        """What the distance was compared with."""
        return f"<= {self.max_distance:g}"

    def compared(self, sample: dict[str, Any]) -> bytes:
        """What is compared of a row: the bytes of its group, then others, as many in rows that may be near."""
        raise NotImplementedError

    def things(self, packed: np.ndarray, groups: np.ndarray) -> Things:
        """Bytes of rows, uint8 of (rows, bytes), and groups, uint64, as things that have distances."""
        raise NotImplementedError

    def compute_hash(self, sample: dict[str, Any], context: bool = False) -> dict[str, Any]:
        """Add what is compared of the row and, if it counts, its statistic."""
        sample[HASH] = self.compared(sample)
        if self.keep_best:
            sample[BEST] = statistic(sample, self.keep_best)
        return sample

    def process(self, dataset: Any, show_num: int = 0) -> tuple[Any, dict]:
        """Select the rows that stay; of the dataset, ``id`` and what ``compute_hash`` added are read."""
        best = dataset[BEST] if self.keep_best else None
        kept, self.pairs = without_near(dataset["id"], dataset[HASH], best, self.things)
        return dataset.select(kept), {}


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
    ids = list(ids)
    order = np.arange(len(ids)) if best is None else np.argsort(-np.fromiter(best, float, len(ids)), kind="stable")
    rank = np.empty(len(ids), np.int64)
    rank[order] = np.arange(len(ids))
    first, distances = np.arange(len(ids)), np.zeros(len(ids))
    for packed, places in _by_length(hashes):
        by_rank = np.argsort(rank[places])
        places, packed = places[by_rank], packed if best is None else packed[by_rank]
        groups = np.ascontiguousarray(packed[:, :_GROUP_BYTES]).view(np.uint64).ravel()
        things = things_of(packed[:, _GROUP_BYTES:], groups)
        found = first_near(things)
        gone = np.flatnonzero(found != np.arange(len(found)))
        first[places] = places[found]
        distances[places[gone]] = things.distances(found[gone], gone)
    stay = first == np.arange(len(first))
    pairs = [NearPair(ids[first[place]], ids[place], float(distances[place])) for place in np.flatnonzero(~stay)]
    return np.flatnonzero(stay).tolist(), pairs


def _by_length(hashes: Iterable[bytes]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The hashes of each length beyond the group's, uint8 of (rows, bytes), and the rows' places."""
    contents: dict[int, bytearray] = defaultdict(bytearray)
    places: dict[int, array] = defaultdict(lambda: array("q"))
    for place, content in enumerate(hashes):
        if len(content) > _GROUP_BYTES:
            contents[len(content)] += content
            places[len(content)].append(place)
    for length in sorted(contents):
        yield np.frombuffer(contents.pop(length), np.uint8).reshape(-1, length), np.array(places.pop(length))
