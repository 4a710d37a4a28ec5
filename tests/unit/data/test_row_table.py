"""Places of rows come back whole and in their order."""

from pathlib import Path

import pytest

from syntune.data.row_table import Place, RowTable
from syntune.data.scratch import scratch_database

PLACES = [
    Place(f"{number * 7 % 20:02}", f"r{number}", f"s{number}", Path(f"{number % 3}.jsonl"), 10 * number)
    for number in range(20)
]


@pytest.fixture
def table(tmp_path):
    with scratch_database(tmp_path) as database:
        yield RowTable(database, "mix.some-dataset", PLACES)


def test_in_their_order(table):
    assert list(table) == sorted(PLACES) and len(table) == 20


def test_a_stretch(table):
    assert list(table.read(3, 7)) == sorted(PLACES)[3:7]
    assert list(table.read(18)) == sorted(PLACES)[18:]
    assert list(table.read(5, 5)) == []


def test_those_of_one_order_by_their_ids(table):
    table.add(Place("00", "a", "s", Path("0.jsonl"), 0))
    assert [place.id for place in table.read(0, 2)] == ["a", "r0"]


def test_whether_a_row_is_there(table):
    assert table.holds("07", "r1") and not table.holds("07", "r2")
