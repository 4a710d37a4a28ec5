"""What each config plans: every config of the project, and the choices that change the rules themselves."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from project_copy import ROOT, Workflow, copy_project

import train
from syntune.artifacts.manifests import write_manifest
from syntune.recipes.reading import read_recipe
from syntune.recipes.stages import stages_of

SCATTERED = {"rows": "synthesize", "models": "synthesize_with_models"}
CONFIGS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "config").glob("*.yaml"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A copy of the project for all dry runs: they leave nothing behind."""
    return copy_project(tmp_path_factory.mktemp("dry")).folder


def texts(section: dict | list | str | int | float | None) -> Iterator[str]:
    """Every text in a config."""
    if isinstance(section, dict):
        section = list(section.values())
    if isinstance(section, list):
        for part in section:
            yield from texts(part)
    elif isinstance(section, str):
        yield section


def lay_data(folder: Path, config: dict) -> None:
    """Make what a config names in ``data/``: a name with an ending becomes an empty file, another one a folder."""
    for path in (folder / text for text in texts(config) if text.startswith("data/")):
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        else:
            path.mkdir(parents=True, exist_ok=True)


def trained_runs(config: dict) -> list[str]:
    return [name for name, run in config.get("runs", {}).items() if run["method"] != "none"]


def trainings(config: dict, runs: Iterable[str]) -> list[str]:
    """The trainings of runs: ``raw``, ``raw-2``, ``raw-3``."""
    numbers = {run: range(2, config["runs"][run].get("replicates", 1) + 1) for run in runs}
    return [name for run, further in numbers.items() for name in (run, *(f"{run}-{number}" for number in further))]


def jobs(config: dict) -> set[str]:
    """Every job of a config of which nothing has run."""
    seeds, datasets, models, runs, benchmarks = (
        config.get(section, {}) for section in ("seeds", "datasets", "models", "runs", "benchmarks")
    )
    trained = trained_runs(config)
    recipes = {name: dataset for name, dataset in datasets.items() if "recipe" in dataset}
    stages = {name: stages_of(read_recipe(ROOT / dataset["recipe"]), "") for name, dataset in recipes.items()}
    pairs = [f"{run}.{benchmark}" for run in trainings(config, runs) for benchmark in benchmarks]
    slices = config.get("prediction", {}).get("slices", 1)
    predicted = [f"{pair}.{number:03d}" for pair in pairs for number in range(slices)] if slices > 1 else pairs
    names = {
        "easy_vqa": [""] if any(text.startswith("results/easy-vqa/") for text in texts(config)) else [],
        "ingest_seed": seeds,
        **{rule: [] for rule in SCATTERED.values()},
        "percentiles": [],
        "select_rows": [],
        "rehearse_recipe": recipes,
        "gather_synthesis": recipes,
        "shard": datasets,
        "data_page": datasets,
        "decontaminate": {runs[run]["dataset"] for run in trained} if benchmarks else [],
        "contamination_pictures": {runs[run]["dataset"] for run in trained} if benchmarks else [],
        "prepare_base": models,
        "rehearse_training": trained,
        "rehearse_evaluation": runs,
        "clear_for_training": trainings(config, trained),
        "train": trainings(config, trained),
        "predict": predicted,
        "gather_predictions": pairs if slices > 1 else [],
        "score": pairs,
        "compare": [""] if pairs else [],
        "answers_page": benchmarks if pairs else [],
        "report": [""],
    }
    for name, dataset in recipes.items():
        chunks = [*(f"{chunk:05d}" for chunk in range(seeds[dataset["seed"]].get("chunks", 1))), "sample"]
        for stage in stages[name]:
            scopes = [f"{name}.{stage.number}.{scope}" for scope in ("", "-sample")]
            if stage.kind == "global":
                names["select_rows"] += scopes
            else:
                names[SCATTERED[stage.kind]] += [f"{name}.{stage.number}.{chunk}" for chunk in chunks]
            if stage.percentiles:
                names["percentiles"] += scopes
    return {f"{rule} {name}".strip() for rule, wildcards in names.items() for name in wildcards}


def variant(folder: Path, name: str, **changes: dict) -> tuple[Workflow, dict]:
    """The small config with entries added to its sections, or put into entries that it has."""
    config = yaml.safe_load((folder / "small.yaml").read_text())
    for section, entries in changes.items():
        for key, value in entries.items():
            known = config.setdefault(section, {})
            known[key] = {**known[key], **value} if key in known else value
    lay_data(folder, config)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
    return Workflow(folder, f"{name}.yaml"), config


def test_the_demo(folder):
    """It is what runs when no config is named."""
    assert Workflow(folder, None).planned() == jobs(yaml.safe_load((folder / "config.yaml").read_text()))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_of_the_project(folder, name):
    config = yaml.safe_load((folder / name).read_text())
    lay_data(folder, config)
    assert Workflow(folder, name).planned() == jobs(config)


def test_held_out_rows_come_before_every_shard(folder):
    workflow, config = variant(
        folder, "holdout", datasets={"synthetic": {"holdout": "10%"}}, runs={"synthetic": {"eval_steps": 2}},
        benchmarks={"mine": {"protocol": "vqa", "holdout": "synthetic"}},
    )  # fmt: skip
    assert workflow.planned() == jobs(config) | {"hold_out synthetic"}
    before = workflow.planned("results/data/raw.manifest.json")
    assert {"gather_synthesis synthetic", "hold_out synthetic", "shard raw"} <= before
    assert "shard synthetic" not in before
    commands = workflow.snakemake("-n", "-p").stdout
    validated = re.findall(r"python scripts/(\w+)\.py --run (\S+) .*--holdout results/data/synthetic", commands)
    assert sorted(validated) == [("rehearse_training", "synthetic"), ("train", "synthetic")]


def lay_questions(folder: Path) -> None:
    """Files of one question each, by protocol, about a picture that is there."""
    asked = {"question": "Is it red?", "answer": "yes"}
    rows = {"vqa": asked, "choice": asked | {"options": ["yes", "no"]}, "caption": {"answer": "A red dot."}}
    (folder / "data/own").mkdir(parents=True, exist_ok=True)
    (folder / "data/own/red.png").touch()
    for kind, row in rows.items():
        (folder / f"data/own/{kind}.jsonl").write_text(json.dumps({"id": 1, "image": "red.png"} | row))


def test_questions_of_ones_own_are_planned(folder):
    lay_questions(folder)
    own = {
        f"own-{kind}": {"protocol": kind, "questions": f"data/own/{kind}.jsonl", "prompt": prompt}
        for kind, prompt in (("vqa", "{question} {{run}}"), ("choice", "{question} {options}"), ("caption", "Say it."))
    }
    workflow, config = variant(folder, "own", benchmarks=own)
    assert workflow.planned() == jobs(config)


def test_questions_that_cannot_be_asked_are_named_in_the_plan(folder):
    lay_questions(folder)
    (folder / "data/own/odd.jsonl").write_text('{"id": 1, "image": "red.png", "question": "a?", "anser": "b"}')
    own = {"mine": {"protocol": "vqa", "questions": "data/own/odd.jsonl"}}
    workflow, _ = variant(folder, "odd", benchmarks=own)
    told = workflow.snakemake("-n").stdout
    line = "benchmarks.mine.questions: data/own/odd.jsonl: line 1: anser: unknown key; did you mean 'answer'?"
    assert line in told and "Traceback" not in told


def test_the_planned_command_of_a_training_is_one_that_its_script_takes(folder):
    """Without a tracker, too, whose option then has no value."""
    workflow = Workflow(folder)
    (command,) = re.findall(r"python scripts/train\.py (--run raw .*) 2>&1", workflow.snakemake("-n").stdout)
    given = train.parser().parse_args(shlex.split(command))
    assert (given.run, given.wandb, given.holdout) == ("raw", None, None)


def test_a_tracker_wants_its_package(tmp_path):
    workflow = copy_project(tmp_path)
    config = yaml.safe_load((tmp_path / "small.yaml").read_text())
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(config | {"tracker": "wandb"}))
    told = workflow.snakemake("-n").stdout
    assert "error: small.yaml: tracker: envs/train.yaml does not name wandb; add '- wandb==0.31.0' to its pip" in told
    spec = tmp_path / "envs/train.yaml"
    spec.write_text(spec.read_text().replace("      - torch==", "      - wandb==0.31.0\n      - torch=="))
    commands = workflow.snakemake("-n").stdout
    assert re.search(r"--run raw .* --wandb results(/small)?/wandb --environment train", commands)


def test_a_dataset_that_fills_no_step_is_told_of_in_the_plan(folder):
    workflow, _ = variant(folder, "few", runs={"raw": {"max_steps": None, "global_batch_size": 500}})
    manifest = folder / "results/data/raw.manifest.json"
    manifest.parent.mkdir(parents=True, exist_ok=True)
    write_manifest(manifest, stage="shard", name="raw", parts=[], rows_out=20)
    try:
        told = workflow.snakemake("-n").stdout
    finally:
        manifest.unlink()
    assert "runs.raw.global_batch_size: 20 rows in 1 epochs do not fill one step of 500; lower it" in told


def test_a_run_may_start_from_one_that_is_not_trained(folder):
    workflow, config = variant(folder, "untrained", runs={"raw": {"start": "before"}})
    assert workflow.planned() == jobs(config)


def test_what_models_of_a_recipe_ask_and_see_is_told_in_the_plan(folder):
    models = {
        "clip": {"source": "scorer", "path": "data/clip"},
        "captioner": {"source": "endpoint", "base_url": "https://localhost/v1", "model": "m"},
    }
    recipe = {"recipe": "config/recipes/recaption-endpoint.yaml"}
    runs = {run: {"transparency": "ignore"} for run in ("pretrained", "raw", "synthetic")}  # it mixes raw in
    told = {}
    for name, pixels in (("apart", {}), ("alike", {"transparency": "ignore"})):
        workflow, _ = variant(folder, name, datasets={"raw": recipe | pixels}, models=models, runs=runs)
        told[name] = workflow.snakemake("-n").stdout
    assert all("dataset raw: captioner: at most 150 calls, about " in text for text in told.values())
    assert "dataset raw: the models of its recipe see images otherwise than raw, synthetic; set" in told["apart"]
    assert "see images otherwise" not in told["alike"]


def test_slices_are_gathered(folder):
    workflow, config = variant(folder, "slices", prediction={"slices": 3})
    planned = workflow.planned()
    assert planned == jobs(config)
    assert {"predict raw.open.000", "predict raw.open.002", "gather_predictions raw.open"} <= planned


def test_an_adapter_model_is_merged_into_its_base(folder):
    adapter = {"source": "adapter", "base": "tiny", "path": "data/adapter"}
    start = {"method": "none", "start": "merged", "gpus": 0}
    workflow, _ = variant(folder, "adapter", models={"merged": adapter}, runs={"as-it-is": start})
    tokenizer_data = {"ingest_seed easy-vqa", "rehearse_recipe synthetic", "gather_synthesis synthetic"}
    tokenizer_data |= {f"synthesize synthetic.1.{chunk}" for chunk in ("00000", "00001", "sample")}
    tokenizer_data |= {"select_rows synthetic.2.", "select_rows synthetic.2.-sample", "shard synthetic"}
    assert workflow.planned("results/rehearsal/as-it-is/passed.json") == {
        "easy_vqa", *tokenizer_data, "prepare_base tiny", "prepare_base merged", "rehearse_evaluation as-it-is",
    }  # fmt: skip


def test_a_hub_model_needs_nothing_local(folder):
    hub = {"source": "hub", "repo": "owner/name", "revision": "0123456789abcdef0123456789abcdef01234567"}
    start = {"method": "none", "start": "remote", "gpus": 0}
    workflow, _ = variant(folder, "hub", models={"remote": hub}, runs={"as-it-is": start})
    assert workflow.planned("results/rehearsal/as-it-is/passed.json") == {
        "easy_vqa", "prepare_base remote", "rehearse_evaluation as-it-is",
    }  # fmt: skip


def test_cuda_kernels_move_one_run_to_their_environment(folder, tmp_path):
    runs = {run: {"gpus": 1} for run in ("pretrained", "synthetic", "before")}
    workflow, config = variant(folder, "kernels", runs=runs | {"raw": {"gpus": 1, "cuda_kernels": True}})
    done = workflow.snakemake("-n", "-p", "--conda-prefix", str(tmp_path))
    assert done.returncode == 0, done.stdout
    commands = re.findall(r"python scripts/(\w+)\.py --run (\S+) .*--environment (\S+)", done.stdout)
    assert sorted(commands) == sorted(
        (script, run, "train-cuda" if run == "raw" else "train")
        for script in ("rehearse_training", "train")
        for run in trained_runs(config)
    )
    made = set(re.findall(r"Conda environment envs/(\S+)\.yaml will be created", done.stdout))
    assert made == {"data", "train", "train-cuda", "eval", "report"}


def test_one_gpu_answers_for_a_run_that_several_train(folder):
    on_gpus = {run: {"gpus": 1} for run in ("pretrained", "synthetic", "before")} | {"raw": {"gpus": 4}}
    workflow, _ = variant(folder, "gpus", runs=on_gpus)
    done = workflow.snakemake("-n", "-p")
    assert done.returncode == 0, done.stdout
    asked = re.findall(r"python scripts/(rehearse_evaluation|predict)\.py --run raw .*--gpus (\d)", done.stdout)
    assert {script: gpus for script, gpus in asked} == {"rehearse_evaluation": "1", "predict": "1"}


@pytest.mark.parametrize(
    ("name", "target", "missing"),
    [
        ("data-only", "rehearsal", "runs"),
        ("data-only", "scores", "runs with benchmarks"),
        ("evaluate-only", "data", "datasets"),
        ("evaluate-only", "checkpoints", "runs that train"),
        ("train-only", "scores", "runs with benchmarks"),
    ],
)
def test_a_target_that_has_nothing_to_make_says_so(folder, name, target, missing):
    config = f"config/{name}.yaml"
    lay_data(folder, yaml.safe_load((folder / config).read_text()))
    done = Workflow(folder, config).snakemake(target, "-n")
    assert done.returncode == 1
    assert f"error: {config}: this target has nothing to make, for there are no {missing}\n" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_model_that_nothing_uses_is_not_prepared(folder):
    workflow, config = variant(folder, "unused", models={"other": {"source": "local", "path": "data/other"}})
    assert workflow.planned() == jobs(config) - {"prepare_base other"}


def test_a_project_in_a_folder_with_braces_is_refused(tmp_path):
    done = copy_project(tmp_path / "my {own} folder").snakemake("-n")
    assert done.returncode == 1
    assert "my {own} folder: Snakemake takes braces in a path for wildcards; rename the folder" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_config_has_its_own_results_and_shared_caches(folder):
    """Nothing of another config's is touched; what two configs share in one folder is told."""
    workflow, _ = variant(folder, "mine")
    text = (folder / "mine.yaml").read_text().replace("results: results\n", "")
    (folder / "mine.yaml").write_text(text)
    done = workflow.snakemake("-n", "-p")
    assert done.returncode == 0, done.stdout
    elsewhere = set(re.findall(r"(?<![\w./-])results/(?!mine/)[\w-]+/\w+", done.stdout))
    assert {path for path in elsewhere if "easy" not in path} == {"results/cache/images", "results/cache/predictions"}
    (folder / "results/mine").mkdir(parents=True)
    (folder / "results/mine/made-with.txt").write_text("config/mine.yaml\n")
    assert "results/mine holds what config/mine.yaml made; mine.yaml replaces what differs" in (
        workflow.snakemake("-n").stdout
    )


def commands_of_docs() -> set[str]:
    """Every call of Snakemake in the docs whose arguments can be planned, with none of the options that plan alike."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    calls = [call for page in pages for call in re.findall(r"(?:^|`)snakemake\b([^`#|\n]*)", page.read_text(), re.M)]
    alike = r"(?<!\S)(?:-n|--printshellcmds|--cores \S+|--verbose)(?!\S)"
    found = {" ".join(re.sub(alike, "", call).split()).replace("RUN", "raw") for call in calls}
    return {call for call in found if not re.search(r"--(report|unlock|rulegraph)|[A-Z]{3}|\.\.\.", call)}


def test_the_commands_of_the_docs_can_be_called(folder):
    """No option swallows a target, and every target, rule, profile and config is there."""
    datasets = {name: {"seed": "easy-vqa"} for name in ("my", "my-short")}
    for name in ("config/my", "config/pictures"):
        _, config = variant(folder, name, datasets=datasets)
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**config, "results": None}))
    for name in CONFIGS:
        lay_data(folder, yaml.safe_load((folder / name).read_text()))
    commands = commands_of_docs()
    assert {"data --configfile config/my.yaml", "--workflow-profile profiles/slurm"} <= commands
    planned = {f"--configfile {name}" for name in CONFIGS}  # tested above
    for command in sorted(commands - planned):
        done = Workflow(folder, None).snakemake(*command.split(), "-n")
        assert done.returncode == 0, f"snakemake {command}: {done.stdout}"


def test_a_run_that_will_not_fit_is_refused_before_anything_runs(folder):
    """By the plan's prediction, of a model whose config alone is here; the plan itself is made all the same."""
    (folder / "data/big").mkdir(parents=True)
    (folder / "data/big/config.json").write_text('{"model_type": "mgm"}')
    config = yaml.safe_load((folder / "small.yaml").read_text())
    config = {
        "seeds": config["seeds"],
        "datasets": {"raw": config["datasets"]["raw"]},
        "models": {"big": {"source": "local", "path": "data/big"}},
        "runs": {"raw": {"method": "lora", "start": "big", "dataset": "raw"}},
        "plan": {"gpu_memory_gib": 15},
    }
    (folder / "too-large.yaml").write_text(yaml.safe_dump(config))
    workflow = Workflow(folder, "too-large.yaml")
    done = workflow.snakemake("-n")
    assert done.returncode == 1
    assert "runs.raw: needs about" in done.stdout and "gradient_checkpointing: true" in done.stdout
    done = workflow.snakemake("plan")
    assert done.returncode == 0, done.stdout
    assert "DOES NOT FIT 15 GiB" in done.stdout and "Jobs: not told: too-large.yaml: runs.raw: needs" in done.stdout


def test_the_plan_tells_what_a_dry_run_plans_and_has_a_page(folder):
    workflow = Workflow(folder, "small.yaml")
    done = workflow.snakemake("plan", "--config", "title=Called so", "prediction={slices: 2}")
    assert done.returncode == 0, done.stdout
    jobs = json.loads((folder / "results/plan/plan.json").read_text())["jobs"]
    counted = {
        rule: sum(job["number"] for job in jobs if job["rule"] == rule) for rule in {job["rule"] for job in jobs}
    }
    names = [name.split()[0] for name in workflow.planned("--config", "prediction={slices: 2}")]
    assert counted == {rule: names.count(rule) for rule in names}
    page = (folder / "results/report/plan.html").read_text()
    assert "Plan: Called so" in page and "not made yet" in page
