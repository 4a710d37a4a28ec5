import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntune.errors import UserError
from syntune.training.batching import Batches, StepPlan, deal, plan_steps


@st.composite
def plans(draw):
    rows = draw(st.integers(1, 60))
    lengths = draw(st.lists(st.integers(1, 2048), min_size=rows, max_size=rows))
    images = draw(st.lists(st.integers(0, 2), min_size=rows, max_size=rows))
    ranks, micro_batches = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    batch = draw(st.integers(ranks * micro_batches, 40))
    return StepPlan(np.array(lengths), np.array(images), batch, ranks, micro_batches, draw(st.integers(0, 2**31)))


@given(plans(), st.integers(0, 50))
def test_a_step_has_its_rows_and_each_micro_batch_its_share(plan, step):
    micro_batches = plan.micro_batches_of(step)
    assert [len(ranks) for ranks in micro_batches] == [plan.ranks] * plan.micro_batches
    bins = [rows for ranks in micro_batches for rows in ranks]
    assert sorted(np.concatenate(bins)) == sorted(plan.rows(step))
    assert len(plan.rows(step)) == plan.global_batch_size
    for images in np.unique(plan.images[plan.rows(step)]):
        shares = [int((plan.images[rows] == images).sum()) for rows in bins]
        assert max(shares) - min(shares) <= 1


@given(plans(), st.integers(0, 50))
def test_a_step_can_be_made_again_alone(plan, step):
    again = StepPlan(
        plan.lengths, plan.images, plan.global_batch_size, plan.ranks, plan.micro_batches, plan.random_seed
    )
    first, second = plan.micro_batches_of(step), again.micro_batches_of(step)
    assert [rows.tolist() for ranks in first for rows in ranks] == [rows.tolist() for ranks in second for rows in ranks]


@given(plans())
def test_every_pass_takes_every_row_once(plan):
    steps = -(-2 * len(plan.lengths) // plan.global_batch_size)
    stream = np.concatenate([plan.rows(step) for step in range(steps)])
    for start in (0, len(plan.lengths)):
        assert sorted(stream[start : start + len(plan.lengths)]) == list(range(len(plan.lengths)))


@given(st.lists(st.integers(1, 2048), min_size=1, max_size=80), st.integers(1, 12))
def test_loads_differ_by_the_longest_row_at_most(lengths, bins):
    lengths, loads = np.array(sorted(lengths, reverse=True)), np.zeros(bins, dtype=np.int64)
    dealt = deal(lengths, loads)
    assert loads.tolist() == [lengths[dealt == which].sum() for which in range(bins)]
    assert loads.max() - loads.min() <= lengths.max()


@given(plans())
@settings(max_examples=30)
def test_the_ranks_take_a_step_apart_between_them(plan):
    taken = [list(Batches(plan, rank, 3)) for rank in range(plan.ranks)]
    for rank in range(plan.ranks):
        assert len(taken[rank]) == len(Batches(plan, rank, 3))
        assert taken[rank] == [m[rank].tolist() for step in range(3) for m in plan.micro_batches_of(step)]


def test_the_fewest_micro_batches_within_the_budget():
    lengths = 576 + np.random.default_rng(0).integers(24, 900, 600)
    plan, steps = plan_steps(lengths, np.ones(600), global_batch_size=128, tokens_per_micro_batch=8192, epochs=1)
    assert steps == 4
    assert plan.longest_micro_batch(steps) <= 8192
    fewer = StepPlan(plan.lengths, plan.images, 128, 1, plan.micro_batches - 1, 0)
    assert fewer.longest_micro_batch(steps) > 8192


def test_the_heaviest_step_has_the_longest_micro_batch_again_and_again():
    lengths = np.array([10] * 12 + [50] + [10] * 11)
    plan = StepPlan(lengths, np.ones(24, int), 4, 1, 2, 0)
    heaviest = plan.heaviest(6)
    assert heaviest.only == next(step for step in range(6) if 12 in plan.rows(step)) != 0
    assert heaviest.rows(0).tolist() == heaviest.rows(3).tolist() == plan.rows(heaviest.only).tolist()
    assert heaviest.longest_micro_batch(1) == plan.longest_micro_batch(6) == 60


def test_the_heaviest_step_counts_padding_where_rows_are_padded():
    lengths = np.array([30] * 12 + [50] + [10] * 11)
    plan = StepPlan(lengths, np.ones(24, int), 8, 1, 2, 0)
    padded = [
        max(lengths[rows].max() * len(rows) for ranks in plan.micro_batches_of(step) for rows in ranks)
        for step in range(3)
    ]
    assert plan.heaviest(3, padded=True).only == np.argmax(padded) != plan.heaviest(3).only


def test_micro_batches_of_a_real_mix_are_balanced_within_six_percent():
    lengths = 576 + np.random.default_rng(0).lognormal(4.84, 0.6, 1280).clip(24, 900).astype(int)
    plan = StepPlan(lengths, np.ones(1280, int), 128, 2, 6)
    for step in range(10):
        loads = [lengths[rows].sum() for ranks in plan.micro_batches_of(step) for rows in ranks]
        assert max(loads) / np.mean(loads) < 1.06  # 128 rows in 12 bins: some have 10, some 11


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lengths": [10, 5000], "images": [0, 0]}, "5000 tokens"),
        ({"global_batch_size": 64}, "do not fill one step of 64"),
        ({"ranks": 8}, "cannot be shared by 8 GPUs"),
        ({"lengths": [], "images": []}, "no rows"),
    ],
)
def test_numbers_that_cannot_be_met_are_refused(change, says):
    sizes = {"lengths": [10] * 8, "images": [0] * 8, "global_batch_size": 4, "tokens_per_micro_batch": 64}
    with pytest.raises(UserError, match=says):
        plan_steps(**{**sizes, **change})
