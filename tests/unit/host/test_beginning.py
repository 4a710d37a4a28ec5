"""A first config: it reads back as it was meant, and its training has steps enough."""

import pytest
import yaml

from syntune.settings.beginning import first_config, name_for, training_size
from syntune.settings.reading import read_settings
from syntune.settings.seeds import SeedSettings
from syntune.settings.steps import whole_steps
from syntune.settings.tree import Settings


def config(rows: int = 984, name: str = "mine", base: str | None = None, tiny: bool = False, **seed) -> str:
    seed = SeedSettings(**{"path": "data/mine", **seed})
    schema = "../schemas/config.schema.json"
    return first_config(name, seed, rows, faults=[], has_short_answers=False, base=base, tiny=tiny, schema=schema)


def read(text: str) -> Settings:
    return read_settings(yaml.safe_load(text), Settings, "mine.yaml")


@pytest.mark.parametrize(
    ("rows", "size"),
    [
        (1, (8, 10, 1, 0.5)),
        (50, (8, 10, 62, 0.1)),
        (984, (8, 2, 246, 0.03)),
        (5_000, (32, 2, 312, 0.03)),
        (22_000, (128, 2, 343, 0.03)),
        (1_000_000, (128, 1, 7812, 0.03)),
    ],
)
def test_few_rows_get_small_steps_and_more_passes(rows, size):
    made = training_size(rows)
    assert made == size
    assert made.steps == whole_steps(rows, made.epochs, made.batch)


def test_without_a_base_model_it_makes_data_alone():
    text = config(images="my pictures", format="llava")
    settings = read(text)
    assert settings.seeds["mine"] == SeedSettings(path="data/mine", images="my pictures", format="llava")
    assert settings.datasets["mine"].recipe == "config/recipes/clean.yaml"
    assert not settings.models and not settings.runs


def test_without_its_comment_signs_it_rehearses_on_a_cpu():
    lines = config().splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("# To train")) + 1
    settings = read("\n".join([*lines[:start], *(line.removeprefix("# ") for line in lines[start:])]))
    assert settings == read(config(tiny=True))


def test_a_rehearsal_needs_no_gpu_and_no_model():
    settings = read(config(name="icons", tiny=True))
    assert settings.models["base"].tokenizer_dataset == "icons"
    assert [run.gpus for run in settings.runs.values()] == [0, 0]
    run = settings.runs["icons-tiny"]
    assert (run.method, run.precision, run.max_steps, run.save_steps) == ("full", "fp32", 60, 6)
    assert not run.gradient_checkpointing and run.optimizer.learning_rate == 3e-3
    assert settings.benchmarks["held-out"].empty_answers == "wrong"


def test_a_run_saves_ten_times_or_every_50_steps():
    assert [read(config(rows, base="FOLDER")).runs["mine-lora"].save_steps for rows in (1, 984, 10**6)] == [1, 22, 50]


def test_a_tenth_is_held_out_and_scored():
    settings = read(config(984, base="FOLDER"))
    assert settings.datasets["mine"].holdout == 98 and settings.runs["mine-lora"].eval_steps == 45
    assert (settings.benchmarks["held-out"].protocol, settings.benchmarks["held-out"].holdout) == ("caption", "mine")
    assert "\n# contamination: {max_share: 0.01, " in config(984, base="FOLDER")
    assert read(config(10**6)).datasets["mine"].holdout == 500
    few = read(config(19, base="FOLDER"))
    assert few.datasets["mine"].holdout is None and few.runs["mine-lora"].eval_steps is None and not few.benchmarks


def test_a_base_model_of_the_hub_is_pinned():
    model = read(config(base=f"owner/name@{'0' * 40}")).models["base"]
    assert (model.source, model.repo, model.revision) == ("hub", "owner/name", "0" * 40)


@pytest.mark.parametrize("text", ["yes", "12", "null", "a: b", "C'est", "#1", "-x", '"', "größe"])
def test_names_and_paths_stay_texts(text):
    assert read(config(path=f"{text}/x")).seeds["mine"].path == f"{text}/x"
    assert read(config(path=text)).seeds["mine"].path == text


@pytest.mark.parametrize("name", ["yes", "12", "null"])
def test_a_name_that_yaml_reads_otherwise_is_quoted(name):
    assert read(config(name=name)).title == name


@pytest.mark.parametrize(
    ("path", "name"),
    [("x/my photos/", "my-photos"), ("train.json", "train"), ("data", "my-data"), ("*.parquet", "mine"), ("ö", "mine")],
)
def test_the_name_follows_the_data(path, name):
    assert name_for(path) == name
