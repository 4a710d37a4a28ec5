"""Health: what must hold while a run trains, each check with a name, and when it stops the run.

A check never averages away what it sees: a loss that is not finite, far above what came before, or above what the model
would lose by guessing is a fault of data, code or settings, and a run with a fault does not become an adapter. A run
that taught its model nothing keeps its checkpoint, and is not called healthy.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from syntune.settings.runs import HealthSettings, TrainedRunSettings
from syntune.training.learning import few_steps, judge_learning
from syntune.training.rows import NO_ANSWER_LEFT, Index
from syntune.training.schedule import planned_learning_rates, warmup_steps

OK, WARNING, FAILED = "ok", "warning", "failed"
LEARNED = "learned"
"""The check that is made at the end and stops nothing."""

_WINDOW = 50
"""Steps that a median looks back on."""


@dataclass(frozen=True)
class Verdict:
    """What a check found."""

    name: str
    status: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        """For the manifest."""
        return asdict(self)


class Unhealthy(Exception):
    """A check failed: training stops, the checkpoints stay."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"{verdict.name}: {verdict.detail}")


@dataclass
class Health:
    """The checks of one run, fed a step at a time.

    Attributes:
        settings: the limits.
        vocabulary: tokens of the model's vocabulary.
        schedule: the planned learning rate of each step, from 1.
        rows: rows of the dataset.
        masked: rows without a supervised token; they are not trained on.
        fresh: the base has random weights, so that it can only guess.
    """

    settings: HealthSettings
    vocabulary: int
    schedule: list[float]
    rows: int
    masked: int
    fresh: bool = False
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    @property
    def worst(self) -> float:
        """The largest loss that is not worse than guessing."""
        return math.log(self.vocabulary) + self.settings.first_loss_margin

    def before(self, examples: list[str]) -> None:
        """Check the share of rows without a supervised token; ``examples`` are some of their ids."""
        share, limit = self.masked / self.rows if self.rows else 0.0, self.settings.max_masked_share
        named = f" (first {', '.join(examples)})" if examples else ""
        self._judge(
            "masked share",
            share <= limit,
            f"{self.masked} of {self.rows} rows have no supervised token, within max_masked_share {limit:g}",
            f"{self.masked} of {self.rows} rows ({share:.1%}) have no supervised token{named}, more than "
            f"max_masked_share {limit:g}; raise max_length or take them out of the dataset",
        )

    def after_step(self, step: int, loss: float, norm: float | None, learning_rate: float) -> None:
        """Check a step, counted from 1.

        Raises:
            Unhealthy: a check failed.
        """
        finite = math.isfinite(loss) and (norm is None or math.isfinite(norm))
        self._judge(
            "finite",
            finite,
            "every loss and gradient norm is a number",
            f"step {step}: loss {loss}, gradient norm {norm}",
        )
        if step == 1:
            self._first(loss)
        self._bound(step, loss)
        self._spike(step, loss)
        if norm is not None:
            self._explosion(step, norm)
        self._schedule(step, learning_rate)
        self.losses.append(loss)
        if norm is not None:
            self.norms.append(norm)

    def at_end(self, adapter_b: dict[str, float]) -> None:
        """Check that the adapter learned: ``adapter_b`` holds the largest magnitude in each of its B matrices.

        They begin at zero, and an adapter whose B are zero changes nothing.
        """
        if not adapter_b:
            return
        dead = [name for name, largest in adapter_b.items() if largest == 0.0]
        self._judge(
            "live adapter",
            not dead,
            f"all {len(adapter_b)} B matrices left zero",
            f"{len(dead)} of {len(adapter_b)} B matrices are still zero (first {dead[0] if dead else ''}): the adapter "
            "got no gradient there",
        )

    def learned(self, moved: float | None, validation: Sequence[float] = ()) -> None:
        """Judge whether the run learned, as :func:`judge_learning` does; a bad verdict stops nothing."""
        holds, seen = judge_learning(self.losses, moved, validation)
        self._note(LEARNED, {True: OK, None: WARNING, False: FAILED}[holds], seen)

    def warn_of_few(self, steps: int) -> str | None:
        """Note, and return, that a run has few optimizer steps, if it has."""
        told = few_steps(steps)
        self._note("steps", WARNING if told else OK, told or f"{steps} optimizer steps")
        return told

    def report(self) -> list[dict[str, str]]:
        """Every verdict so far."""
        return [verdict.as_dict() for verdict in self.verdicts.values()]

    def _first(self, loss: float) -> None:
        guess, margin = math.log(self.vocabulary), self.settings.first_loss_margin
        bound = f"ln({self.vocabulary}) + {margin:g} = {self.worst:.3f}"
        too_good = self.fresh and loss < guess - margin
        self._judge(
            "first loss",
            loss <= self.worst and not too_good,
            f"{loss:.3f}, at most {bound}",
            f"{loss:.3f}, but random weights can only guess, at {guess:.3f}: the labels give the answers away"
            if too_good
            else f"{loss:.3f} is above {bound}, worse than guessing: labels or base are not what the model expects",
        )

    def _bound(self, step: int, loss: float) -> None:
        self._judge(
            "loss bound",
            loss <= self.worst,
            f"no step above {self.worst:.3f}, by which it would be worse than guessing",
            f"step {step}: {loss:.3f} is above {self.worst:.3f}, worse than guessing: training has broken the model",
        )

    def _spike(self, step: int, loss: float) -> None:
        rise = self.settings.max_loss_rise
        usual = statistics.median(self.losses[-_WINDOW:]) if self.losses else None
        self._judge(
            "loss spikes",
            usual is None or loss <= usual + rise,
            f"no loss more than {rise:g} above the median of the {_WINDOW} before it",
            f"step {step}: loss {loss:.3f} is more than {rise:g} above the median before it, {usual or 0:.3f}",
        )

    def _explosion(self, step: int, norm: float) -> None:
        factor = self.settings.max_grad_norm_factor
        usual = statistics.median(self.norms[-_WINDOW:]) if self.norms else None
        self._judge(
            "gradient norm",
            not usual or norm <= factor * usual,
            f"none more than {factor:g} times the median of the {_WINDOW} before it",
            f"step {step}: norm {norm:.3g} is more than {factor:g} times the median before it, {usual or 0:.3g}",
        )

    def _schedule(self, step: int, learning_rate: float) -> None:
        planned = self.schedule[step - 1]
        self._judge(
            "learning rate",
            math.isclose(learning_rate, planned, rel_tol=1e-6, abs_tol=1e-15),
            "as planned at every step",
            f"step {step}: {learning_rate:.6g} instead of {planned:.6g}",
        )

    def _judge(self, name: str, holds: bool, good: str, bad: str) -> None:
        """Note a verdict; a bad one is raised."""
        verdict = self._note(name, OK if holds else FAILED, good if holds else bad)
        if not holds:
            raise Unhealthy(verdict)

    def _note(self, name: str, status: str, detail: str) -> Verdict:
        """Note a verdict."""
        self.verdicts[name] = Verdict(name, status, detail)
        return self.verdicts[name]


def checks_of_run(settings: TrainedRunSettings, steps: int, index: Index, vocabulary: int, fresh: bool) -> Health:
    """The checks of a run that is about to start, the first of them made: its rows have something to teach.

    Args:
        settings: the run's.
        steps: that will be trained.
        index: its rows.
        vocabulary: tokens of the model's vocabulary.
        fresh: the base has random weights.

    Raises:
        Unhealthy: too many rows are without a supervised token.
    """
    optimizer = settings.optimizer
    warmup = warmup_steps(optimizer, steps)
    health = Health(
        settings.health,
        vocabulary,
        schedule=planned_learning_rates(steps, optimizer.learning_rate, optimizer.scheduler, warmup),
        rows=index.counts["rows"],
        masked=index.dropped.get(NO_ANSWER_LEFT, 0),
        fresh=fresh,
    )
    health.before(index.counts["examples"].get(NO_ANSWER_LEFT, []))
    return health
