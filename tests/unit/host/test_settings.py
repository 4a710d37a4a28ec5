"""The config: what it admits, and the one line that it answers a mistake with."""

import json
import re
import runpy
from pathlib import Path
from shutil import copytree

import pytest
import yaml

from syntune.errors import UserError
from syntune.settings.benchmarks import BenchmarkSettings
from syntune.settings.comparisons import baseline_run, pairs_to_compare
from syntune.settings.holdouts import ask_held_out
from syntune.settings.paths import MADE, check_paths
from syntune.settings.reading import read_params, read_settings
from syntune.settings.replicates import write_out
from syntune.settings.runs import TrainedRunSettings
from syntune.settings.seeds import SeedSettings
from syntune.settings.tree import Settings, as_params, json_schema

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = [ROOT / "config.yaml", *sorted((ROOT / "config").glob("*.yaml")), ROOT / "perf/proof/proof.yaml"]
SECTIONS = ("seeds", "datasets", "models", "runs", "benchmarks")
MADE_BY_RULES = "results/easy-vqa"


def demo() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def changed(path: str, value) -> dict:
    """The demo's config with one key set; a value of None removes it."""
    config = demo()
    *above, last = path.split("/")
    section = config
    for key in above:
        section = section[key]
    if value is None:
        del section[last]
    else:
        section[last] = value
    return config


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_every_config_that_ships_is_valid(file):
    read_settings(yaml.safe_load(file.read_text()), Settings, file.name)


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("sedes", {}, "config.yaml: sedes: unknown key; did you mean 'seeds'?"),
        ("runs/raw/lora", {"rnak": 4}, "config.yaml: runs.raw.lora.rnak: unknown key; known: r, alpha, dropout"),
        ("runs/raw/lora", {"alhpa": 4}, "config.yaml: runs.raw.lora.alhpa: unknown key; did you mean 'alpha'?"),
        ("runs/raw/epoch", 2, "config.yaml: runs.raw.epoch: unknown key; did you mean 'epochs'?"),
        ("seeds/easy-vqa/chunk", 2, "config.yaml: seeds.easy-vqa.chunk: unknown key; did you mean 'chunks'?"),
        (
            "benchmarks/stand-in-choice/tabel",
            "x",
            "benchmarks.stand-in-choice.tabel: unknown key; did you mean 'table'?",
        ),
        ("runs/raw/lora", {"r": 0}, "config.yaml: runs.raw.lora.r: Input should be greater than or equal to 1"),
        (
            "runs/raw/lora",
            {"targets": "(q_proj"},
            "runs.raw.lora.targets: '(q_proj' is no regular expression: missing )",
        ),
        ("runs/raw/random_seed", -1, "config.yaml: runs.raw.random_seed: Input should be greater than or equal to 0"),
        (
            "runs/raw/method",
            "lorra",
            "config.yaml: runs.raw: method: 'lorra' is not one of 'lora', 'qlora', 'full', 'align', 'none'",
        ),
        ("runs/raw/method", None, "config.yaml: runs.raw: method is missing"),
        ("runs/raw", "x", "config.yaml: runs.raw: must be keys with values"),
        ("runs/raw/start", "a b", "runs.raw.start: 'a b' cannot be a name: letters from a to z, digits, -"),
        (
            "models/tiny",
            {"source": "hub", "repo": "owner/name", "revision": "main"},
            "models.tiny.revision: does not fit; wanted: commit, as its 40 hexadecimal digits",
        ),
        (
            "runs/raw/dataset",
            "nowhere",
            "runs.raw.dataset: 'nowhere' is not one of the datasets (captions, language, raw, synthetic)",
        ),
        ("runs/raw/start", "synthetic2", "runs.raw.start: 'synthetic2' is not one of the models and runs"),
        ("runs/raw/start", "raw", "runs start from each other in a circle"),
        (
            "runs/raw",
            {"method": "full", "start": "pretrained", "dataset": "raw", "train_vision": True, "zero": {"stage": 3}},
            "runs.raw: train_vision: vision towers cannot be trained under zero stage 3; take stage 2 or null",
        ),
        ("runs/raw/micro_batch_tokens", 100, "100 cannot hold a row of max_length 2048"),
        ("datasets/raw/seed", "none", "datasets.raw.seed: 'none' is not one of the seeds (easy-vqa)"),
        ("runs/raw/orientation", "ignore", "runs.raw.orientation: its start, run 'pretrained', has another"),
        ("runs/raw/transparency", "black", "runs.raw.transparency: its start, run 'pretrained', has another"),
        ("runs/raw/gpus", 1, "runs.raw.gpus: answers on a GPU (bfloat16) and on the CPU (float32) don't compare"),
        ("compare", "nobody", "compare: 'nobody' is not one of the runs"),
        ("comparisons", [["synthetic", "nobody"]], "comparisons: 'nobody' is not one of the runs"),
        ("comparisons", [["raw", "raw"]], "comparisons: 'raw' cannot be compared with itself; name two runs"),
        ("comparisons", [["raw"]], "config.yaml: comparisons.0.1: is missing"),
        ("runs/raw/replicates", 0, "config.yaml: runs.raw.replicates: Input should be greater than or equal to 1"),
        ("seeds", {}, "datasets.language.seed: 'easy-vqa' is not one of the seeds (none)"),
        ("models", {}, "runs.pretrained.start: 'tiny' is not one of the models and runs"),
        (
            "datasets/captions/mix/language",
            0,
            "config.yaml: datasets.captions.mix.language: Input should be greater than or equal to 1",
        ),
        ("seeds/easy-vqa/path", None, "config.yaml: seeds.easy-vqa.path: is missing"),
        ("seeds/easy-vqa/path", 3, "config.yaml: seeds.easy-vqa.path: must be a path, or a list of paths"),
        ("seeds/easy-vqa/path", [], "config.yaml: seeds.easy-vqa.path: must be a path, or a list of paths"),
    ],
)
def test_a_mistake_is_one_line_with_the_key(path, value, line):
    with pytest.raises(UserError) as caught:
        read_settings(changed(path, value), Settings, "config.yaml")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [("seeds", "datasets"), ("seeds", "datasets", "models", "runs")])
def test_sections_that_are_not_needed_may_be_missing_or_empty(kept):
    config = demo()
    alone = {section: config[section] if section in kept else None for section in SECTIONS}
    settings = read_settings(alone, Settings, "config.yaml")
    assert settings == read_settings({name: config[name] for name in kept}, Settings, "config.yaml")
    assert baseline_run(settings) == ("pretrained" if "runs" in kept else None)


def test_a_config_that_asks_for_nothing_is_refused():
    with pytest.raises(UserError, match="config.yaml: there is nothing to make; name datasets of seeds, or runs of"):
        read_settings({"seeds": demo()["seeds"]}, Settings, "config.yaml")


def test_a_name_that_is_no_file_name_is_refused():
    config = demo()
    config["runs"]["a/b"] = config["runs"].pop("raw")
    with pytest.raises(UserError, match="runs.a/b: 'a/b' cannot be a name: letters from a to z, digits, - and _"):
        read_settings(config, Settings, "config.yaml")


def test_a_path_that_is_not_there_is_named_with_its_key(monkeypatch):
    monkeypatch.chdir(ROOT)
    settings = read_settings(changed("seeds/easy-vqa/path", "data/seed.jsonl"), Settings, "config.yaml")
    with pytest.raises(UserError, match=r"config.yaml: seeds.easy-vqa.path: data/seed.jsonl does not exist"):
        check_paths(settings, "config.yaml", MADE_BY_RULES)


def test_what_the_demo_makes_may_be_missing(monkeypatch, tmp_path):
    copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    check_paths(read_settings(demo(), Settings, "config.yaml"), "config.yaml", MADE_BY_RULES)


def test_the_demo_makes_what_its_rule_says():
    made = re.findall(rf'"{MADE_BY_RULES}/(.+?)"', (ROOT / "rules/demo.smk").read_text())
    assert sorted(made) == sorted(MADE)


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("seeds/easy-vqa/path", "results/easy-vqa/seeed.jsonl", "results/easy-vqa/seeed.jsonl does not exist"),
        ("seeds/easy-vqa/path", "results/easy-vqa/images", "results/easy-vqa/images is a folder; name a file"),
        ("seeds/easy-vqa/path", "config", "config holds no records of format jsonl"),
        ("seeds/easy-vqa/path", ["results/easy-vqa/seed.jsonl", "none"], "none does not exist"),
        ("seeds/easy-vqa/path", "config/*.parquet", "config/*.parquet matches nothing"),
        ("seeds/easy-vqa/images", "config.yaml", "config.yaml is a file; name a folder"),
        ("datasets/synthetic/recipe", "config/recipes", "config/recipes is a folder; name a file"),
        ("benchmarks/stand-in-open/annotations", "config", "config is a folder; name a file"),
        ("benchmarks/stand-in-open/images", "config.yaml", "config.yaml is a file; name a folder"),
        ("benchmarks/stand-in-choice/table", "config", "config is a folder; name a file"),
        ("benchmarks/stand-in-choice/table", "/dev/zero", "/dev/zero is no regular file"),
        ("datasets/synthetic/recipe", "/dev/zero", "/dev/zero is no regular file"),
        ("seeds/easy-vqa/path", "my{own}.jsonl", "my{own}.jsonl: a path cannot have braces"),
        ("benchmarks/stand-in-open/images", "my{own}", "my{own}: a path cannot have braces"),
    ],
)
def test_a_path_of_the_wrong_kind_is_named_with_its_key(path, value, line, monkeypatch):
    monkeypatch.chdir(ROOT)
    settings = read_settings(changed(path, value), Settings, "config.yaml")
    with pytest.raises(UserError) as caught:
        check_paths(settings, "config.yaml", MADE_BY_RULES)
    assert str(caught.value).startswith(f"config.yaml: {path.replace('/', '.')}: {line}")


def test_params_go_round(tmp_path):
    seed = SeedSettings(format="jsonl", path="a.jsonl", images="images")
    assert read_params(as_params(seed), SeedSettings) == seed
    (tmp_path / "seed.json").write_text(as_params(seed))
    assert read_params(f"@{tmp_path}/seed.json", SeedSettings) == seed
    with pytest.raises(UserError, match="--settings: cannot read"):
        read_params("@nowhere.json", SeedSettings)


def test_the_order_of_keys_changes_no_params():
    config = demo()
    shuffled = json.loads(json.dumps(config))
    shuffled["runs"]["raw"] = dict(reversed(shuffled["runs"]["raw"].items()))
    one, two = (read_settings(value, Settings, "config.yaml") for value in (config, shuffled))
    assert as_params(one.runs["raw"]) == as_params(two.runs["raw"])


@pytest.mark.parametrize(
    ("value", "amount"), [(200, 200), (0.1, 0.1), ("10%", 0.1), (1, 1)], ids=["rows", "share", "percent", "one"]
)
def test_a_holdout_is_a_number_or_a_share(value, amount):
    dataset = read_settings(changed("datasets/raw/holdout", value), Settings, "config.yaml").datasets["raw"]
    assert dataset.holdout == amount and type(dataset.holdout) is type(amount)
    assert read_params(as_params(dataset), type(dataset)) == dataset


@pytest.mark.parametrize("value", [0, 1.0, 1.5, -0.1, True, "ten", "110%"])
def test_a_holdout_that_is_neither_is_refused(value):
    with pytest.raises(UserError, match="datasets.raw.holdout: .*neither a number of rows, such as 200, nor a share"):
        read_settings(changed("datasets/raw/holdout", value), Settings, "config.yaml")


def test_keys_that_are_not_set_are_no_params():
    """So that datasets and runs of before they came are as they were."""
    settings = read_settings(demo(), Settings, "config.yaml")
    assert "holdout" not in as_params(settings.datasets["raw"])
    assert not {"eval_steps", "early_stop"} & settings.runs["raw"].model_dump().keys()


def test_a_benchmark_may_ask_about_held_out_rows():
    config = changed("datasets/raw/holdout", 20)
    config["benchmarks"]["mine"] = {"protocol": "vqa", "holdout": "raw"}
    mine = ask_held_out(read_settings(config, Settings, "config.yaml"), "results/x").benchmarks["mine"]
    assert (mine.questions, mine.prompt) == ("results/x/data/raw.holdout/questions.parquet", "{question}")
    assert read_params(as_params(mine), type(mine)) == mine
    config["benchmarks"]["mine"]["prompt"] = "{question} Briefly."
    mine = ask_held_out(read_settings(config, Settings, "config.yaml"), "results/x").benchmarks["mine"]
    assert mine.prompt == "{question} Briefly."


@pytest.mark.parametrize(
    ("benchmark", "line"),
    [
        ({"holdout": "synthetic"}, "benchmarks.mine.holdout: nothing is held out; set datasets.synthetic.holdout"),
        ({"holdout": "nope"}, "benchmarks.mine.holdout: 'nope' is not one of the datasets"),
        ({}, "either questions (a file) or holdout (a dataset that holds rows out) says what is asked"),
        ({"holdout": "raw", "questions": "q.jsonl"}, "either questions (a file) or holdout"),
        ({"holdout": "raw", "protocol": "choice"}, "holdout: held-out rows have no options; take protocol vqa"),
    ],
)
def test_a_benchmark_asks_about_one_thing_that_is_there(benchmark, line):
    config = changed("datasets/raw/holdout", 20)
    config["benchmarks"]["mine"] = {"protocol": "vqa", **benchmark}
    with pytest.raises(UserError, match=re.escape(line)):
        read_settings(config, Settings, "config.yaml")


def test_validation_needs_held_out_rows_and_early_stop_needs_validation():
    with pytest.raises(UserError, match=r"runs.raw.eval_steps: nothing is held out; set datasets.raw.holdout"):
        read_settings(changed("runs/raw/eval_steps", 50), Settings, "config.yaml")
    with pytest.raises(UserError, match="early_stop needs a validation loss: set eval_steps"):
        read_settings(changed("runs/raw/early_stop", {"patience": 2}), Settings, "config.yaml")


@pytest.mark.parametrize(
    ("run", "line"),
    [
        ({"method": "full"}, "needs a base that is frozen and in bf16: method lora or align, not full"),
        ({"method": "qlora"}, "needs a base that is frozen and in bf16: method lora or align, not qlora"),
        ({"gpus": 0}, "base_precision: fp8 needs a GPU and precision: bf16; set gpus: 1, or base_precision: bf16"),
        ({"gpus": 1, "precision": "fp32"}, "base_precision: fp8 needs a GPU and precision: bf16"),
    ],
)
def test_a_base_in_8_bits_is_frozen_and_on_a_gpu(run, line):
    trained = {"method": "lora", "start": "base", "dataset": "raw", "base_precision": "fp8"}
    with pytest.raises(UserError, match=re.escape(line)):
        read_settings(trained | run, TrainedRunSettings, "config.yaml")


def test_a_base_in_bf16_leaves_params_as_they_were():
    trained = {"method": "lora", "start": "base", "dataset": "raw"}
    plain = read_settings(trained | {"base_precision": "bf16"}, TrainedRunSettings, "config.yaml")
    assert "base_precision" not in plain.model_dump()
    rounded = read_settings(trained | {"base_precision": "int8"}, TrainedRunSettings, "config.yaml")
    assert rounded.model_dump()["base_precision"] == "int8"


def test_every_key_is_described():
    missing = [
        f"{name}.{key}"
        for name, definition in json_schema()["$defs"].items()
        for key, value in definition.get("properties", {}).items()
        if "description" not in value and key not in ("method", "source", "protocol")
    ]
    assert missing == []


def test_the_schema_in_the_repository_is_the_settings():
    assert json.loads((ROOT / "schemas/config.schema.json").read_text()) == json_schema()
    reference = runpy.run_path(str(ROOT / "tools/write_schema.py"))["reference"]
    assert (ROOT / "docs/reference/config.md").read_text() == reference(json_schema())


def test_the_checkpoints_that_answer_begin_with_the_last_that_stands_alone():
    trained = {"dataset": "raw", "gpus": 0}
    settings = read_settings(
        changed("compare", "full")
        | {
            "runs": {
                "full": {"method": "full", "start": "tiny", **trained},
                "adapter": {"method": "lora", "start": "full", **trained},
                "again": {"method": "qlora", "start": "adapter", **trained},
                "asked": {"method": "none", "start": "again", "gpus": 0},
                "aligned": {"method": "align", "start": "tiny", **trained},
            }
        },
        Settings,
        "config.yaml",
    )
    chains = {run: settings.answering(settings.ancestry(run)) for run in settings.runs}
    assert chains == {
        "full": ["full"],
        "adapter": ["full", "adapter"],
        "again": ["full", "adapter", "again"],
        "asked": ["full", "adapter", "again"],
        "aligned": ["tiny", "aligned"],
    }


CPU = {"dataset": "raw", "gpus": 0}


def with_runs(**runs: dict) -> Settings:
    """The demo's settings with other runs; each has what is not said of it."""
    filled = {name: CPU | {"method": "lora", "start": "tiny"} | run for name, run in runs.items()}
    return read_settings(changed("compare", None) | {"runs": filled}, Settings, "config.yaml")


def test_replicates_are_runs_of_their_own():
    settings = with_runs(
        base={"method": "full", "replicates": 2},
        shared={"method": "full"},
        tuned={"start": "base", "replicates": 2, "random_seed": 7},
        other={"start": "shared", "replicates": 3},
        last={"start": "base"},
    )
    runs = write_out(settings).runs
    assert {name: (run.start, run.random_seed) for name, run in runs.items()} == {
        "base": ("tiny", 42), "base-2": ("tiny", 43), "shared": ("tiny", 42),
        "tuned": ("base", 7), "tuned-2": ("base-2", 8),
        "other": ("shared", 42), "other-2": ("shared", 43), "other-3": ("shared", 44), "last": ("base", 42),
    }  # fmt: skip


def test_more_replicates_change_no_params_of_the_first():
    once, thrice = (write_out(with_runs(raw={"replicates": number})) for number in (1, 3))
    assert as_params(once.runs["raw"]) == as_params(thrice.runs["raw"])


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (
            {"raw": {"replicates": 2}, "raw-2": {}},
            "runs.raw.replicates: training 'raw-2' has the name of a run; rename that",
        ),
        (
            {"raw": {"replicates": 2}, "tuned": {"start": "raw", "replicates": 3}},
            "runs.tuned.replicates: 3 trainings cannot start from the 2 of 'raw'; set runs.raw.replicates to 1, for "
            "one start of all, or to 3 or more, for one each",
        ),
        ({"r" * 63: {"replicates": 2}}, "is above 64 characters; rename the run"),
    ],
)
def test_replicates_that_cannot_be_are_refused(runs, message):
    with pytest.raises(UserError, match=re.escape(message)):
        with_runs(**runs)


def pairs(settings: Settings) -> dict[tuple[str, str], list[str]]:
    return {(pair.run, pair.beside): pair.trained_once for pair in pairs_to_compare(settings)}


def test_runs_that_differ_in_their_data_are_compared():
    found = pairs(read_settings(demo(), Settings, "config.yaml"))
    assert found == {
        ("raw", "pretrained"): ["raw"],
        ("synthetic", "pretrained"): ["synthetic"],
        ("synthetic", "raw"): ["synthetic", "raw"],
    }


def test_named_comparisons_stand_for_those():
    settings = read_settings(changed("comparisons", [["raw", "synthetic"], ["pretrained", "raw"]]), Settings, "c")
    assert list(pairs(settings)) == [("raw", "pretrained"), ("synthetic", "pretrained"), ("raw", "synthetic")]


def test_a_comparison_knows_what_was_trained_once():
    two = {"replicates": 2}
    settings = with_runs(
        base={"method": "full"},
        raw={"start": "base", **two},
        synthetic={"start": "base", "dataset": "synthetic", **two},
        elsewhere={"method": "full", "dataset": "synthetic"},
        further={"start": "elsewhere", **two},
        first={"start": "raw", "dataset": "synthetic"},
    )
    found = pairs(settings)
    assert found["synthetic", "raw"] == [], "what both start from is given"
    assert found["raw", "base"] == []
    assert found["elsewhere", "base"] == ["elsewhere", "base"]
    assert found["further", "base"] == ["elsewhere", "base"]
    assert found["first", "base"] == ["raw", "first"], "it starts from one training of raw"


def test_what_only_scoring_reads_asks_nothing_anew():
    benchmark = {"protocol": "vqa", "questions": "q.jsonl"}
    plain, scored, asked = (
        read_settings(benchmark | change, BenchmarkSettings, "test")
        for change in (
            {},
            {"metric": "anls", "answer_pattern": "Answer: (.*)", "empty_answers": "wrong"},
            {"prompt": "{question} Briefly."},
        )
    )
    assert plain.asking() == scored.asking() != asked.asking()
    assert read_params(scored.asking(), BenchmarkSettings) == plain


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("benchmarks: {yes: {protocol: vqa}}", "c.yaml: benchmarks: YAML takes a name for True; write it in quotes"),
        ("seeds: {12: {path: a}}", "c.yaml: seeds: YAML takes a name for 12; write it in quotes"),
        ("off: 2", "c.yaml: YAML takes a name for False; write it in quotes"),
    ],
)
def test_a_name_that_yaml_takes_for_something_else_is_told(text, line):
    with pytest.raises(UserError, match=line):
        read_settings(yaml.safe_load(text), Settings, "c.yaml")
