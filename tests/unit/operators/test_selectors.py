"""Selectors keep what is best, keep clusters' shares, and repeat up to a budget."""

from collections import Counter

import numpy as np
import pytest

THINGS = {
    "dog": "a dog plays with its ball in the park",
    "car": "a red sports car drives on the highway",
    "cake": "a chocolate cake with cream on a plate",
}


@pytest.fixture
def select(registered):
    """Apply a selector to texts; their position is the statistic ``score``. Returns the texts that are left."""
    from data_juicer.core.data import NestedDataset
    from data_juicer.ops.base_op import OPERATORS

    def select(name, texts, **parameters):
        operator = OPERATORS.modules[name](**parameters)
        rows = [
            {"id": f"r{index}", "text": text, "__dj__stats__": {"score": index / 10, "per_image": [index / 10]}}
            for index, text in enumerate(texts)
        ]
        compute = getattr(operator, "compute_hash", dict)
        return operator.process(NestedDataset.from_list([compute(row) for row in rows]))["text"]

    return select


def texts_about(**numbers):
    """So many captions about each thing, one after the other, all different."""
    return [f"<__dj__image>\n{THINGS[thing]} {chr(97 + n)}" for thing, number in numbers.items() for n in range(number)]


def things(texts):
    """How many texts are about which thing."""
    return Counter(next(thing for thing in THINGS if f" {thing} " in text) for text in texts)


def test_shares_of_clusters_are_kept(select):
    texts = texts_about(dog=40, car=20, cake=10)
    kept = select("cluster_balanced_selector", texts, rows=14, clusters=3)
    assert things(kept) == {"dog": 8, "car": 4, "cake": 2}
    assert kept == select("cluster_balanced_selector", texts, share=0.2, clusters=3)


def test_clusters_give_as_many(select):
    texts = texts_about(dog=40, car=20, cake=4)
    kept = select("cluster_balanced_selector", texts, rows=24, clusters=3, balance="uniform")
    assert things(kept) == {"dog": 10, "car": 10, "cake": 4}


@pytest.mark.parametrize("stat", ["score", "per_image"])
def test_the_best_of_a_cluster_are_kept(select, stat):
    texts = texts_about(dog=10, car=10)
    kept = select("cluster_balanced_selector", texts, rows=4, clusters=2, field_key=f"__dj__stats__.{stat}")
    assert kept == [*texts[8:10], *texts[18:20]]


def test_few_rows_all_stay(select):
    texts = texts_about(dog=3)
    assert select("cluster_balanced_selector", texts, rows=5) == texts
    assert len(select("cluster_balanced_selector", texts, rows=2)) == 2


def test_shares_add_up():
    from syntune.operators.cluster_balanced_selector import kept_share, uniform_share

    sizes = np.array([7, 1, 0, 12, 3])
    for number in range(1, 24):
        for shared in (kept_share(sizes, number), uniform_share(sizes, number)):
            assert shared.sum() == number
            assert (shared <= sizes).all()


def test_the_best_are_repeated_first(select):
    texts = ["worst", "middle", "best"]
    assert select("repeat_to_budget_selector", texts, rows=2, field_key="__dj__stats__.score") == ["middle", "best"]
    assert select("repeat_to_budget_selector", texts, rows=5, field_key="__dj__stats__.score") == [
        *("worst", "middle", "middle", "best", "best")
    ]


def test_repeats_have_a_cap(select):
    assert Counter(select("repeat_to_budget_selector", ["a", "b"], rows=100, max_repeats=3.76)).total() == 7


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("cluster_balanced_selector", {}, "say either rows or share"),
        ("cluster_balanced_selector", {"share": 1.5}, "share: 1.5 is not above 0 and at most 1"),
        ("cluster_balanced_selector", {"rows": 5, "balance": "even"}, "balance: 'even' is not one of kept, uniform"),
        ("repeat_to_budget_selector", {"rows": 0}, "rows: 0 is not 1 or more"),
        ("repeat_to_budget_selector", {"rows": 5, "max_repeats": 0.5}, "max_repeats: 0.5 is not 1 or more"),
    ],
)
def test_wrong_parameters_are_named(select, name, parameters, message):
    with pytest.raises(ValueError, match=message):
        select(name, ["a"], **parameters)


def test_a_missing_statistic_is_named(select):
    with pytest.raises(ValueError, match="field_key: row r0 has no __dj__stats__.blip; put the filter"):
        select("repeat_to_budget_selector", ["a", "b"], rows=3, field_key="__dj__stats__.blip")


def test_rows_that_have_nothing_to_score_come_last(registered):
    from data_juicer.core.data import NestedDataset

    from syntune.operators.ranking import best_first

    stats = [{"score": []}, {"score": [0.1]}, {"score": [0.3, 0.5]}]
    rows = NestedDataset.from_list([{"id": str(index), "__dj__stats__": row} for index, row in enumerate(stats)])
    assert best_first(rows, "__dj__stats__.score") == [2, 1, 0]
