"""The settings, checked before anything runs, and what rules ask of them.

A folder ``X`` has a manifest ``X.manifest.json`` beside it. Rules take both: the manifest says when the folder changed,
so the folder itself is ``ancient()``.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

try:
    from syntune.errors import UserError
    from syntune.settings.methods import METHODS
    from syntune.settings.paths import check_paths
    from syntune.settings.reading import read_settings
    from syntune.settings.seed_files import hub_path, watched_files
    from syntune.settings.tree import Settings, as_params
    from syntune.sources import file_digests
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


VALUES = settings.model_dump(mode="json")
"""Every setting, for lookup()."""

SECTIONS = ("seeds", "datasets", "models", "runs", "benchmarks")
JSON = {section: {name: as_params(part) for name, part in getattr(settings, section).items()} for section in SECTIONS}
"""Each named section as the JSON that its command takes, for lookup()."""

TRAINED = [name for name, run in settings.runs.items() if METHODS[run.method].is_trained]
WITH_RECIPE = [name for name, dataset in settings.datasets.items() if dataset.recipe]
SEARCHED = list(dict.fromkeys(settings.runs[name].dataset for name in TRAINED))
"""The runs that train; the datasets that have a recipe; those that some run trains on, searched for benchmarks."""

BENCHMARK_FILES = {name: benchmark.files() for name, benchmark in settings.benchmarks.items()}
BENCHMARK_IMAGES = {
    name: [ancient(folder) for folder in benchmark.folders()] for name, benchmark in settings.benchmarks.items()
}
"""Of each benchmark; the questions' hash covers the images that are asked about, so the folders' time says nothing."""

SLICES = [f"{index:03d}" for index in range(settings.prediction.slices)] if settings.prediction.slices > 1 else []
"""The slices that each benchmark's questions are dealt out to; none where one job answers them all."""


def code(script: str) -> list[str]:
    """A digest of what each source file of a rule's script does, as params: an edit of a comment changes none.

    One param a file, so that the reason for a job in ``snakemake -n`` names the file that changed.
    """
    return [f"scripts/{path} {digest}" for path, digest in file_digests(script).items()]


def made(folders: list[str], manifests_as: str, folders_as: str) -> dict[str, list[str]]:
    """Two inputs of a rule, named as it names them: the manifests of what lies at ``folders``, and that itself."""
    return {
        manifests_as: [f"{folder.removesuffix('.jsonl')}.manifest.json" for folder in folders],
        folders_as: [ancient(folder) for folder in folders],
    }


def seed_records(wildcards) -> dict[str, list[str]]:
    """The files of a seed. The time of its images' folder says nothing of its content."""
    seed = settings.seeds[wildcards.seed]
    folder = seed.images if seed.images and not hub_path(seed.images) else None
    in_dag = folder and Path(folder).resolve() != Path("/")  # Snakemake makes an empty path of the root's
    return {"records": watched_files(seed), "images": [ancient(folder)] if in_dag else []}


def dataset_seed(wildcards) -> dict[str, list[str]]:
    """The rows of the seed that a dataset is made from."""
    return made([f"results/seed/{settings.datasets[wildcards.dataset].seed}"], "seed", "rows")


def chunks_of(dataset: str) -> list[str]:
    """The chunks that a dataset's synthesis is scattered over: 00000, 00001, ..."""
    return [f"{index:05d}" for index in range(settings.seeds[settings.datasets[dataset].seed].chunks)]


def synthesized_chunks(wildcards) -> dict[str, list[str]]:
    """The rows and the report of each chunk of a dataset."""
    stems = expand("results/synth/{dataset}/chunk-{chunk}", chunk=chunks_of(wildcards.dataset), **wildcards)
    return {"chunks": [f"{stem}.jsonl" for stem in stems], "reports": [f"{stem}.json" for stem in stems]}


def rows_of(dataset: str) -> str:
    """A dataset's rows: a file that synthesis made or, without a recipe, its seed's folder."""
    seed, recipe = settings.datasets[dataset].seed, settings.datasets[dataset].recipe
    return f"results/synth/{dataset}.jsonl" if recipe else f"results/seed/{seed}"


def rows_to_shard(wildcards) -> dict[str, list[str]]:
    """The rows that a dataset is sharded from: its own, and those that are mixed in."""
    own = made([rows_of(wildcards.dataset)], "rows_manifest", "rows")
    mixed = made([rows_of(name) for name in settings.datasets[wildcards.dataset].mix], "mix_manifests", "rows")
    return {**own, **mixed, "rows": own["rows"] + mixed["rows"]}


def mix_arguments(wildcards, input) -> list[str]:
    """``NAME=MANIFEST`` for each dataset that is mixed in."""
    names = settings.datasets[wildcards.dataset].mix
    return [f"{name}={manifest}" for name, manifest in zip(names, input.mix_manifests)]


def ingredients(wildcards) -> dict[str, list[str]]:
    """What a base model is made of: local files, the dataset of its tokenizer, the base of an adapter."""
    model = settings.models[wildcards.model]
    files = []
    for path in map(Path, model.paths().values()):
        files += sorted(filter(Path.is_file, path.iterdir())) if path.is_dir() else [path]
    dataset, base = getattr(model, "tokenizer_dataset", None), getattr(model, "base", None)
    return {
        **made([f"results/data/{dataset}"] if dataset else [], "dataset", "shards"),
        **made([f"results/models/{base}"] if base else [], "base_manifest", "base"),
        "checkpoint": [str(file) for file in files],
    }


def checkpoint_of(name: str) -> str:
    """The folder of a base model or of a run's checkpoint."""
    return f"results/models/{name}" if name in settings.models else f"results/checkpoints/{name}"


def run_base(wildcards) -> dict[str, list[str]]:
    """The base model at the root of a run."""
    return made([checkpoint_of(settings.ancestry(wildcards.run)[0])], "base", "base_folder")


def run_dataset(wildcards) -> dict[str, list[str]]:
    """The dataset that a run is trained on."""
    return made([f"results/data/{settings.runs[wildcards.run].dataset}"], "dataset", "shards")


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
    places = {base: checkpoint_of(base), run: f"results/rehearsal/{run}/checkpoint"}
    return made([places[name] for name in settings.answering([base, run])], "manifests", "folders")


def training_environment(wildcards) -> str:
    """The name of the environment that a run is trained in."""
    return settings.runs[wildcards.run].environment


def training_env_spec(wildcards) -> str:
    """The env spec of that environment, relative to this folder."""
    return f"../envs/{training_environment(wildcards)}.yaml"


def rehearsals_before(wildcards) -> list[str]:
    """The rehearsals of a run and of every run that builds on it."""
    names = [name for name in settings.runs if wildcards.run in settings.ancestry(name)]
    return expand("results/rehearsal/{run}/passed.json", run=names)


def contamination_of(wildcards) -> list[str]:
    """The findings of every dataset that a run, or a run that it builds on, is trained on."""
    datasets = [settings.runs[name].dataset for name in settings.ancestry(wildcards.run) if name in TRAINED]
    return expand("results/contamination/{dataset}.json", dataset=dict.fromkeys(datasets))


def benchmarks_as_object(**left_out) -> str:
    """The settings of every benchmark, as one JSON object by name."""
    sections = (f'"{name}": {part.model_dump_json(**left_out)}' for name, part in settings.benchmarks.items())
    return "{" + ", ".join(sections) + "}"


def per_slice(path: str) -> str:
    """``path`` with the wildcard of a slice of questions before its ending; as it is, where there are no slices."""
    stem, ending = path.rsplit(".", 1)
    return f"{stem}.{{slice}}.{ending}" if SLICES else path


def slice_number(wildcards) -> int:
    """The number of a job's slice of the questions."""
    return int(getattr(wildcards, "slice", 0))


PAIRS = expand("{run}.{benchmark}", run=settings.runs, benchmark=settings.benchmarks)
TIMED = {
    "ingest_seed": settings.seeds,
    "synthesize": [f"{name}.{chunk}" for name in WITH_RECIPE for chunk in chunks_of(name)],
    "gather_synthesis": WITH_RECIPE,
    "shard": settings.datasets,
    "decontaminate": SEARCHED,
    "prepare_base": settings.models,
    "rehearse_training": TRAINED,
    "rehearse_evaluation": settings.runs,
    "train": TRAINED,
    "predict": expand("{pair}.{slice}", pair=PAIRS, slice=SLICES) if SLICES else PAIRS,
    "gather_predictions": PAIRS if SLICES else [],
    "score": PAIRS,
}
TIMINGS = [f"results/timings/{rule}/{name}.tsv" for rule, names in TIMED.items() for name in names]
"""The timing file of every job before the report."""
