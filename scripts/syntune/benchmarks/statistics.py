"""Error bars: means with cluster-robust standard errors, paired differences and the questions they need.

Questions about one image, or rotations of one question, are not independent; the standard error is therefore that of an
intercept-only regression with errors clustered by image or base question (statsmodels, with its small-sample
correction and Student's t with clusters - 1 degrees of freedom).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.power import normal_sample_size_one_tail
from statsmodels.stats.proportion import proportion_confint

from syntune.artifacts.scores import Estimate, Interval

LEVEL = 0.95
POWER = 0.8


@dataclass(frozen=True)
class Difference:
    """A mean paired difference.

    Attributes:
        questions_needed: questions at which a difference of this size would be seen (two-sided test at 5%) with a power
            of 80%; None where there is no difference, or no error to tell it by.
        detectable: the smallest difference that these questions show with that power.
    """

    value: float
    stderr: float | None
    interval: Interval | None
    p_value: float | None
    questions_needed: int | None
    detectable: float | None


def estimate(values: Sequence[float], clusters: Sequence[object]) -> Estimate:
    """The mean of scores between 0 and 1, with a 95% interval within 0 and 1.

    Right-or-wrong scores of independent questions get Wilson's interval, and so does, by clusters, a score without any
    variance: the regression's interval would have no width there.
    """
    scores = numpy.asarray(values, dtype=float)
    groups = _codes(clusters)
    n, count = len(scores), int(groups.max()) + 1
    mean = float(scores.mean())
    if count < 2:
        return Estimate(value=mean, stderr=None, interval=None, n=n, clusters=count)
    fit = _fit(scores, groups)
    binary = bool(numpy.isin(scores, (0.0, 1.0)).all())
    if binary and (count == n or mean in (0.0, 1.0)):
        interval = proportion_confint(mean * count, count, alpha=1 - LEVEL, method="wilson")
    else:
        interval = fit.conf_int(alpha=1 - LEVEL)[0]
    low, high = numpy.clip(interval, 0.0, 1.0)
    stderr, ends = float(fit.bse[0]), (float(low), float(high))
    return Estimate(value=mean, stderr=stderr, interval=ends, n=n, clusters=count)


def paired_difference(values: Sequence[float], baseline: Sequence[float], clusters: Sequence[object]) -> Difference:
    """The mean difference of two runs' scores on the same questions, with a 95% interval and a two-sided p-value."""
    differences = numpy.asarray(values, dtype=float) - numpy.asarray(baseline, dtype=float)
    groups = _codes(clusters)
    n, mean = len(differences), float(differences.mean())
    if not differences.any():
        return Difference(0.0, 0.0, (0.0, 0.0), 1.0, None, None)
    if int(groups.max()) < 1:
        return Difference(mean, None, None, None, None, None)
    fit = _fit(differences, groups)
    stderr = float(fit.bse[0])
    if stderr < 1e-12:
        return Difference(mean, 0.0, (mean, mean), None, None, None)
    low, high = numpy.clip(fit.conf_int(alpha=1 - LEVEL)[0], -1.0, 1.0)
    # the spread that independent questions would need to have for the same standard error: clustering is in it
    spread = stderr * n**0.5
    return Difference(
        value=mean,
        stderr=stderr,
        interval=(float(low), float(high)),
        p_value=float(fit.pvalues[0]),
        questions_needed=questions_needed(mean, spread),
        detectable=detectable_difference(n, spread),
    )


def questions_needed(difference: float, spread: float) -> int:
    """The questions at which a two-sided test at 5% sees ``difference`` with a power of 80% (normal approximation).

    ``spread`` is the standard deviation of the paired differences.
    """
    # one tail of half the level is a two-sided test whose other tail is left out: it adds nothing at this power
    needed = normal_sample_size_one_tail(abs(difference), POWER, (1 - LEVEL) / 2, std_null=spread)
    return max(2, int(numpy.ceil(needed)))


def detectable_difference(n: int, spread: float) -> float:
    """The smallest difference that ``n`` questions show with that power: the number needed falls with its square."""
    return float((normal_sample_size_one_tail(1.0, POWER, (1 - LEVEL) / 2, std_null=spread) / n) ** 0.5)


def _codes(clusters: Sequence[object]) -> numpy.ndarray:
    """The clusters as numbers from 0."""
    codes: dict[object, int] = {}
    return numpy.array([codes.setdefault(cluster, len(codes)) for cluster in clusters])


def _fit(values: numpy.ndarray, groups: numpy.ndarray):
    """Regress ``values`` on a constant, errors clustered by ``groups``."""
    return OLS(values, numpy.ones_like(values)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
