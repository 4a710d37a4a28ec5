"""The figures hold what the input holds, in each run's colour."""

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from syntune.artifacts.comparison import ComparedBenchmark, ComparedDifference, ComparedRun, Comparison
from syntune.artifacts.manifests import Manifest
from syntune.artifacts.training_records import StepMetrics, TrainingSummary
from syntune.pages.colours import COLOURS, RUNS, light
from syntune.reporting.figures import LONGEST_LINE, draw_loss, draw_scores, running_mean, smoothing_window, thinned
from syntune.reporting.records import Records

NAMES = {"loss", "learning-rate", "gradient-norm", "throughput", "data", "scores"}


@pytest.fixture
def figures(reported) -> dict[str, str]:
    return {file.stem: file.read_text(encoding="utf-8") for file in reported.figures.iterdir()}


def test_six_figures_with_their_texts(figures):
    assert set(figures) == NAMES
    for svg in figures.values():
        assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in svg and "<dc:date>" not in svg
    assert "uniform guess over 400 tokens: 5.99" in figures["loss"]
    assert "11,800 + 6,000" in figures["data"] and "15,000 + 2,800" in figures["data"]
    assert figures["scores"].count("majority answer") == 2


@pytest.mark.parametrize("name", ["loss", "learning-rate", "gradient-norm", "throughput", "scores"])
def test_every_run_is_drawn_in_its_colour(figures, name):
    for run, colour in zip(("pretrained", "raw", "synthetic"), RUNS, strict=False):
        assert run in figures[name]
        assert re.search(rf'<path d="M [^"]*L [^"]*"[^>]*stroke: {light(colour)}', figures[name]), (run, colour)


def loss_figure(losses, vocab_size=400, validation=None):
    metrics = {"run": [StepMetrics(step=step, loss=loss) for step, loss in enumerate(losses, 1)]}
    model = Manifest.model_construct(details={"vocab_size": vocab_size})
    records = Records(Comparison(baseline="run", trainings={}, benchmarks={}), metrics=metrics, models=[model])
    records.summaries["run"] = TrainingSummary(run="run", validation=validation)
    return draw_loss(records)


def loss_axis(losses, vocab_size=400):
    figure, _ = loss_figure(losses, vocab_size)
    return figure.axes[0]


def test_validation_losses_are_within_the_figure_and_its_words():
    losses = [{"step": step, "loss": loss} for step, loss in ((0, 4.0), (20, 2.5), (40, 2.75))]
    found = {"rows": 9, "supervised_tokens": 99, "best_step": 20, "best_loss": 2.5, "stopped_early": False}
    figure, words = loss_figure([3 * 0.97**step for step in range(40)], validation={**found, "losses": losses})
    (axes,) = figure.axes
    dotted = next(line for line in axes.lines if line.get_marker() == "D")
    assert dotted.get_xydata().tolist() == [[0, 4], [20, 2.5], [40, 2.75]]
    assert axes.get_ylim()[1] > 4
    assert words.endswith("Diamonds: validation loss on held-out rows, run from 4.00 to 2.75, lowest 2.50 at step 20.")


def test_the_loss_fills_its_axis():
    axes = loss_axis([3 * 0.97**step + 0.01 for step in range(200)])
    bottom, top = axes.get_ylim()
    assert axes.get_yscale() == "log" and 0.008 < bottom < 0.02 and 3 < top < 3.5
    assert [text.get_text() for text in axes.texts] == ["uniform guess over 400 tokens: 5.99, above the figure"]


def test_a_loss_that_only_wavers_looks_flat():
    axes = loss_axis([6.70 + 0.01 * (step % 3) for step in range(40)], vocab_size=1000)
    bottom, top = axes.get_ylim()
    assert top / bottom == pytest.approx(1.5) and bottom < 6.7 < 6.72 < top
    assert len(axes.lines) == 2 and axes.texts[0].get_text() == "uniform guess over 1,000 tokens: 6.91"


def test_a_loss_of_zero_is_drawn():
    axes = loss_axis([2.0, 1.0, 0.0])
    assert axes.get_yscale() == "linear" and axes.get_ylim()[0] == 0


def scores_figure(run: str, other: str, benchmark: str, value: float, majority: float):
    scored = ComparedRun(value=value, stderr=0.0, interval=(value, value))
    nothing = ComparedDifference(
        run=run, beside=other, difference=0.0, stderr=0.0, interval=(0.0, 0.0), p_value=1.0, questions_needed=None,
        detectable_difference=None, trained_once=[],
    )  # fmt: skip
    compared = ComparedBenchmark(
        label="l", metric="m", n=9, clusters=9, clustered_by="images", questions_in_benchmark=9,
        majority={"majority": majority, "answer": "a"}, runs={run: scored, other: scored}, differences=[nothing],
    )  # fmt: skip
    comparison = Comparison(baseline=other, trainings={run: [run], other: [other]}, benchmarks={benchmark: compared})
    figure, _ = draw_scores(Records(comparison, answered=[(run, benchmark), (other, benchmark)]))
    figure.draw_without_rendering()
    return figure


def overlap(boxes) -> bool:
    return any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])


@pytest.mark.parametrize("majority", [0.0, 0.99])
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize(
    "names", [("raw", "base", "mine"), ("all-kinds-of-rows-" * 3, "a_base_model_" * 5, "my-own-questions-" * 3)]
)
def test_nothing_of_the_scores_is_cut_or_overlaps(names, value, majority):
    figure = scores_figure(*names, value=value, majority=majority)
    left, right = figure.axes
    texts = [*left.get_yticklabels(), *right.get_yticklabels(), left.title, right.title, *left.texts]
    texts += [*left.get_xticklabels(), *right.get_xticklabels()]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    for axes in (left, right):
        assert not overlap([label.get_window_extent() for label in axes.get_xticklabels()])
        assert not overlap([label.get_window_extent() for label in axes.get_yticklabels()])
        assert all(not line.get_clip_on() for line in axes.lines if line.get_marker() == "o")
    assert not left.bbox.overlaps(right.get_yticklabels()[0].get_window_extent())
    assert not left.title.get_window_extent().overlaps(right.title.get_window_extent())
    assert np.ptp(right.get_xlim()) >= 1  # equal runs don't differ by thousandths


def test_colours_are_all_different():
    values = [pair[0] for pair in COLOURS.values()]
    assert len(values) == len(set(values))


def test_running_mean():
    assert running_mean(np.array([1.0, 2.0, 6.0]), 1).tolist() == [1, 2, 6]
    assert running_mean(np.array([1.0, 2.0, 6.0, 4.0]), 3).tolist() == [1.5, 3, 4, 5]
    assert [smoothing_window(steps) for steps in (1, 49, 50, 400)] == [1, 1, 3, 17]


def test_long_curves_keep_their_spikes():
    x, y = np.arange(50_000), np.zeros(50_000)
    y[31_234] = 7
    kept_x, kept_y = thinned(x, y)
    assert len(kept_x) <= LONGEST_LINE and kept_y.max() == 7 and math.isclose(kept_x[kept_y.argmax()], 31_234)
