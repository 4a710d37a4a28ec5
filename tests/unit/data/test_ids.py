"""No two rows of a seed share an id, however many there are."""

import pytest

from syntune.data.faults import REPEATED_ID
from syntune.data.formats.records import Record
from syntune.data.ids import Ids
from syntune.data.scratch import scratch_database


@pytest.fixture
def take(tmp_path):
    """Give records their ids, by the setting ``repeated_ids``."""
    with scratch_database(tmp_path) as database:

        def take(repeated, *own):
            ids = Ids(repeated, database)
            records = [Record(f"line {line}", one, [], "text") for line, one in enumerate(own, start=1)]
            return [ids.take(record, []) for record in records]

        yield take
    assert not list(tmp_path.iterdir())


def test_a_repeated_id_is_a_fault_that_names_the_first(take):
    one, _, again = take("refuse", "a", "b", "a")
    assert one == "a"
    assert (again.where, again.reason, again.message) == ("line 3", REPEATED_ID, "id a was used before (line 1)")


def test_numbers_pass_over_those_that_records_have(take):
    assert take("number", "a", "a-2", "a", "a", "a-3") == ["a", "a-2", "a-3", "a-4", "a-3-2"]


def test_records_of_one_content_without_ids_are_numbered(take):
    first, second = take("refuse", None, None)
    assert second == f"{first}-2"


def test_one_id_many_times_takes_no_longer_each_time(take):
    assert take("number", *["x"] * 20_000)[-1] == "x-20000"


def test_ids_are_told_apart_to_the_letter(take):
    own = ["a", "A", "a ", "ä", "a\0", "a\0b", "1", "01", ""]
    assert take("refuse", *own) == own
