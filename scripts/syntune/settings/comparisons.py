"""Which runs are compared with which, and whose training noise a comparison cannot cover."""

from itertools import combinations

from pydantic import Field

from syntune.settings.methods import METHODS
from syntune.settings.strict import Name, Strict
from syntune.settings.tree import Settings


class ComparedPair(Strict):
    """Two runs that are compared."""

    run: Name = Field(description="the run whose difference is told")
    beside: Name = Field(description="the run that it is compared with")
    trained_once: list[Name] = Field(
        default_factory=list, description="runs that one of the two rests on and of which it saw one training alone"
    )


def baseline_run(settings: Settings) -> str | None:
    """The run that all others are compared with; None where there are no runs."""
    return settings.compare or next(iter(settings.runs), None)


def pairs_to_compare(settings: Settings) -> list[ComparedPair]:
    """Every run beside the baseline run, then the config's comparisons; each two runs once."""
    baseline = baseline_run(settings)
    pairs = [(run, baseline) for run in settings.runs if run != baseline]
    for pair in _alike_but_for_data(settings) if settings.comparisons is None else settings.comparisons:
        if pair not in pairs and pair[::-1] not in pairs:
            pairs.append(pair)
    return [ComparedPair(run=run, beside=beside, trained_once=trained_once(settings, run, beside))
            for run, beside in pairs]  # fmt: skip


def _alike_but_for_data(settings: Settings) -> list[tuple[str, str]]:
    """Every two trained runs with the same start and method and different datasets, the later beside the earlier."""
    trained = [(name, run) for name, run in settings.runs.items() if METHODS[run.method].is_trained]
    return [
        (later, earlier)
        for (earlier, one), (later, other) in combinations(trained, 2)
        if (one.start, one.method) == (other.start, other.method) and one.dataset != other.dataset
    ]


def trained_once(settings: Settings, run: str, beside: str) -> list[str]:
    """The runs of which one side alone saw a single training, so that nothing tells how far another would move it.

    What both rest on is left out: the comparison is between what was made of that.
    """
    chains = [settings.ancestry(name)[1:] for name in (run, beside)]
    shared = set(chains[0]) & set(chains[1])
    return [
        name
        for chain in chains
        for name in chain
        if name not in shared and METHODS[settings.runs[name].method].is_trained
        and min(len(settings.trainings(name)), len(settings.trainings(chain[-1]))) == 1
    ]  # fmt: skip
