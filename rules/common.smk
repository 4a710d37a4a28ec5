"""The settings, checked before anything runs, and the helpers that rules call."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

try:
    from syntune.errors import UserError
    from syntune.artifacts.manifests import read_manifest, training_inputs
    from syntune.settings.paths import check_paths
    from syntune.settings.reading import read_settings
    from syntune.settings.runs import BaseRunSettings
    from syntune.settings.tree import Settings, as_params
    from syntune.sources import source_files
except ImportError as error:
    sys.exit(f"error: {error}; Snakemake must run in the environment that 'make setup' makes: . .venv/bin/activate")

try:
    config_name = ", ".join(map(os.path.relpath, workflow.overwrite_configfiles)) or "config.yaml"
    settings = read_settings(config, Settings, config_name)
    check_paths(settings, config_name, made_by_rules="results/easy-vqa")
except UserError as error:
    sys.exit(f"error: {error}")


wildcard_constraints:
    seed="|".join(settings.seeds),
    dataset="|".join(settings.datasets),
    model="|".join(settings.models),
    run="|".join(settings.runs),
    benchmark="|".join(settings.benchmarks),
    chunk=r"\d{5}",
    slice=r"\d{3}",


def sources(script: str) -> list[str]:
    """The script of a rule and every library module that it imports, as inputs of the rule."""
    return [str(path.relative_to(workflow.basedir)) for path in source_files(script)]


def trained_runs() -> list[str]:
    """The runs that train."""
    return [name for name, run in settings.runs.items() if not isinstance(run, BaseRunSettings)]


def seed_params(wildcards) -> str:
    """The settings of a seed, as JSON."""
    return as_params(settings.seeds[wildcards.seed])


def seed_file(wildcards) -> str:
    """The file of a seed's records."""
    return settings.seeds[wildcards.seed].path


def seed_images(wildcards) -> list[str]:
    """The folder of a seed's images. Its time says nothing of its content, so it never triggers a rerun."""
    images = settings.seeds[wildcards.seed].images
    return [ancient(images)] if images else []


def seed_of(wildcards) -> str:
    """The manifest of the seed that a dataset is made from."""
    return f"results/seed/{settings.datasets[wildcards.dataset].seed}.manifest.json"


def seed_rows(wildcards) -> str:
    """The rows of the seed that a dataset is made from; its manifest says when they changed."""
    return ancient(f"results/seed/{settings.datasets[wildcards.dataset].seed}")


def recipe_of(wildcards) -> str:
    """The Data-Juicer recipe of a dataset."""
    return settings.datasets[wildcards.dataset].recipe


def chunks_of(dataset: str) -> list[str]:
    """The chunks that a dataset's synthesis is scattered over: 00000, 00001, ..."""
    return [f"{index:05d}" for index in range(settings.seeds[settings.datasets[dataset].seed].chunks)]


def synthesized_chunks(wildcards) -> list[str]:
    """The rows of each chunk of a dataset."""
    return expand("results/synth/{dataset}/chunk-{chunk}.jsonl", chunk=chunks_of(wildcards.dataset), **wildcards)


def synthesized_reports(wildcards) -> list[str]:
    """The report of each chunk of a dataset."""
    return expand("results/synth/{dataset}/chunk-{chunk}.json", chunk=chunks_of(wildcards.dataset), **wildcards)


def rows_manifest(dataset: str) -> str:
    """The manifest of a dataset's rows: of its synthesis or, without a recipe, of its seed."""
    of = settings.datasets[dataset]
    return f"results/synth/{dataset}.manifest.json" if of.recipe else f"results/seed/{of.seed}.manifest.json"


def rows_path(dataset: str) -> str:
    """The rows that :func:`rows_manifest` describes: a file, or a seed's folder."""
    of = settings.datasets[dataset]
    return f"results/synth/{dataset}.jsonl" if of.recipe else f"results/seed/{of.seed}"


def shard_manifest(wildcards) -> str:
    """The manifest of the rows that a dataset is sharded from."""
    return rows_manifest(wildcards.dataset)


def mix_manifests(wildcards) -> list[str]:
    """The manifests of the rows that are mixed into a dataset."""
    return [rows_manifest(other) for other in settings.datasets[wildcards.dataset].mix]


def mix_arguments(wildcards) -> list[str]:
    """``NAME=MANIFEST`` for each dataset that is mixed in."""
    return [f"{other}={rows_manifest(other)}" for other in settings.datasets[wildcards.dataset].mix]


def shard_rows(wildcards) -> list[str]:
    """Every file or folder of rows that a dataset is sharded from; their manifests say when they changed."""
    names = [wildcards.dataset, *settings.datasets[wildcards.dataset].mix]
    return [ancient(rows_path(name)) for name in names]


def dataset_params(wildcards) -> str:
    """The settings of a dataset, as JSON."""
    return as_params(settings.datasets[wildcards.dataset])


def model_params(wildcards) -> str:
    """The settings of a base model, as JSON."""
    return as_params(settings.models[wildcards.model])


def tokenizer_dataset(wildcards) -> list[str]:
    """The manifest of the dataset that a model's tokenizer is trained on, if it has one of its own."""
    name = getattr(settings.models[wildcards.model], "tokenizer_dataset", None)
    return [f"results/data/{name}.manifest.json"] if name else []


def tokenizer_shards(wildcards) -> list[str]:
    """The shards of that dataset."""
    name = getattr(settings.models[wildcards.model], "tokenizer_dataset", None)
    return [ancient(f"results/data/{name}")] if name else []


def local_checkpoint(wildcards) -> list[str]:
    """The local files that a model is read from; of a folder, those that lie in it."""
    files = []
    for path in map(Path, settings.models[wildcards.model].paths().values()):
        files += sorted(filter(Path.is_file, path.iterdir())) if path.is_dir() else [path]
    return [str(file) for file in files]


def base_of_model(wildcards) -> list[str]:
    """The folder of the base that an adapter is merged into; its manifest says when it changed."""
    name = getattr(settings.models[wildcards.model], "base", None)
    return [ancient(f"results/models/{name}")] if name else []


def base_of_model_manifest(wildcards) -> list[str]:
    """The manifest of that base."""
    return manifests_of(base_of_model(wildcards))


def checkpoint_chain(names: list[str]) -> list[str]:
    """The folders that make the model at the end of ``names``: the last full checkpoint, then the adapters on it."""
    chain = []
    for name in names:
        if name in settings.models:
            chain = [f"results/models/{name}"]
        elif settings.runs[name].method == "full":
            chain = [f"results/checkpoints/{name}"]
        elif settings.runs[name].method in ("lora", "qlora", "align"):
            chain.append(f"results/checkpoints/{name}")
    return chain


def start_chain(wildcards) -> list[str]:
    """The folders that a run starts from."""
    return checkpoint_chain(settings.ancestry(wildcards.run)[:-1])


def answering_chain(wildcards) -> list[str]:
    """The folders that answer for a run."""
    return checkpoint_chain(settings.ancestry(wildcards.run))


def manifests_of(folders: list[str]) -> list[str]:
    """The manifest beside each folder."""
    return [f"{folder}.manifest.json" for folder in folders]


def start_manifests(wildcards) -> list[str]:
    """The manifests of what a run starts from."""
    return manifests_of(start_chain(wildcards))


def start_folders(wildcards) -> list[str]:
    """The folders that a run starts from; their manifests say when they changed."""
    return [ancient(folder) for folder in start_chain(wildcards)]


def answering_manifests(wildcards) -> list[str]:
    """The manifests of what answers for a run."""
    return manifests_of(answering_chain(wildcards))


def answering_folders(wildcards) -> list[str]:
    """The folders that answer for a run; their manifests say when they changed."""
    return [ancient(folder) for folder in answering_chain(wildcards)]


def base_folder(wildcards) -> str:
    """The base model at the root of a run."""
    return f"results/models/{settings.ancestry(wildcards.run)[0]}"


def base_manifest(wildcards) -> str:
    """The manifest of the base model at the root of a run."""
    return f"{base_folder(wildcards)}.manifest.json"


def run_params(wildcards) -> str:
    """The settings of a run, as JSON."""
    return as_params(settings.runs[wildcards.run])


def run_dataset(wildcards) -> str:
    """The manifest of the dataset that a run is trained on."""
    return f"results/data/{settings.runs[wildcards.run].dataset}.manifest.json"


def run_shards(wildcards) -> str:
    """The shards that a run is trained on; their manifest says when they changed."""
    return ancient(f"results/data/{settings.runs[wildcards.run].dataset}")


def run_threads(wildcards) -> int:
    """The CPU threads of a run."""
    return settings.runs[wildcards.run].threads


def run_gpus(wildcards) -> int:
    """The GPUs of a run."""
    return settings.runs[wildcards.run].gpus


def training_environment(wildcards) -> str:
    """The name of the environment that a run is trained in."""
    return "train-cuda" if settings.runs[wildcards.run].cuda_kernels else "train"


def training_env_spec(wildcards) -> str:
    """The env spec of that environment, relative to this folder."""
    return f"../envs/{training_environment(wildcards)}.yaml"


def is_trained(run: str) -> bool:
    """Whether a run's checkpoint is there, and of its present settings, dataset and start."""
    try:
        trained = read_manifest(f"results/checkpoints/{run}.manifest.json")
        dataset = read_manifest(f"results/data/{settings.runs[run].dataset}.manifest.json")
        starts = manifests_of(checkpoint_chain(settings.ancestry(run)[:-1]))
        inputs = training_inputs(dataset, [read_manifest(path) for path in starts])
    except UserError:
        return False
    return trained.inputs == inputs and trained.settings == settings.runs[run].model_dump(mode="json")


def clearance(wildcards) -> str:
    """What a run's training waits for. It makes no checkpoint stale that is of its present settings and inputs."""
    path = f"results/rehearsal/{wildcards.run}/cleared"
    return ancient(path) if is_trained(wildcards.run) else path


def runs_to_clear() -> str:
    """The runs that may be cleared for training, as a pattern; one that matches no run if there are none."""
    names = [
        name for name in trained_runs() if not (Path(f"results/rehearsal/{name}/cleared").exists() and is_trained(name))
    ]
    return "|".join(names) or "(?!)"


def rehearsals_before(wildcards) -> list[str]:
    """The rehearsals of a run and of every run that builds on it."""
    names = [name for name in settings.runs if wildcards.run in settings.ancestry(name)]
    return [f"results/rehearsal/{name}/passed.json" for name in names]


def rehearsed_checkpoint(wildcards) -> list[str]:
    """The checkpoint and its manifest that a run's rehearsal trained; none for a run that does not train."""
    if wildcards.run not in trained_runs():
        return []
    return [f"results/rehearsal/{wildcards.run}/checkpoint"]


def rehearsed_manifest(wildcards) -> list[str]:
    """The manifest of that checkpoint."""
    return manifests_of(rehearsed_checkpoint(wildcards))


def searched_datasets() -> list[str]:
    """The datasets that some run trains on; benchmarks are looked for in these."""
    return list(dict.fromkeys(settings.runs[name].dataset for name in trained_runs()))


def contamination_of(wildcards) -> list[str]:
    """The findings of every dataset that a run, or a run that it builds on, is trained on."""
    trained = [name for name in settings.ancestry(wildcards.run) if name in trained_runs()]
    datasets = list(dict.fromkeys(settings.runs[name].dataset for name in trained))
    return expand("results/contamination/{dataset}.json", dataset=datasets)


def benchmark_params(wildcards) -> str:
    """The settings of a benchmark, as JSON."""
    return as_params(settings.benchmarks[wildcards.benchmark])


def per_prediction_slice(path: str) -> str:
    """``path`` with the wildcard of a slice of questions before its ending; without, where there is one slice."""
    stem, ending = path.rsplit(".", 1)
    return path if settings.prediction.slices == 1 else f"{stem}.{{slice}}.{ending}"


def prediction_slices() -> list[str]:
    """The slices that each benchmark's questions are dealt out to: 000, 001, ..."""
    return [f"{index:03d}" for index in range(settings.prediction.slices)]


def prediction_slice(wildcards) -> int:
    """The number of a job's slice."""
    return int(getattr(wildcards, "slice", 0))


def predicted_slices(wildcards) -> list[str]:
    """The predictions of each slice of a benchmark."""
    path = per_prediction_slice("results/predictions/{run}/{benchmark}.jsonl")
    return expand(path, slice=prediction_slices(), **wildcards)


def all_benchmark_params(wildcards) -> str:
    """The settings of every benchmark, as one JSON object by name."""
    sections = (f'"{name}": {as_params(of)}' for name, of in settings.benchmarks.items())
    return "{" + ", ".join(sections) + "}"


def benchmark_files(wildcards) -> list[str]:
    """The files of questions and annotations of a benchmark."""
    return settings.benchmarks[wildcards.benchmark].files()


def benchmark_images(wildcards) -> list[str]:
    """The folders of images of a benchmark; the questions' hash covers what is asked, so their time says nothing."""
    return [ancient(folder) for folder in settings.benchmarks[wildcards.benchmark].folders()]


def asked_params(wildcards) -> str:
    """What every benchmark asks, as one JSON object by name: its settings without the length of the answers."""
    without = {"max_new_tokens"}
    sections = (f'"{name}": {of.model_dump_json(exclude=without)}' for name, of in settings.benchmarks.items())
    return "{" + ", ".join(sections) + "}"


def all_benchmark_files(wildcards) -> list[str]:
    """The files of every benchmark."""
    return [file for of in settings.benchmarks.values() for file in of.files()]


def all_benchmark_images(wildcards) -> list[str]:
    """The image folders of every benchmark."""
    return [ancient(folder) for of in settings.benchmarks.values() for folder in of.folders()]


def run_files(pattern: str) -> list[str]:
    """``pattern`` for every run that trains."""
    return expand(pattern, run=trained_runs())


def recipe_datasets() -> list[str]:
    """The datasets that have a recipe."""
    return [name for name, dataset in settings.datasets.items() if dataset.recipe]


def timings() -> list[str]:
    """The timing file of every job before the report."""
    chunks = [f"{name}.{chunk}" for name in recipe_datasets() for chunk in chunks_of(name)]
    pairs = expand("{run}.{benchmark}", run=settings.runs, benchmark=settings.benchmarks)
    scattered = settings.prediction.slices > 1
    jobs = {
        "ingest_seed": settings.seeds,
        "synthesize": chunks,
        "gather_synthesis": recipe_datasets(),
        "shard": settings.datasets,
        "decontaminate": searched_datasets(),
        "prepare_base": settings.models,
        "rehearse_training": trained_runs(),
        "rehearse_evaluation": settings.runs,
        "train": trained_runs(),
        "predict": expand("{pair}.{slice}", pair=pairs, slice=prediction_slices()) if scattered else pairs,
        "gather_predictions": pairs if scattered else [],
        "score": pairs,
    }
    return [f"results/timings/{rule}/{name}.tsv" for rule, names in jobs.items() for name in names]
