"""Metrics: from answers to one score for each question or group of questions."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from syntune.artifacts.questions import QuestionId
from syntune.benchmarks.open_answers import anls, exact_match, plain, relaxed_accuracy
from syntune.benchmarks.protocol import Question
from syntune.benchmarks.vqa_accuracy import ENOUGH, normalise, vqa_accuracy


@dataclass(frozen=True)
class ExtractedAnswer:
    """What a model wrote, and the answer extracted from it."""

    text: str
    extracted: str


@dataclass(frozen=True)
class Series:
    """One score of 0 to 1 for each question (or base question), and the cluster that each belongs to."""

    ids: list[QuestionId]
    values: list[float]
    clusters: list[QuestionId]


@dataclass(frozen=True)
class Marks:
    """What a metric found: the first series is the primary one, ``by_category`` are told for each category too."""

    series: dict[str, Series]
    counts: dict[str, int]
    by_category: tuple[str, ...] = ()

    @property
    def primary(self) -> str:
        """The series that stands for the benchmark."""
        return next(iter(self.series))

    def led_by(self, name: str) -> "Marks":
        """The same with the series ``name`` as the primary one, which alone is told for each category."""
        return Marks({name: self.series[name], **self.series}, self.counts, (name,))


@dataclass(frozen=True)
class Metric:
    """How a benchmark's answers are marked, and when two answers are the same."""

    mark: Callable[[Sequence[Question], Sequence[ExtractedAnswer]], Marks]
    canonical: Callable[[str], str] = str

    def majority(self, questions: Sequence[Question]) -> str:
        """The most frequent reference answer; of equally frequent ones the first in the alphabet."""
        counts = Counter(self.canonical(reference) for question in questions for reference in question.references)
        del counts[""]
        return min(counts, key=lambda answer: (-counts[answer], answer), default="")


def mark_vqa(questions: Sequence[Question], answers: Sequence[ExtractedAnswer]) -> Marks:
    """The soft accuracy of TextVQA, clustered by image."""
    scores = [vqa_accuracy(answer.extracted, question.references) for question, answer in _pairs(questions, answers)]
    distinct = len({normalise(answer.extracted) for answer in answers})
    series = {"accuracy": _by_question(questions, scores)}
    return Marks(series, _counts(answers) | {"distinct": distinct}, ("accuracy",))


def mark_open(questions: Sequence[Question], answers: Sequence[ExtractedAnswer]) -> Marks:
    """Every metric of open answers; VQA accuracy where each question has enough answers for one to be right."""
    metrics = {"exact_match": exact_match, "relaxed_accuracy": relaxed_accuracy, "anls": anls}
    if all(len(question.references) >= ENOUGH for question in questions):
        metrics["vqa_accuracy"] = vqa_accuracy
    pairs = [(answer.extracted, question.references) for question, answer in _pairs(questions, answers)]
    series = {name: _by_question(questions, [score(*pair) for pair in pairs]) for name, score in metrics.items()}
    distinct = len({plain(answer.extracted) for answer in answers})
    return Marks(series, _counts(answers) | {"distinct": distinct})


def mark_exact(questions: Sequence[Question], answers: Sequence[ExtractedAnswer]) -> Marks:
    """Right or wrong, clustered by the questions' groups."""
    scores = [float(answer.extracted == question.references[0]) for question, answer in _pairs(questions, answers)]
    series = {"accuracy": _by_question(questions, scores)}
    return Marks(series, _counts(answers), ("accuracy",))


def mark_yes_no(questions: Sequence[Question], answers: Sequence[ExtractedAnswer]) -> Marks:
    """Accuracy, and precision, recall and F1 of ``yes``, each the mean of a series: so it has an error bar, too.

    Precision is over the questions that were answered yes, recall over those to be answered yes; F1 is over both put
    together, where a question that is in both counts twice. ``says_yes`` is the share of yes among the answers (Li et
    al., 2023, Evaluating object hallucination: POPE). An answer that is neither yes nor no is wrong.
    """
    said = [answer.extracted == "yes" for answer in answers]
    meant = [question.references[0] == "yes" for question in questions]
    right = [float(answer.extracted == question.references[0]) for question, answer in _pairs(questions, answers)]
    places = range(len(questions))
    of_said, of_meant = [place for place in places if said[place]], [place for place in places if meant[place]]

    def over(some: list[int]) -> Series:
        return _by_question([questions[place] for place in some], [right[place] for place in some])

    series = {
        "accuracy": over(list(places)),
        "precision": over(of_said),
        "recall": over(of_meant),
        "f1": over(of_said + of_meant),
        "says_yes": _by_question(questions, said),
    }
    defined = {name: one for name, one in series.items() if one.values}
    return Marks(defined, _counts(answers), ("accuracy",))


def mark_captions(questions: Sequence[Question], answers: Sequence[ExtractedAnswer]) -> Marks:
    """chrF2 of each caption, the best over its references: character n-grams to 6, recall counted twice.

    Popović (2015, chrF), as sacrebleu computes it for a sentence.
    """
    from sacrebleu.metrics import CHRF  # a second, which other benchmarks do without

    chrf = CHRF()
    scores = [
        chrf.sentence_score(answer.extracted, list(question.references)).score / 100
        for question, answer in _pairs(questions, answers)
    ]
    return Marks({"chrf": _by_question(questions, scores)}, _counts(answers), ("chrf",))


def mark_choice(questions: Sequence[Question], answers: Sequence[ExtractedAnswer]) -> Marks:
    """The accuracies of MMBench.

    ``circular`` counts a base question if every rotation is right; ``vanilla`` counts every row;
    ``first_pass`` counts base rows. ``..._exact`` accepts the bare letter only, as the challenge's scorer
    does. A table without rotations has no circular accuracy.
    """
    right = [answer.extracted == question.references[0] for question, answer in _pairs(questions, answers)]
    exact = [answer.text.strip() == question.references[0] for question, answer in _pairs(questions, answers)]
    base = [place for place, question in enumerate(questions) if question.rotation_of is None]
    series = {
        "circular": _by_base(questions, right),
        "vanilla": _by_question(questions, right),
        "first_pass": _by_question([questions[place] for place in base], [right[place] for place in base]),
        "circular_exact": _by_base(questions, exact),
        "vanilla_exact": _by_question(questions, exact),
    }
    if len(base) == len(questions):
        series = {name: series[name] for name in ("vanilla", "vanilla_exact")}
    bare = sum(answer.text.strip() == answer.extracted != "" for answer in answers)
    letters = sum(answer.extracted != "" for answer in answers)
    counts = {"exact letter": bare, "extracted letter": letters - bare}
    return Marks(series, _counts(answers) | counts, tuple(name for name in ("circular", "vanilla") if name in series))


def _pairs(questions: Sequence[Question], answers: Sequence[ExtractedAnswer]) -> zip:
    """Each question with its answer."""
    return zip(questions, answers, strict=True)


def _counts(answers: Sequence[ExtractedAnswer]) -> dict[str, int]:
    """How many texts are empty, and in how many others no answer is recognised."""
    empty = sum(not answer.text.strip() for answer in answers)
    return {"empty": empty, "not recognised": sum(not answer.extracted for answer in answers) - empty}


def _by_question(questions: Sequence[Question], scores: Sequence[float]) -> Series:
    """A score for each question."""
    clusters = [question.group for question in questions]
    return Series([question.id for question in questions], [float(score) for score in scores], clusters)


def _by_base(questions: Sequence[Question], right: Sequence[bool]) -> Series:
    """A score for each base question: whether all its rotations are right."""
    whole: dict[QuestionId, bool] = {}
    clusters: dict[QuestionId, QuestionId] = {}
    for question, good in zip(questions, right, strict=True):
        whole[question.base] = whole.get(question.base, True) and good
        clusters.setdefault(question.base, question.group)
    return Series(list(whole), [float(good) for good in whole.values()], list(clusters.values()))


METRICS = {
    "vqa_accuracy": Metric(mark_vqa, normalise),
    "choice": Metric(mark_choice),
    "exact_match": Metric(mark_exact),
    "open": Metric(mark_open, plain),
    "yes_no": Metric(mark_yes_no),
    "captions": Metric(mark_captions),
}
