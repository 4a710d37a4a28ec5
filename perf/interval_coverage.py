"""How often the 95% interval of a difference of two runs holds the truth, where the truth is known.

    python perf/interval_coverage.py                  # in the environment of envs/eval.yaml: minutes
    python perf/interval_coverage.py --repeats 200    # coarser

Answers are simulated: a training is right about a question if the sum of the run's level, the question's easiness (half
of it the image's), the run's own way with the question, the training's level and chance lies above zero, all normal. So
the expected score is known, and the spread between trainings is set in points of it. Both runs are equally good unless
``--difference`` says otherwise. For each case the interval over questions and trainings is set beside the one over
questions alone, of the mean of all trainings and of a single training each.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy
from scipy.stats import norm

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from syntune.benchmarks.statistics import paired_difference  # noqa: E402

EASINESS, OWN_WAY, CHANCE = 1.2, 0.5, 1.0
"""Standard deviations: of questions, of a run's way with a question, of an answer's chance."""
LEVEL = 0.3
"""Of both runs: 57% of the answers are right."""


@dataclass(frozen=True)
class Case:
    """What is simulated.

    Attributes:
        trainings: of the one run and of the other; 0 is a run that is not trained, so that nothing varies but answers.
        questions: asked of all.
        per_image: questions of an image.
        spread: standard deviation between trainings, in points of the score.
    """

    trainings: tuple[int, int]
    questions: int
    per_image: int
    spread: float


def cases() -> Iterator[Case]:
    """Those of the table."""
    for questions, per_image in ((200, 1), (500, 1), (2000, 1), (2000, 4)):
        for spread in (0.0, 0.5, 1.0, 2.0, 4.0):
            yield Case((3, 3), questions, per_image, spread)
    for trainings in ((2, 2), (5, 5), (3, 0), (3, 5)):
        for spread in (0.5, 2.0):
            yield Case(trainings, 1000, 1, spread)


def simulate(case: Case, difference: float, random: numpy.random.Generator) -> tuple[list[numpy.ndarray], list[int]]:
    """Right and wrong of both runs, each of shape (trainings, questions), and each question's image."""
    images = numpy.arange(case.questions) // case.per_image
    half = 0.5**0.5 * EASINESS
    easiness = half * random.standard_normal(images.max() + 1)[images] + half * random.standard_normal(case.questions)
    runs = []
    for number, level in zip(case.trainings, levels(case, difference), strict=True):
        trained = latent_spread(case) * random.standard_normal((max(1, number), 1)) if number else 0.0
        own_way = OWN_WAY * random.standard_normal(case.questions)
        chance = CHANCE * random.standard_normal((max(1, number), case.questions))
        runs.append((level + easiness + own_way + trained + chance > 0).astype(float))
    return runs, images.tolist()


def width(trained: float) -> float:
    """The standard deviation of all that an answer hangs on but the run's level."""
    return (EASINESS**2 + OWN_WAY**2 + CHANCE**2 + trained**2) ** 0.5


def latent_spread(case: Case) -> float:
    """The spread between trainings before an answer becomes right or wrong."""
    return case.spread / 100 * width(0.0) / norm.pdf(LEVEL / width(0.0))


def levels(case: Case, difference: float) -> tuple[float, float]:
    """The runs' levels, so that their expected scores lie ``difference`` points apart."""
    trained = [width(latent_spread(case) if number else 0.0) for number in case.trainings]
    beside = norm.cdf(LEVEL / trained[1])
    return norm.ppf(beside + difference / 100) * trained[0], LEVEL


def coverage(case: Case, difference: float, repeats: int) -> dict[str, float]:
    """The share of intervals that hold the difference, and the mean width of those over questions and trainings."""
    random = numpy.random.default_rng(0)
    held, widths = numpy.zeros(3), 0.0
    for _ in range(repeats):
        (one, other), images = simulate(case, difference, random)
        mean_one, mean_other = one.mean(axis=0, keepdims=True), other.mean(axis=0, keepdims=True)
        ways = ((one, other), (mean_one, mean_other), (one[:1], other[:1]))
        for place, (marks, beside) in enumerate(ways):
            low, high = paired_difference(marks, beside, images).interval
            held[place] += low <= difference / 100 <= high
            widths += (high - low) * (place == 0)
    names = ("questions and trainings", "questions alone, means", "questions alone, one training each")
    return dict(zip(names, held / repeats, strict=True)) | {"width": widths / repeats}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2000, help="simulated comparisons of each case")
    parser.add_argument("--difference", type=float, default=0.0, help="true difference of the two runs, in points")
    args = parser.parse_args()
    print(f"{args.repeats} comparisons a case, true difference {args.difference:g} points\n")
    print("| trainings | questions | an image | spread, points | questions and trainings | width | questions alone: "
          "means | one training each |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    for case in cases():
        both, means, single, size = coverage(case, args.difference, args.repeats).values()
        trainings = " + ".join(map(str, case.trainings))
        print(f"| {trainings} | {case.questions} | {case.per_image} | {case.spread:g} | {100 * both:.1f}% | "
              f"{100 * size:.1f} | {100 * means:.1f}% | {100 * single:.1f}% |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
