"""No two rows of a seed share an id, however many there are."""

from syntune.data.faults import REPEATED_ID
from syntune.data.formats.records import Record
from syntune.data.ids import Ids


def take(ids, *own):
    return [ids.take(Record(f"line {line}", one, [], "text"), []) for line, one in enumerate(own, start=1)]


def test_a_repeated_id_is_a_fault_that_names_the_first(tmp_path):
    with Ids("refuse", tmp_path) as ids:
        one, _, again = take(ids, "a", "b", "a")
    assert one == "a"
    assert (again.where, again.reason, again.message) == ("line 3", REPEATED_ID, "id a was used before (line 1)")


def test_numbers_pass_over_those_that_records_have(tmp_path):
    with Ids("number", tmp_path) as ids:
        assert take(ids, "a", "a-2", "a", "a", "a-3") == ["a", "a-2", "a-3", "a-4", "a-3-2"]


def test_records_of_one_content_without_ids_are_numbered(tmp_path):
    with Ids("refuse", tmp_path) as ids:
        first, second = take(ids, None, None)
    assert second == f"{first}-2"


def test_one_id_many_times_takes_no_longer_each_time(tmp_path):
    with Ids("number", tmp_path) as ids:
        assert take(ids, *["x"] * 20_000)[-1] == "x-20000"


def test_ids_are_told_apart_to_the_letter(tmp_path):
    own = ["a", "A", "a ", "ä", "a\0", "a\0b", "1", "01"]
    with Ids("refuse", tmp_path) as ids:
        assert take(ids, *own) == own


def test_the_table_is_gone_in_the_end(tmp_path):
    with Ids("refuse", tmp_path) as ids:
        take(ids, "a")
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
