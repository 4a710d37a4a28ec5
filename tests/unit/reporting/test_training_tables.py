"""What the tables of training show."""

from syntune.artifacts.comparison import Comparison
from syntune.artifacts.plans import Foretold
from syntune.artifacts.training_records import PeakMemory, TrainingSummary
from syntune.reporting.records import Records
from syntune.reporting.training_tables import training


def table(foretold: dict[str, Foretold]) -> dict[str, list[str]]:
    """The table's lines of two runs by their label."""
    runs = [
        TrainingSummary(run="raw", seconds=100.0, memory=PeakMemory(peak_gib=10.0)),
        TrainingSummary(run="synthetic", seconds=100.0),
    ]
    nothing = Comparison(baseline=None, trainings={}, benchmarks={})
    records = Records(comparison=nothing, summaries={run.run: run for run in runs}, foretold=foretold)
    return {label.text: [cell.text for cell in cells] for label, *cells in training(records).rows}


def test_a_prediction_stands_beside_what_was_recorded():
    found = table({"raw": Foretold(peak_gib=9.0, seconds=125.0), "synthetic": Foretold(peak_gib=9.0, seconds=None)})
    time, memory = found["training time, as planned"], found["peak memory, as planned"]
    assert time[0].endswith("(+25%)") and time[1] == "–"
    assert memory[0].endswith("(-10%)") and "(" not in memory[1]


def test_where_nothing_is_predicted_there_is_no_line_for_it():
    assert not [label for label in table({}) if "planned" in label]
