"""Which rows of which dataset a mixture takes, and how often."""

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from syntune.data.dataset_lineage import open_lineage
from syntune.data.mixing import mix_rows, take_rows, wanted_rows
from syntune.data.row_table import Place, RowTable
from syntune.data.scratch import scratch_database
from syntune.errors import UserError
from syntune.settings.datasets import DatasetSettings, MixSettings
from syntune.settings.reading import read_settings


@pytest.fixture
def database(tmp_path):
    """An empty database."""
    with scratch_database(tmp_path) as database:
        yield database


@pytest.fixture
def mixed(ingested, tmp_path):
    """Mix a seed of 40 rows into itself, as ``raw``; returns the mixture."""

    def mix(rows=40, limit=None, **amount):
        manifest = ingested(rows)
        settings = DatasetSettings(seed="s", limit=limit, mix={"raw": amount})
        with open_lineage(Path("lineage.parquet")) as story, scratch_database(tmp_path) as database:
            mixture = mix_rows(settings, manifest, {"raw": manifest}, story, database)
            mixture = mixture._replace(places=list(mixture.places))
        assert mixture.rows_in + mixture.added == len(mixture.places) + story.dropped.total()
        events = Counter(row["event"] for row in pq.read_table("lineage.parquet").to_pylist())
        assert events == +Counter(dropped=story.dropped.total(), added=mixture.added)
        assert len({place.id for place in mixture.places}) == len(mixture.places)
        return mixture

    return mix


def raw_rows(mixture):
    """How often each row of ``raw`` is in the mixture."""
    ids = [place.id.removeprefix("raw/").split("#")[0] for place in mixture.places if place.id.startswith("raw/")]
    return Counter(ids)


def test_a_share_is_one_of_the_whole(mixed):
    mixture = mixed(share=0.2)
    assert (sum(raw_rows(mixture).values()), len(mixture.places)) == (10, 50)


def test_a_weight_is_one_of_the_own_rows(mixed):
    assert sum(raw_rows(mixed(limit=20, weight=1.5)).values()) == 30


def test_a_cap_bounds_a_weight(mixed):
    assert sum(raw_rows(mixed(limit=20, weight=1.5, cap=12)).values()) == 12


def test_rows_stand_twice_only_after_all_have_been_taken(mixed):
    mixture = mixed(rows=10, repeat=3, cap=25)
    assert sorted(raw_rows(mixture).values()) == [2] * 5 + [3] * 5
    assert mixture.added == 15
    assert mixture.sources["mix.raw"] == {"available": 10, "wanted": 25, "taken": 25, "repeated": 15}
    assert {"raw/r1", "raw/r1#repeat-1"} < {place.id for place in mixture.places}


def test_a_higher_number_keeps_the_same_rows(mixed):
    few, many = ({place.id for place in mixed(cap=cap).places} for cap in (5, 25))
    assert few < many


def test_what_cannot_be_had_is_counted(mixed, caplog):
    mixture = mixed(rows=10, repeat=2, share=0.9)
    assert mixture.sources["mix.raw"] == {"available": 10, "wanted": 90, "taken": 20, "repeated": 10}
    assert "mix.raw: 90 rows are wanted and 20 taken" in caplog.text


def test_shares_beside_numbers():
    mix = {"a": MixSettings(share=0.5), "b": MixSettings(share=0.25), "c": MixSettings(rows=50)}
    assert wanted_rows(50, {"a": 999, "b": 999, "c": 999}, mix) == {"a": 200, "b": 100, "c": 50}


def test_a_row_whose_id_is_taken_gets_another(work, database):
    own = RowTable(database, "own", [Place("", "raw/r1", "raw/r1", Path("a"), 0)])
    raw = RowTable(database, "raw", [Place("", "r1", "r1", Path("b"), 0)])
    places = RowTable(database, "places")
    with open_lineage(Path("lineage.parquet")) as story:
        take_rows(own, 1, places, story)
        take_rows(raw, 1, places, story, "raw/")
    assert {place.id for place in places} == {"raw/r1", "raw/r1#repeat-1"}
    assert not pq.read_table("lineage.parquet").num_rows


def test_repeats_of_rows_that_are_repeats_have_ids_of_their_own(work, database):
    rows = [Place(str(index), name, "s", Path("rows"), index) for index, name in enumerate(["a", "a#repeat-1"])]
    places = RowTable(database, "places")
    with open_lineage(Path("lineage.parquet")) as story:
        take_rows(RowTable(database, "rows", rows), 6, places, story)
    assert len({place.id for place in places}) == 6


@pytest.mark.parametrize(
    ("mix", "line"),
    [
        ({"raw": 0}, "d: mix.raw: Input should be greater than or equal to 1"),
        ({"raw": {"rows": 3, "share": 0.5}}, "d: mix.raw: rows and share both say how much; keep one"),
        ({"raw": {"shares": 0.5}}, "d: mix.raw.shares: unknown key; did you mean 'share'?"),
        ({"a": {"share": 0.5}, "b": {"share": 0.5}}, "d: mix: shares add up to 1; below 1"),
    ],
)
def test_a_mix_that_makes_no_sense(mix, line):
    with pytest.raises(UserError) as caught:
        read_settings({"seed": "s", "mix": mix}, DatasetSettings, "d")
    assert line in str(caught.value)


def test_a_number_and_null_are_short_forms():
    mix = DatasetSettings(seed="s", mix={"some": 5, "all": None}).mix
    assert mix == {"some": MixSettings(rows=5), "all": MixSettings()}
