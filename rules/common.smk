"""The settings, checked before anything runs, and what rules ask of them.

A folder ``X`` has a manifest ``X.manifest.json`` beside it. Rules take both: the manifest says when the folder changed,
so the folder itself is ``ancient()``.

``<results>`` in a rule's paths and ``RESULTS`` in Python are the folder of the config's results.
"""

import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

try:
    from syntune.artifacts.manifests import read_manifest
    from syntune.benchmarks.first_questions import check_first_questions
    from syntune.contents import Contents
    from syntune.errors import UserError
    from syntune.files import canonical_json, write_json
    from syntune.interpreter import spec_digest
    from syntune.planned import read_plan, require_planned_recipes, write_plan
    from syntune.recipes.endpoint_cost import costs_of_recipe
    from syntune.recipes.files import named_files
    from syntune.recipes.model_parameters import MODEL_OPERATORS, check_models
    from syntune.recipes.reading import read_recipe
    from syntune.recipes.stages import Stage, stages_of
    from syntune.settings.comparisons import baseline_run, pairs_to_compare
    from syntune.settings.file_states import files_at, sizes, times_and_sizes
    from syntune.settings.holdout_names import QUESTIONS, SHARD
    from syntune.settings.holdouts import ask_held_out, asked_of, holdout_folder
    from syntune.settings.methods import METHODS
    from syntune.settings.paths import check_paths
    from syntune.settings.reading import read_settings
    from syntune.settings.replicates import write_out
    from syntune.settings.results import is_made, other_config, remember_config, results_folder
    from syntune.settings.seed_files import images_folder, watched_files
    from syntune.settings.seed_state import images_below, seed_state
    from syntune.settings.steps import refuse_too_few_rows
    from syntune.settings.env_specs import require_equal_torchvision, require_tracker
    from syntune.settings.tree import Settings, as_params
    from syntune.sources import SCRIPTS, file_digests, give_digests, parse_once
    from syntune.yaml_files import read_yaml
except ImportError as error:
    sys.exit(f"error: {error}; Snakemake must run in the environment that 'make setup' makes: . .venv/bin/activate")

try:
    configs = [os.path.relpath(file) for file in workflow.overwrite_configfiles]
    config_name = ", ".join(configs) or "config.yaml"
    plan = None if workflow.is_main_process else read_plan()
    if plan:
        require_planned_recipes(plan)
        config = plan.config
    if workflow.is_main_process:
        for file in configs or ["config.yaml"]:
            if not file.endswith(".json"):
                read_yaml(file)  # refuses a key that stands twice, of which Snakemake takes the last
    settings = read_settings(config, Settings, config_name)
    RESULTS = results_folder(configs, settings.results)
    check_paths(settings, config_name, made_by_rules="results/easy-vqa")
    if workflow.is_main_process:
        for name, benchmark in settings.benchmarks.items():
            check_first_questions(benchmark, f"{config_name}: benchmarks.{name}.questions")
except UserError as error:
    sys.exit(f"error: {error}")

config["results"] = RESULTS  # jobs of this call take it from the plan


pathvars:
    results=RESULTS,


if workflow.is_main_process and (other := other_config(RESULTS, config_name)):
    print(
        f"{RESULTS} holds what {other} made; {config_name} replaces what differs (to keep both, set results in one)",
        file=sys.stderr,
    )

if workflow.is_main_process:
    from syntune.terminal.handler import take_over

    take_over(workflow, f"{RESULTS}/logs")

if plan:
    give_digests(plan.digests())
else:
    parse_once(Path(".snakemake/syntune-sources.json"))

TRAININGS = {run: settings.trainings(run) for run in settings.runs}
REHEARSED_AS = {training: run for run, trainings in TRAININGS.items() for training in trainings}
BASELINE, COMPARED_PAIRS = baseline_run(settings), pairs_to_compare(settings)
ASKED_OF = asked_of(settings)
settings = ask_held_out(write_out(settings), RESULTS)
"""Each run of the config with its trainings, and each training with its run, which is rehearsed for all of them; what
is compared with what. From here on, each training is a run of the settings."""


onstart:
    if workflow.is_main_process:
        try:
            if workflow.executor_plugin.name == "slurm":
                from syntune.cluster import require_room

                require_room(workflow.dag, workflow.executor_settings.partition_config)
            recipes = [dataset.recipe for dataset in settings.datasets.values() if dataset.recipe]
            write_plan(config, [*recipes, *(file for recipe in RECIPES.values() for file in named_files(recipe))])
            remember_config(RESULTS, config_name)
        except UserError as error:
            sys.exit(f"error: {error}")


def one_of(names: Iterable[str]) -> str:
    """A pattern for names; one that matches nothing where there are none."""
    return "|".join(names) or "(?!)"


wildcard_constraints:
    seed=one_of(settings.seeds),
    dataset=one_of(settings.datasets),
    model=one_of(settings.models),
    run=one_of(settings.runs),
    benchmark=one_of(settings.benchmarks),
    chunk=r"\d{5}|sample",
    stage=r"\d+",
    scope="|-sample",
    slice=r"\d{3}",


VALUES = settings.model_dump(mode="json")
"""Every setting, for value_at()."""

SECTIONS = ("seeds", "datasets", "models", "runs", "benchmarks")
JSON = {section: {name: as_params(part) for name, part in getattr(settings, section).items()} for section in SECTIONS}
"""Each named section as the JSON that its command takes, for value_at()."""

ASKED = {name: benchmark.asking() for name, benchmark in settings.benchmarks.items()}
"""Each benchmark as JSON without what only scoring reads: a change of that asks nothing anew."""

PIXELS = {name: run.pixels().model_dump_json(exclude_defaults=True) for name, run in settings.runs.items()}
"""How each run sees images, as the JSON that its commands take, for value_at()."""

TRAINED = [name for name, run in settings.runs.items() if METHODS[run.method].is_trained]
WITH_RECIPE = [name for name, dataset in settings.datasets.items() if dataset.recipe]
SEARCHED = list(dict.fromkeys(settings.runs[name].dataset for name in TRAINED)) if settings.benchmarks else []
"""The runs that train; the datasets that have a recipe; those that some run trains on, searched for benchmarks."""

if workflow.is_main_process and TRAINED:
    try:
        environments = sorted({settings.runs[name].environment for name in TRAINED})
        require_equal_torchvision([*environments, "eval"])
        for name in environments if settings.tracker else []:
            require_tracker(settings.tracker, name)
    except UserError as error:
        sys.exit(f"error: {config_name}: {error}")


def warn_of_too_few_rows(run: str) -> None:
    """Say that a run's dataset, where it was made before, fills no step of it: its rehearsal would stop."""
    manifest = Path(f"{RESULTS}/data/{settings.runs[run].dataset}.manifest.json")
    try:
        refuse_too_few_rows(run, settings.runs[run], read_manifest(manifest).rows_out if manifest.exists() else None)
    except UserError as error:
        print(f"{error} ({manifest} as it was last made)", file=sys.stderr)


if workflow.is_main_process:
    for name in filter(TRAINED.__contains__, TRAININGS):  # their first trainings
        warn_of_too_few_rows(name)


def held_out(dataset: str, file: str) -> list[str]:
    """The manifest of what a dataset holds out, and one of its files."""
    folder = holdout_folder(RESULTS, dataset)
    return [f"{folder}.manifest.json", ancient(f"{folder}/{file}")]


HELD_OUT = {name: held_out(name, SHARD) for name in settings.held_out}
"""The rows that each dataset holds out; no dataset keeps one of them."""

MADE_FROM = [sorted(set().union(*names)) for names in zip(*map(settings.made_from, settings.runs))] or [[], [], []]
"""The models, the datasets and the seeds that the runs are made from."""

BENCHMARK_FILES = {
    name: held_out(ASKED_OF[name], QUESTIONS) if name in ASKED_OF else benchmark.files()
    for name, benchmark in settings.benchmarks.items()
}
BENCHMARK_IMAGES = {
    name: [ancient(folder) for folder in benchmark.folders()] for name, benchmark in settings.benchmarks.items()
}
"""Of each benchmark; the questions' hash covers the images that are asked about, so the folders' time says nothing."""

SLICES = [f"{index:03d}" for index in range(settings.prediction.slices)] if settings.prediction.slices > 1 else []
"""The slices that each benchmark's questions are dealt out to; none where one job answers them all."""


ANSWERED = list(settings.benchmarks) if settings.runs else []
PAIRS = expand("{run}.{benchmark}", run=settings.runs, benchmark=ANSWERED)
COMPARED = ["<results>/scores/compare.json"] if PAIRS else []
"""The benchmarks that runs answer; every run with each of them, as jobs are named; the comparison of their scores."""


def if_any(files: list[str], section: str) -> list[str] | Callable:
    """What a target asks for; where that is nothing, one line says which section of the config has no entries."""

    def say_so(wildcards) -> None:
        sys.exit(f"error: {config_name}: this target has nothing to make, for there are no {section}")

    return files or say_so


def value_at(path: str, within: dict[str, Any]) -> Callable:
    """What lies at ``path`` in nested mappings, as an input function; ``{name}`` in it stands for a job's wildcard.

    Snakemake's ``lookup`` compares ``path`` with everything there is, which takes longer than the rest of a job's plan.
    """
    keys = [(key.strip("{}"), key.startswith("{")) for key in path.split("/")]

    def value_for(wildcards):
        value = within
        for key, is_wildcard in keys:
            value = value[getattr(wildcards, key) if is_wildcard else key]
        return value

    return value_for


@cache
def code(script: str) -> list[str]:
    """A digest of what each source file of a rule's script does, as params: an edit of a comment changes none.

    One param a file, so that the reason for a job in ``snakemake -n`` names the file that changed.
    """
    return [f"scripts/{path} {digest}" for path, digest in file_digests(script).items()]


@cache
def spec_of(environment: str) -> str:
    """An env spec with a digest of what it makes, as a param: Snakemake's own holds the place of the environment, too.

    So a changed pin reruns its rules, and a comment or another place of the project or of its environments none.
    """
    return f"envs/{environment}.yaml {spec_digest(environment)[:16]}"


CONTENTS = Contents(Path(".snakemake/syntune-contents.json"))


def contents_of(*files: str) -> list[str]:
    """``PATH SHA256`` of each file, as params, for Snakemake sees no older one; it knows itself what rules make."""
    return [f"{file} {CONTENTS.of(file)}" for file in files if not is_made(file, RESULTS)]


@cache
def contents_of_benchmark(name: str) -> list[str]:
    """What a benchmark's files hold, and a digest of the sizes of its images, whose hashes would take too long."""
    benchmark = settings.benchmarks[name]
    images = {
        folder: images_below(folder, RESULTS, only_images=folder not in benchmark.folders())
        for folder in benchmark.places_of_images()
    }
    return [*contents_of(*benchmark.files()), *(f"{folder} {sizes(files)}" for folder, files in images.items())]


def asked_contents(wildcards) -> list[str]:
    """:func:`contents_of_benchmark` of a job's benchmark; of all of them where it is a job for all."""
    names = [wildcards.benchmark] if hasattr(wildcards, "benchmark") else settings.benchmarks
    return [line for name in names for line in contents_of_benchmark(name)]


def made(folders: list[str], manifests_as: str, folders_as: str) -> dict[str, list[str]]:
    """Two inputs of a rule, named as it names them: the manifests of what lies at ``folders``, and that itself."""
    return {
        manifests_as: [f"{folder}.manifest.json" for folder in folders],
        folders_as: [ancient(folder) for folder in folders],
    }


def seed_records(wildcards) -> dict[str, list[str]]:
    """The files of a seed. The time of its images' folder says nothing of its content."""
    seed = settings.seeds[wildcards.seed]
    folder = images_folder(seed)
    in_dag = folder and os.path.abspath(folder) != "/"  # Snakemake makes an empty path of the root's
    return {"records": watched_files(seed), "images": [ancient(folder)] if in_dag else []}


@cache
def state_of_seed(name: str) -> str:
    """A digest of the sizes and times of a seed's files, its images included."""
    seed = settings.seeds[name]
    return seed_state(watched_files(seed), images_folder(seed), seed.watch_images, RESULTS)


def seed_files_state(wildcards) -> str:
    """:func:`state_of_seed` of a job's seed: an older file or a changed image, which Snakemake alone would not see."""
    return state_of_seed(wildcards.seed)


def chunks_of(dataset: str) -> list[str]:
    """The chunks that a dataset's synthesis is scattered over: 00000, 00001, ..."""
    return [f"{index:05d}" for index in range(settings.seeds[settings.datasets[dataset].seed].chunks)]


def rows_of(dataset: str) -> dict[str, list[str]]:
    """A dataset's rows: the chunks that synthesis made or, without a recipe, its seed's folder."""
    if settings.datasets[dataset].recipe:
        return {"manifest": [f"{RESULTS}/synth/{dataset}.manifest.json"], "rows": synthesized_rows(dataset)}
    return made([f"{RESULTS}/seed/{settings.datasets[dataset].seed}"], "manifest", "rows")


def own_rows(wildcards) -> dict[str, list[str]]:
    """The rows of a dataset before anything is mixed in."""
    return rows_of(wildcards.dataset)


def holdout_settings(wildcards) -> str:
    """The settings that decide what a dataset holds out, and how it reads."""
    keys = {"seed", "holdout", "limit", "caption_prompts"}
    return settings.datasets[wildcards.dataset].model_dump_json(include=keys)


def rows_to_shard(wildcards) -> dict[str, list[str]]:
    """The rows that a dataset is sharded from: its own, and those that are mixed in."""
    own, *mixed = [rows_of(name) for name in (wildcards.dataset, *settings.datasets[wildcards.dataset].mix)]
    return {
        "rows_manifest": own["manifest"],
        "mix_manifests": [manifest for part in mixed for manifest in part["manifest"]],
        "rows": [rows for part in (own, *mixed) for rows in part["rows"]],
    }


def mix_arguments(wildcards, input) -> list[str]:
    """``NAME=MANIFEST`` for each dataset that is mixed in."""
    names = settings.datasets[wildcards.dataset].mix
    return [f"{name}={manifest}" for name, manifest in zip(names, input.mix_manifests)]


def synthesized(dataset: str) -> list[str]:
    """Those of a dataset and the datasets that are mixed into it that have a recipe."""
    return [name for name in (dataset, *settings.datasets[dataset].mix) if settings.datasets[name].recipe]


def synthesis_lineages(wildcards) -> list[str]:
    """What synthesis did to the rows that a dataset is sharded from."""
    return expand("<results>/synth/{name}.lineage.parquet", name=synthesized(wildcards.dataset))


def lineage_arguments(wildcards, input) -> list[str]:
    """``NAME=LINEAGE`` for each of these."""
    return [f"{name}={lineage}" for name, lineage in zip(synthesized(wildcards.dataset), input.lineages)]


def shown_seed(wildcards) -> dict[str, list[str]]:
    """The seed that a dataset's page shows beside its rows."""
    return made([f"{RESULTS}/seed/{settings.datasets[wildcards.dataset].seed}"], "seed", "seed_rows")


def ingredients(wildcards) -> dict[str, list[str]]:
    """What a base model is made of: local files, the dataset of its tokenizer, the base of an adapter."""
    model = settings.models[wildcards.model]
    files = []
    for path in map(Path, model.paths().values()):
        files += sorted(filter(Path.is_file, path.iterdir())) if path.is_dir() else [path]
    dataset, base = getattr(model, "tokenizer_dataset", None), getattr(model, "base", None)
    return {
        **made([f"{RESULTS}/data/{dataset}"] if dataset else [], "dataset", "shards"),
        **made([f"{RESULTS}/models/{base}"] if base else [], "base_manifest", "base"),
        "checkpoint": [str(file) for file in files],
    }


@cache
def state_of_weights(name: str) -> list[str]:
    """The local files and folders that a model's weights are read from, with a digest of their sizes and times."""
    return [f"{path} {times_and_sizes(files_at(path))}" for path in settings.models[name].paths().values()]


def weights_state(wildcards) -> list[str]:
    """:func:`state_of_weights` of a job's model."""
    return state_of_weights(wildcards.model)


def checkpoint_of(name: str) -> str:
    """The folder of a base model or of a run's checkpoint."""
    return f"{RESULTS}/models/{name}" if name in settings.models else f"{RESULTS}/checkpoints/{name}"


def run_base(wildcards) -> dict[str, list[str]]:
    """The base model at the root of a run."""
    return made([checkpoint_of(settings.ancestry(wildcards.run)[0])], "base", "base_folder")


def run_dataset(wildcards) -> dict[str, list[str]]:
    """The dataset that a run is trained on."""
    return made([f"{RESULTS}/data/{settings.runs[wildcards.run].dataset}"], "dataset", "shards")


def run_holdout(wildcards) -> dict[str, list[str]]:
    """What the dataset of a run holds out, if the run has validation losses."""
    run = settings.runs[wildcards.run]
    manifest, rows = HELD_OUT[run.dataset] if run.eval_steps else ([], [])
    return {"holdout": manifest, "held_out_rows": rows}


def run_start(wildcards) -> dict[str, list[str]]:
    """The checkpoints that a run starts from."""
    chain = settings.answering(settings.ancestry(wildcards.run)[:-1])
    return made([checkpoint_of(name) for name in chain], "start", "folders")


def answering(wildcards) -> dict[str, list[str]]:
    """The checkpoints that answer for a run."""
    chain = settings.answering(settings.ancestry(wildcards.run))
    return made([checkpoint_of(name) for name in chain], "manifests", "folders")


def rehearsed_answering(wildcards) -> dict[str, list[str]]:
    """The checkpoints that would answer for a run, its own as the rehearsal trained it."""
    base, *_, run = settings.ancestry(wildcards.run)
    places = {base: checkpoint_of(base), run: f"{RESULTS}/rehearsal/{run}/checkpoint"}
    return made([places[name] for name in settings.answering([base, run])], "manifests", "folders")


def answering_gpus(wildcards) -> int:
    """One GPU answers, however many a run is trained on; none where it is trained on the CPU."""
    return min(settings.runs[wildcards.run].gpus, 1)


def base_precision(wildcards) -> str:
    """In which the products with the frozen base are made while a run is trained."""
    run = settings.runs[wildcards.run]
    return run.base_precision if METHODS[run.method].is_trained else "bf16"


def training_environment(wildcards) -> str:
    """The name of the environment that a run is trained in."""
    return settings.runs[wildcards.run].environment


def training_env_spec(wildcards) -> str:
    """The env spec of that environment, relative to this folder."""
    return f"../envs/{training_environment(wildcards)}.yaml"


def training_spec(wildcards) -> str:
    """:func:`spec_of` that environment."""
    return spec_of(training_environment(wildcards))


def rehearsed(wildcards) -> str:
    """What the rehearsal of a run's first training trained a few steps of; the others differ in their seeds alone."""
    return f"{RESULTS}/rehearsal/{REHEARSED_AS[wildcards.run]}/rehearsed.json"


def rehearsed_settings(wildcards) -> str:
    """The settings that were rehearsed for a run: those of its first training."""
    return JSON["runs"][REHEARSED_AS[wildcards.run]]


def rehearsals_before(wildcards) -> list[str]:
    """The rehearsals of a run and of every run that builds on it."""
    names = [name for name in TRAININGS if REHEARSED_AS[wildcards.run] in settings.ancestry(name)]
    return expand("<results>/rehearsal/{run}/passed.json", run=names)


def trained_on(run: str) -> list[str]:
    """The datasets that a run and those that it builds on are trained on, each once."""
    return list(dict.fromkeys(settings.runs[name].dataset for name in settings.ancestry(run) if name in TRAINED))


def contamination_of(wildcards) -> list[str]:
    """The findings of every dataset that a run, or a run that it builds on, is trained on."""
    searched = [dataset for dataset in trained_on(wildcards.run) if dataset in SEARCHED]
    return expand("<results>/contamination/{dataset}.json", dataset=searched)


def contamination_pages_of(wildcards) -> list[str]:
    """The page of each of :func:`contamination_of`."""
    return [path.removesuffix("json") + "html" for path in contamination_of(wildcards)]


def benchmarks_as_object(*left_out: str) -> str:
    """What every benchmark asks, as one JSON object by name."""
    sections = (f'"{name}": {part.asking(*left_out)}' for name, part in settings.benchmarks.items())
    return "{" + ", ".join(sections) + "}"


def asked_benchmarks(wildcards) -> str:
    """What every benchmark asks; a function, since Snakemake would take ``{question}`` in a prompt for a wildcard."""
    return benchmarks_as_object()


def searched_benchmarks(wildcards) -> str:
    """What of every benchmark is searched for in the data."""
    return benchmarks_as_object("max_new_tokens")


def per_slice(path: str) -> str:
    """``path`` with the wildcard of a slice of questions before its ending; as it is, where there are no slices."""
    stem, ending = path.rsplit(".", 1)
    return f"{stem}.{{slice}}.{ending}" if SLICES else path


def slice_number(wildcards) -> int:
    """The number of a job's slice of the questions."""
    return int(getattr(wildcards, "slice", 0))


def fitting(wildcards) -> list[str]:
    """No file, but a refusal while jobs are planned, where a run is predicted not to fit the memory of its GPUs."""
    if settings.plan.gpu_memory_gib is None:
        return []

    from syntune.planning.plan import refuse_run  # which takes a while to import

    try:
        refuse_run(settings, wildcards.run, Path(RESULTS))
    except UserError as error:
        sys.exit(f"error: {config_name}: {error}")
    return []


def show_plan(log: Path) -> None:
    """Write and print what the config is predicted to take; it needs what Snakemake runs in and nothing else."""
    from syntune.planning.page import render_plan
    from syntune.planning.plan import plan_config
    from syntune.planning.table import plan_lines
    from syntune.terminal.dry_run import dry_run

    output, page = f"{RESULTS}/plan/plan.json", Path(RESULTS, "report/plan.html")
    try:
        predicted = plan_config(settings, Path(RESULTS))
    except UserError as error:
        sys.exit(f"error: {config_name}: {error}")
    try:
        jobs = {"jobs": dry_run(configs, workflow.config_settings.config)}
    except UserError as error:
        jobs = {"jobs_unknown": str(error)}
    predicted = predicted.model_copy(update=jobs)
    write_json(output, predicted.as_written())
    render_plan(predicted, settings, config_name, page)
    told = "\n".join([*plan_lines(predicted, settings.plan.gpu_memory_gib), f"written to {output} and {page}\n"])
    log.write_text(told, encoding="utf-8")
    print(told, end="", file=sys.stderr)
