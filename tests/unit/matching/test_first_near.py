"""The fast search decides as comparing with each kept one does."""

import random

import numpy as np
import pytest

from syntune.matching import first_near as module
from syntune.matching.bit_strings import BitStrings
from syntune.matching.first_near import first_near
from syntune.matching.signatures import Signatures, signature

GROUPS = [None, 3]


def by_hand(things):
    """The first kept one near each, one after the other."""
    kept, first = [], []
    for place in range(len(things)):
        near = [one for one in kept if things.distances(np.array([one]), np.array([place]))[0] <= things.limit]
        first.append(near[0] if near else place)
        if not near:
            kept.append(place)
    return first


def strings(count, bits, seed):
    """Random strings, copies of some with bits flipped, and a cloud where all are near to each other."""
    rng = np.random.default_rng(seed)
    packed = rng.integers(0, 256, (count, bits // 8), dtype=np.uint8)
    packed[: count // 4] = packed[0]
    for place in range(count // 2):
        source = rng.integers(0, count)
        packed[place if place < count // 4 else count - 1 - place] = packed[source]
        for bit in rng.integers(0, bits, rng.integers(0, 12)):
            packed[place if place < count // 4 else count - 1 - place, bit // 8] ^= 1 << (bit % 8)
    return packed


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize(("bits", "limit"), [(288, 24), (288, 40), (64, 0), (64, 1), (64, 9), (32, 5)])
@pytest.mark.parametrize("most", [2**20, 10], ids=["at once", "halved"])
def test_bit_strings(monkeypatch, bits, limit, groups, most):
    monkeypatch.setattr(module, "_MORE_PAIRS", most)
    monkeypatch.setattr(module, "_PAIRS_PER_THING", 0)
    monkeypatch.setattr(module, "_PAIRS_AT_ONCE", 50)
    packed = strings(120, bits, seed=limit)
    numbers = None if groups is None else np.arange(120, dtype=np.uint64) % groups * np.uint64(2**40 + 1)
    things = BitStrings(packed, limit, numbers)
    assert first_near(things).tolist() == by_hand(things)


@pytest.mark.parametrize("groups", GROUPS)
def test_signatures(groups):
    rng = random.Random(0)
    texts = [" ".join(rng.choices("abcdefghijklmnop", k=30)) for _ in range(40)]
    for text in texts[:20]:
        words = text.split()
        words[rng.randrange(30)] = "other"
        texts.append(" ".join(words))
    rng.shuffle(texts)
    packed = np.frombuffer(b"".join(signature(text, 1) for text in texts), np.uint8).reshape(len(texts), -1)
    numbers = None if groups is None else np.arange(len(texts), dtype=np.uint64) % groups
    things = Signatures(packed, 0.2, numbers)
    assert first_near(things).tolist() == by_hand(things)
    assert len(set(by_hand(things))) < len(texts)


def test_nothing_is_nothing():
    assert first_near(BitStrings(np.empty((0, 36), np.uint8), 24)).tolist() == []
