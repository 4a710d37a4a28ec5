"""Error bars: means with cluster-robust standard errors, paired differences and the questions they need.

Questions about one image, or rotations of one question, are not independent; the standard error is therefore that of an
intercept-only regression with errors clustered by image or base question (statsmodels, with its small-sample
correction and Student's t with clusters - 1 degrees of freedom).

A run that is trained several times answers each question once a training. Its score varies with the questions and with
the trainings, so the variance of a mean over both is that of the questions (of each one's mean over the trainings) plus
that of the trainings (of each one's mean over the questions) less what the two have in common: two-way clustering
(Cameron, Gelbach and Miller, 2011), the questions paired as Miller (2024, Adding error bars to evals) does. With a few
trainings the degrees of freedom are Satterthwaite's (1946) and, for two runs, Welch's (1947).
perf/interval_coverage.py shows how often the interval holds the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from scipy.stats import chi2
from scipy.stats import t as student
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
            of 80%; None where there is no difference, no error to tell it by, or too few trainings to ever see it.
        detectable: the smallest difference that these questions and trainings show with that power.
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


def mean_over_trainings(marks: Sequence[Sequence[float]], clusters: Sequence[object]) -> Estimate:
    """The mean score of a run's trainings, at least two, with a 95% interval over questions and trainings.

    Args:
        marks: for each training its scores, between 0 and 1, of the same questions.
        clusters: of each question.
    """
    scores, groups = numpy.asarray(marks, dtype=float), _codes(clusters)
    mean, count = float(scores.mean()), int(groups.max()) + 1
    if count < 2 or (scores == scores[0]).all():
        return estimate(marks[0], clusters)
    error = _error(scores.mean(axis=0), groups, [scores])
    low, high = numpy.clip(error.interval(mean), 0.0, 1.0)
    return Estimate(
        value=mean, stderr=error.stderr, interval=(float(low), float(high)), n=scores.shape[1], clusters=count
    )


def spread(values: Sequence[float]) -> float | None:
    """The standard deviation between trainings' scores, with their number - 1; None of a single one."""
    return float(numpy.std(values, ddof=1)) if len(values) > 1 else None


def spread_interval(values: Sequence[float]) -> Interval | None:
    """The 95% interval of that standard deviation for normal scores: of three trainings, 0.52 to 6.3 times as much."""
    if (found := spread(values)) is None:
        return None
    degrees = len(values) - 1
    low, high = (found * (degrees / chi2.ppf(tail, degrees)) ** 0.5 for tail in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    return float(low), float(high)


def paired_difference(
    marks: Sequence[Sequence[float]], beside: Sequence[Sequence[float]], clusters: Sequence[object]
) -> Difference:
    """The mean difference of two runs' scores on the same questions, with a 95% interval and a two-sided p-value.

    The interval covers the questions and, of a run with several trainings, these. Two runs' trainings count as
    independent; where they share starts or seeds they agree more than that, and the interval is too wide.

    Args:
        marks: for each training of the one run its scores, between 0 and 1, of the same questions.
        beside: the same of the other run.
        clusters: of each question.
    """
    sides = [numpy.asarray(marks, dtype=float), numpy.asarray(beside, dtype=float)]
    differences = sides[0].mean(axis=0) - sides[1].mean(axis=0)
    groups = _codes(clusters)
    n, mean = len(differences), float(differences.mean())
    if all((side == sides[0][0]).all() for side in sides):
        return Difference(0.0, 0.0, (0.0, 0.0), 1.0, None, None)
    if int(groups.max()) < 1:
        return Difference(mean, None, None, None, None, None)
    error = _error(differences, groups, sides)
    if error.stderr < 1e-12:
        return Difference(mean, 0.0, (mean, mean), None, None, None)
    low, high = numpy.clip(error.interval(mean), -1.0, 1.0)
    # the spread that independent questions would need to have for the same standard error: clustering is in it
    return Difference(
        value=mean,
        stderr=error.stderr,
        interval=(float(low), float(high)),
        p_value=float(2 * student.sf(abs(mean) / error.stderr, error.degrees)),
        questions_needed=questions_needed(mean, (error.of_questions * n) ** 0.5, error.of_trainings),
        detectable=detectable_difference(n, error.stderr * n**0.5),
    )


@dataclass(frozen=True)
class _Error:
    """The error of a mean over questions and trainings.

    Attributes:
        of_questions: variance of the mean that comes of the questions.
        of_trainings: variance that comes of the trainings.
        degrees: degrees of freedom of their sum.
    """

    of_questions: float
    of_trainings: float
    degrees: float

    @property
    def stderr(self) -> float:
        """The standard error."""
        return (self.of_questions + self.of_trainings) ** 0.5

    def interval(self, mean: float) -> tuple[float, float]:
        """The 95% interval around ``mean``."""
        half = float(student.ppf((1 + LEVEL) / 2, self.degrees)) * self.stderr
        return mean - half, mean + half


def _error(values: numpy.ndarray, groups: numpy.ndarray, sides: Sequence[numpy.ndarray]) -> _Error:
    """The error of the mean of ``values``, each question's, of which the parts are means over the rows of ``sides``.

    Args:
        values: shape (questions,).
        groups: shape (questions,), clusters as numbers from 0.
        sides: each run's scores, of shape (trainings, questions).
    """
    of_questions = float(_fit(values, groups).bse[0]) ** 2
    squares = of_questions**2 / int(groups.max())
    of_trainings = 0.0
    for scores in sides:
        number, means = len(scores), scores.mean(axis=1, keepdims=True)
        if number > 1:
            between = float(means.var(ddof=1)) / number
            squares += between**2 / (number - 1)
            # a training's answers to single questions scatter its mean as well, and are in the questions' variance
            scattered = scores - scores.mean(axis=0) - means + means.mean()
            in_common = sum(float(_fit(row, groups).bse[0]) ** 2 for row in scattered) / (number - 1) / number
            of_trainings += between - in_common
    of_trainings = max(0.0, of_trainings)
    total = of_questions + of_trainings
    return _Error(of_questions, of_trainings, total**2 / squares if squares else numpy.inf)


def questions_needed(difference: float, spread: float, of_trainings: float = 0.0) -> int | None:
    """The questions at which a two-sided test at 5% sees ``difference`` with a power of 80% (normal approximation).

    Args:
        difference: not zero.
        spread: standard deviation of the paired differences.
        of_trainings: variance that more questions don't lessen; None is returned where it alone hides the difference.
    """
    # one tail of half the level is a two-sided test whose other tail is left out: it adds nothing at this power
    room = difference**2 - normal_sample_size_one_tail(1.0, POWER, (1 - LEVEL) / 2, std_null=1.0) * of_trainings
    if room <= 0:
        return None
    needed = normal_sample_size_one_tail(room**0.5, POWER, (1 - LEVEL) / 2, std_null=spread)
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
