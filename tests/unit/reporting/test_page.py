"""The page: well-formed, whole without any other file, safe against what is in the input, the same every time."""

import json
import re
from html.parser import HTMLParser

import pytest

from syntune.artifacts.plans import PlannedRun
from syntune.errors import UserError
from syntune.pages.colours import light

VOID = {"meta", "br", "hr", "img", "link", "input"}
OUTSIDE = {"href", "src", "srcset", "xlink:href", "action", "poster", "data"}


class Structure(HTMLParser):
    """Checks nesting while it reads; keeps elements, ids, references, headings and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.elements, self.ids, self.references, self.headings, self.text = [], [], [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        self.references += [value for name, value in attributes if name in OUTSIDE]
        if tag in {"h1", "h2", "h3", "h4"}:
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def test_page_is_well_formed_and_accessible(reported):
    page = Structure(reported.page.read_text())
    assert page.headings[:2] == [1, 2] and page.headings.count(1) == 1
    steps = zip(page.headings, page.headings[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)
    assert len(page.ids) == len(set(page.ids))
    drawings = [attributes for _, attributes in page.elements if attributes.get("role") == "img"]
    assert len(drawings) == 6 and all(len(attributes["aria-label"]) > 40 for attributes in drawings)


def test_page_refers_to_nothing_outside_but_the_pages_beside_it(reported):
    html = reported.page.read_text()
    page = Structure(html)
    inside = {reference[1:] for reference in page.references if reference.startswith("#")}
    assert inside <= set(page.ids)
    outside = [reference for reference in page.references if not reference.startswith(("#", "data:image/webp;base64,"))]
    assert outside == ["answers/open.html", "answers/choice.html", "data/synthetic.html"]
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert "http" not in html.replace("http-equiv", "") and "@import" not in html
    assert all(part.startswith("#") for part in html.split("url(")[1:])


def test_a_prediction_that_is_kept_and_a_plan_that_is_there_are_shown(project):
    assert "as planned" not in project.report() and 'href="plan.html"' not in project.report()
    project.write_summary("raw", device="NVIDIA H100 80GB HBM3 (79 GiB)")
    planned = PlannedRun(
        run="raw", method="lora", rows=9, rows_counted=True, steps=9, supervised_tokens=9, gpus=1, allocated_gib=1.0,
        hours={"H100": 0.02},
    )  # fmt: skip
    project.write("checkpoints/raw/planned.json", json.dumps(planned.as_written()))
    project.write("report/plan.html", "")
    page = project.report()
    words = Structure(page).words
    assert "1 min 12 s (+21%)" in words and "1.0 GiB (+10%)" in words
    assert 'href="plan.html"' in page


def test_answers_and_settings_are_escaped(project):
    attack = '</q><script>alert("x")</script>'
    project.write_predictions("raw", "open", answer=attack)
    project.write_summary("raw", hyperparameters={"<img src=x>": attack})
    html = project.report(title=attack, description=attack)
    assert "<script" not in html and "<img src=x" not in html
    assert Structure(html).words.count(attack) >= 4


def test_an_example_of_contamination_has_both_pictures(project):
    page = Structure(project.report())
    pictures = [(attributes["src"][-4:], attributes["alt"]) for tag, attributes in page.elements if tag == "img"]
    assert pictures == [("QQ==", "picture of the question"), ("Ug==", "picture of the training row")] * 2
    project.write_pictures(rows=0)
    assert "no picture of the training row to show" in Structure(project.report()).words


def test_what_cannot_be_seen_in_an_answer_is_named(project):
    project.write_predictions("raw", "open", answer="\u202egnp.exe \u0007")
    html = project.report()
    assert "\u202e" not in html and "\u0007" not in html and "U+202E" in html and "U+0007" in html


def test_settings_that_do_not_apply_are_left_out(project):
    settings = {"random_seed": 42, "lora": {"r": 16, "targets": None}, "zero": None, "gpus": 0, "cuda_kernels": False}
    for run in ("pretrained", "raw", "synthetic"):
        project.write_summary(run, hyperparameters=settings | {"train_vision": False, "timeout": 30})
    words = Structure(project.report()).words
    assert "lora.r ≠ – 16 16" in words or "lora.r – 16 16" in words
    assert "train vision no – –" in words
    settings_table = words.split("Settings that apply")[1].split("Time As Snakemake")[0]
    assert not [name for name in ("zero", "targets", "timeout", "cuda kernels") if name in settings_table]


def test_the_page_tells_no_place_of_the_project(project):
    assert str(project.results) not in project.report()


def test_the_page_scrolls_tables_and_not_itself(reported):
    page = reported.page.read_text()
    assert page.count("<table") == len(re.findall(r'<div class="scroll"[^>]*>\s*<table', page))
    assert ".scroll, .drawing { overflow-x: auto; }" in page


def test_page_tells_everything(reported):
    words = Structure(reported.page.read_text()).words
    for told in (
        "synthetic beats pretrained on open and choice.",
        "raw cannot be told apart from pretrained on open and choice.",
        "Training was healthy",
        "run open, accuracy choice, accuracy pretrained 40.0% (30.0% to 50.0%) 40.0% (30.0% to 50.0%)",
        "synthetic pretrained open 80.0% 40.0% +40.0 +25.0 to +55.0 questions < 0.001 12 20.0",
        "synthetic raw open 80.0% 60.0% +20.0 +5.0 to +35.0 questions 0.020 123 30.0",
        "3 runs (1 trained in full and 2 trained as a LoRA adapter) answered 2 benchmarks",
        "textvqa, in a few words",
        "Accuracy by category pretrained raw synthetic shape 40.0% of 20 60.0% of 20 80.0% of 20",
        "mapper 11,700 6,000 0 17,700",
        "synthetic 2,900 4.3 MiB 15,000 1.02",
        "Nothing suspicious was found in 240 answers.",
        "with seed 42",
        "majority answer, “circle” accuracy 25.0%",
        "synthesis synthetic 11,800 6,000 2,800 15,000 2,900",
        "deduplicator 2,700 15.2%",
        "in LoRA adapters 0 50,000 50,000",
        "8 min 00 s",
        "931.8 MiB (resident)",
        "adapter_model.safetensors 120.6 KiB",
        "optimizer.learning rate 0.001 2e−5",
        "data 3.11.7 some-package 1.2.3",
        "8 questions with this pattern",
        "synthetic open 40 9 0 3 1 2.5%",
        "raw open nothing 0 40 60.0% 50.0% to 70.0% text and image 0 40 57.5% 47.5% to 67.5% text 9 40",
        "text, similar image, text and image, 12 bits of the images' hashes differ question q7",
        "run metric score stderr 95% interval n clusters",
        "raw accuracy 60.0% 5.00% 50.0% to 70.0% 40 20",
    ):
        assert told.replace("\N{NO-BREAK SPACE}", " ") in words.replace("\N{NO-BREAK SPACE}", " "), told


def test_trainings_of_a_run_are_told_together_and_one_by_one(project):
    project.train_again("raw", 3)
    words = Structure(project.report()).words.replace("\N{NO-BREAK SPACE}", " ")
    for told in (
        "3 runs (1 trained in full and 2 trained as a LoRA adapter) answered 2 benchmarks",
        "raw was trained under 3 seeds.",
        "raw pretrained open 62.0% 40.0% +20.0 −1.0 to +41.0 questions, trainings 0.060",
        "raw open 62.0% 2.0 1.0 to 12.6 60.0% 64.0% 60.0%, 62.0%, 64.0%",
        "Those of raw cover the trainings too",
        "pretrained and synthetic were trained once, with seed 42.",
        "Accuracy by category pretrained raw synthetic shape 40.0% of 20 60.0% of 20 80.0% of 20",
        "method full lora lora lora lora",
    ):
        assert told in words, told
    figures = {name: (project.figures / f"{name}.svg").read_text() for name in ("loss", "scores")}
    assert ">raw-2<" not in figures["loss"], "a run's trainings share its place in the legend"
    curves = re.findall(rf'<path d="M [^"]*L [^"]*"[^>]*stroke: {light("run-2")}', figures["loss"])
    assert len(curves) >= 3, "one for each training, in the run's colour"
    assert figures["scores"].count("raw − pretrained") == 2 == figures["scores"].count("synthetic − raw")


def test_missing_values_are_said_to_be_missing(project):
    for run in ("pretrained", "raw", "synthetic"):
        project.write(f"checkpoints/{run}/summary.json", json.dumps({"run": run}))
        project.write(f"checkpoints/{run}/metrics.jsonl", "")
    words = Structure(project.report()).words
    assert "peak memory not recorded not recorded not recorded" in words
    assert "Whether training was healthy is not recorded. run pretrained raw synthetic" in words


def test_a_project_without_training_is_reported(project):
    page = Structure(project.report(run_manifests=[], summaries=[], metrics=[]))
    assert "3 not trained" in page.words and "training" not in page.ids


def test_same_input_same_bytes(project):
    def outputs():
        return [project.page.read_bytes(), *(file.read_bytes() for file in sorted(project.figures.iterdir()))]

    project.report()
    first = outputs()
    project.report()
    assert outputs() == first and len(first) == 7


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "checkpoints/raw/metrics.jsonl",
            '{"step": 1}\n{"step": 2',
            r"raw/metrics\.jsonl: line 2: not JSON.*; delete .*checkpoints/raw and .*/raw\.manifest\.json and run",
        ),
        ("checkpoints/raw/metrics.jsonl", '{"loss": 1}\n', r"line 1: step: is missing"),
        ("checkpoints/raw/summary.json", "[]", r"summary\.json: must be keys with values"),
        ("scores/raw/open.json", "{}", r"open\.json: run: is missing"),
        ("scores/compare.json", "", r"compare\.json: not JSON"),
        ("timings/train/raw.tsv", "", r"raw\.tsv: not a benchmark file"),
        ("timings/train/raw.tsv", "s\tmax_rss\nfast\t1\n", r"raw\.tsv: column s"),
        ("data/synthetic.manifest.json", "{}", r"not a readable manifest"),
    ],
)
def test_malformed_input_is_one_line(project, file, text, message):
    project.write(file, text)
    with pytest.raises(UserError, match=message) as caught:
        project.report()
    assert "\n" not in str(caught.value)
    assert not project.page.exists()


def test_missing_input_is_one_line(project):
    (project.results / "predictions/raw/open.jsonl").unlink()
    with pytest.raises(UserError, match=r"open\.jsonl: cannot be read .*run snakemake"):
        project.report()


DATA = ("seed_manifests", "synthesis_manifests", "dataset_manifests")
TRAINING = ("model_manifests", "run_manifests", "summaries", "metrics")
SCORES = ("model_manifests", "scores", "predictions", "comparison")


@pytest.mark.parametrize(
    ("made", "sections", "told"),
    [
        (DATA, {"data"}, "There are no runs. 1 dataset came of 1 seed (11,800 rows)."),
        (
            (*DATA, *TRAINING),
            {"data", "training"},
            "3 runs (1 trained in full and 2 trained as a LoRA adapter); there are no benchmarks.",
        ),
        (
            SCORES,
            {"scores", "answers"},
            "3 runs (3 not trained) answered 2 benchmarks; pretrained is the baseline run.",
        ),
    ],
    ids=("data alone", "training alone", "evaluation alone"),
)
def test_the_page_shows_what_there_is(project, made, sections, told):
    every = (*DATA, *TRAINING, *SCORES, "contamination", "timings")
    left_out = {name: None if name == "comparison" else [] for name in every if name not in made}
    page = Structure(project.report(**left_out))
    assert set(page.ids) & {"scores", "answers", "contamination", "data", "training"} == sections
    assert set(page.ids) >= {link[1:] for link in page.references if link.startswith("#")}
    assert told in page.words


def test_trainings_of_a_run_stay_together_without_benchmarks(project):
    project.train_again("raw", 2)
    nothing = {"scores": [], "predictions": [], "comparison": None, "contamination": []}
    page = Structure(project.report(**nothing, trainings='{"raw": ["raw", "raw-2"]}'))
    assert "raw was trained under 2 seeds." in page.words


def test_a_benchmark_without_any_score_has_a_page(project):
    for run in ("pretrained", "raw", "synthetic"):
        project.write_unscored(run, "open", "40 of 40 answers are empty (q0, q1, q2 and 37 more); look why")
    comparison = json.loads((project.results / "scores/compare.json").read_text())
    del comparison["benchmarks"]["open"]
    project.write("scores/compare.json", json.dumps(comparison))
    html = project.report()
    assert html.count('<span class="level look">not scored</span>') == 3
    project.arguments["scores"] = [path for path in project.arguments["scores"] if path.stem == "open"]
    project.arguments["comparison"] = None
    alone = project.report()
    assert 'href="#answers"' in alone and 'href="answers/open.html"' in alone and 'id="scores"' not in alone
    assert "Runs are not scored." in html and "40 of 40 answers are empty (q0, q1, q2 and 37 more); look why" in html
