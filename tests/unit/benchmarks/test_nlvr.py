"""NLVR, the worked example."""

import pytest

from syntune.benchmarks.metrics import METRICS, ExtractedAnswer


@pytest.mark.parametrize(
    ("text", "answer"), [("True.", "true"), ("no, it is not", "false"), ("I think so", ""), ("", "")]
)
def test_the_first_word_answers(load, text, answer):
    protocol = load(protocol="nlvr", statements="s.json", images="images")
    assert protocol.extract(None, text) == answer


def test_the_published_statements(shared, load):
    folder = shared / "bench/nlvr_dev"
    protocol = load(protocol="nlvr", statements=folder / "nlvr_dev.json", images=folder / "images")
    questions = protocol.questions()
    protocol.check_images(questions)
    metric = METRICS[protocol.metric]
    assert (len(questions), metric.majority(questions)) == (989, "true")
    values = metric.mark(questions, [ExtractedAnswer("true", "true")] * 989).series["accuracy"].values
    assert sum(values) == 547
    assert questions[0].open_image(10**6).size == (400, 100)
