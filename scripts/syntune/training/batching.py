"""Which rows an optimizer step takes, and which micro-batch of which rank gets each: balanced, and the same everywhere.

The plan depends on the rows' lengths, the random seed and the numbers given, never on workers, cores or the time: any
step can be made again alone, which is what resuming needs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from syntune.errors import UserError
from syntune.settings.steps import whole_steps
from syntune.training.job import Job


@dataclass(frozen=True)
class StepPlan:
    """The plan of a run's optimizer steps.

    The rows are shuffled anew for every pass over the dataset and taken ``global_batch_size`` at a time, across the
    border of two passes, so that every step has exactly that many and no row is left out more than others.

    Attributes:
        lengths: tokens of each row, image tokens included.
        images: images of each row.
        global_batch_size: rows per optimizer step.
        ranks: processes that share a step.
        micro_batches: micro-batches per rank and step.
        random_seed: of the row order.
        only: a step whose rows every step takes; None gives each its own.
    """

    lengths: np.ndarray
    images: np.ndarray
    global_batch_size: int
    ranks: int = 1
    micro_batches: int = 1
    random_seed: int = 0
    only: int | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be met.

        Raises:
            UserError: some micro-batch would be without a row.
        """
        if not len(self.lengths):
            raise UserError("the dataset has no rows to train on")
        if self.global_batch_size < self.bins:
            raise UserError(
                f"global_batch_size: {self.global_batch_size} rows cannot be shared by {self.ranks} GPUs with "
                f"{self.micro_batches} micro-batches each; raise it to {self.bins} or more"
            )

    @property
    def bins(self) -> int:
        """Micro-batches of a step, over all ranks."""
        return self.ranks * self.micro_batches

    def steps(self, epochs: float) -> int:
        """Whole steps in so many passes over the dataset, as :func:`whole_steps`."""
        return whole_steps(len(self.lengths), epochs, self.global_batch_size)

    def taken(self, steps: int) -> int:
        """How many of the dataset's rows the first ``steps`` steps take, those that they take again counted once."""
        return min(len(self.lengths), self.global_batch_size * (steps if self.only is None else 1))

    def rows(self, step: int) -> np.ndarray:
        """The rows of a step, counted from 0, in shuffled order."""
        count, step = len(self.lengths), step if self.only is None else self.only
        places = np.arange(step * self.global_batch_size, (step + 1) * self.global_batch_size)
        return np.array([_order(count, self.random_seed, place // count)[place % count] for place in places])

    def micro_batches_of(self, step: int) -> list[list[np.ndarray]]:
        """The rows of a step by micro-batch and rank: ``result[micro_batch][rank]``."""
        return self._split(self.rows(step))

    def longest_micro_batch(self, steps: int) -> int:
        """Most tokens in any micro-batch of the first ``steps`` steps."""
        return max(self._longest_of(step) for step in range(steps))

    def heaviest(self, steps: int, padded: bool = False) -> "StepPlan":
        """The plan that takes, again and again, the one of the first ``steps`` steps with the longest micro-batch.

        Where rows are ``padded`` to the longest of their micro-batch, the padding counts.
        """
        return replace(self, only=max(range(steps), key=lambda step: self._longest_of(step, padded)))

    def _longest_of(self, step: int, padded: bool = False) -> int:
        """Most tokens in any micro-batch of a step."""
        lengths = [self.lengths[rows] for ranks in self.micro_batches_of(step) for rows in ranks]
        return max(int(some.max() * len(some) if padded else some.sum()) for some in lengths)

    def _split(self, rows: np.ndarray) -> list[list[np.ndarray]]:
        """Deal the rows out, longest first: rows with more images first, then the others, as :func:`deal` does.

        Each micro-batch gets its share of the images (they cost the vision towers' time) and of the tokens.
        Micro-batches that the ranks run at the same time are of about one length, so that none waits for the others.
        """
        loads = np.zeros(self.bins, dtype=np.int64)
        bin_of = np.empty(len(rows), dtype=np.int64)
        for images in np.unique(self.images[rows])[::-1]:
            group = np.flatnonzero(self.images[rows] == images)
            group = group[np.argsort(-self.lengths[rows[group]], kind="stable")]
            bin_of[group] = deal(self.lengths[rows[group]], loads)
        by_load = np.argsort(-loads, kind="stable")
        filled = [rows[bin_of == which] for which in by_load]
        return [filled[start : start + self.ranks] for start in range(0, self.bins, self.ranks)]


class Batches:
    """The rows of each micro-batch of a rank, from the first step to the last: a batch sampler with a length."""

    def __init__(self, plan: StepPlan, rank: int, steps: int) -> None:
        self.plan, self.rank, self.steps = plan, rank, steps

    def __len__(self) -> int:
        return self.steps * self.plan.micro_batches

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.steps):
            for micro_batch in self.plan.micro_batches_of(step):
                yield micro_batch[self.rank].tolist()


@lru_cache(maxsize=4)
def _order(count: int, random_seed: int, epoch: int) -> np.ndarray:
    """The order of one pass over so many rows."""
    return np.random.Generator(np.random.PCG64([random_seed, epoch])).permutation(count)


def deal(lengths: np.ndarray, loads: np.ndarray) -> np.ndarray:
    """Deal rows, longest first, to bins: in each round every bin gets one, the emptiest the longest.

    A longest-processing-time rule that also keeps the numbers of rows even: they differ by one at most, and the loads,
    if even before, differ by no more than the longest row.

    Args:
        lengths: of the rows, descending.
        loads: tokens in each bin so far; changed.

    Returns:
        The bin of each row.
    """
    bins = np.empty(len(lengths), dtype=np.int64)
    for start in range(0, len(lengths), len(loads)):
        part = lengths[start : start + len(loads)]
        emptiest = np.argsort(loads, kind="stable")[: len(part)]
        bins[start : start + len(part)] = emptiest
        loads[emptiest] += part
    return bins


def plan_steps(
    lengths: Sequence[int],
    images: Sequence[int],
    *,
    global_batch_size: int,
    tokens_per_micro_batch: int,
    ranks: int = 1,
    epochs: float = 1.0,
    max_steps: int | None = None,
    random_seed: int = 0,
) -> tuple[StepPlan, int]:
    """Plan a run with the fewest micro-batches whose every one holds at most so many tokens.

    Returns:
        The plan and its number of steps.

    Raises:
        UserError: a row alone is longer than a micro-batch may be, or there are too few rows for a step.
    """
    lengths, images = np.asarray(lengths, dtype=np.int64), np.asarray(images, dtype=np.int64)
    if len(lengths) and lengths.max() > tokens_per_micro_batch:
        raise UserError(
            f"a row has {lengths.max()} tokens, and a micro-batch may hold {tokens_per_micro_batch}; raise "
            "micro_batch_tokens or lower max_length"
        )
    plan = StepPlan(lengths, images, global_batch_size, ranks, 1, random_seed)
    steps = plan.steps(epochs) if max_steps is None else max_steps
    most = max(int(lengths[plan.rows(step)].sum()) for step in range(steps))
    for micro_batches in range(-(-most // (ranks * tokens_per_micro_batch)), global_batch_size // ranks + 1):
        plan = StepPlan(lengths, images, global_batch_size, ranks, micro_batches, random_seed)
        if plan.longest_micro_batch(steps) <= tokens_per_micro_batch:
            return plan, steps
    raise UserError(
        f"global_batch_size: {global_batch_size} rows over {ranks} GPUs leave a micro-batch above "
        f"{tokens_per_micro_batch} tokens; make it a multiple of the GPUs"
    )


@dataclass(frozen=True)
class RunPlan:
    """The steps that a job trains.

    Attributes:
        step_plan: the rows of each.
        steps: how many.
        steps_of_run: how many the whole run has: others where a job rehearses it.
    """

    step_plan: StepPlan
    steps: int
    steps_of_run: int


def plan_run(job: Job, lengths: np.ndarray, images: np.ndarray, ranks: int, padded: bool = False) -> RunPlan:
    """The steps of a run or, for a rehearsal on GPUs, its heaviest step again and again.

    Args:
        job: the run, or its rehearsal.
        lengths: tokens of each row.
        images: images of each row.
        ranks: processes that share a step.
        padded: whether the model's rows are padded, not packed.

    Raises:
        UserError: the numbers cannot be met.
    """
    settings, own = job.settings, job.rehearses or job.settings
    steps_of_run = own.max_steps or whole_steps(len(lengths), own.epochs, own.global_batch_size)
    plan, steps = plan_steps(
        lengths,
        images,
        global_batch_size=settings.global_batch_size,
        tokens_per_micro_batch=settings.micro_batch_tokens,
        ranks=ranks,
        epochs=settings.epochs,
        max_steps=settings.max_steps,
        random_seed=settings.random_seed,
    )
    if job.rehearsed_steps:
        return RunPlan(plan.heaviest(steps, padded), job.rehearsed_steps, steps_of_run)
    return RunPlan(plan, steps, steps_of_run)
