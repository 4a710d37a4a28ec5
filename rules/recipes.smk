"""Recipes cut into stages, and what the rules of synthesis ask of them.

A stage is known by its number, from 1; a chunk by its number, or as ``sample``. What belongs to the sample alone is in
the scope ``-sample``, what belongs to the chunks in the scope of no name.
"""

try:
    RECIPES = {name: read_recipe(settings.datasets[name].recipe) for name in WITH_RECIPE}
    STAGES = {name: stages_of(recipe, settings.datasets[name].recipe) for name, recipe in RECIPES.items()}
    for name, recipe in RECIPES.items():
        check_models(recipe, settings.models, settings.datasets[name].recipe)
except UserError as error:
    sys.exit(f"error: {error}")

SAMPLE = "sample"


def rows_expected(dataset: str) -> int | None:
    """The rows of a dataset's seed, as it was read or is limited; None where nobody knows."""
    seed = settings.datasets[dataset].seed
    try:
        return read_manifest(f"{RESULTS}/seed/{seed}.manifest.json").rows_out
    except UserError:  # not made yet, or damaged, as its reader will say
        return settings.seeds[seed].limit


def tell_of_models(dataset: str) -> None:
    """Say what a dataset's recipe will ask of endpoints, and which runs see its images otherwise than its models."""
    for line in costs_of_recipe(RECIPES[dataset], settings.models, rows_expected(dataset)):
        print(f"dataset {dataset}: {line}", file=sys.stderr)
    pixels = settings.datasets[dataset].pixels()
    runs = [
        name
        for name in filter(TRAINED.__contains__, TRAININGS)
        if dataset in synthesized(settings.runs[name].dataset) and settings.runs[name].pixels() != pixels
    ]
    if runs and any(stage.kind == "models" for stage in STAGES[dataset]):
        print(
            f"dataset {dataset}: the models of its recipe see images otherwise than {', '.join(runs)}; set orientation "
            "and transparency alike",
            file=sys.stderr,
        )


if workflow.is_main_process:
    for name in RECIPES:
        if not Path(f"{RESULTS}/synth/{name}.manifest.json").exists():
            tell_of_models(name)

UNREHEARSED = [
    name
    for name in WITH_RECIPE
    if not (
        Path(f"{RESULTS}/synth/{name}.manifest.json").exists()
        and Path(f"{RESULTS}/synth/{name}/rehearsed.json").exists()
    )
]
"""The datasets whose rehearsal is made by a rule: those that were never finished.

Of the others each stage's job still waits for the same stage of the sample, and for no other stage of it: a recipe's
last operator, changed, redoes nothing before it.
"""


def stages_of_kind(kind: str) -> str:
    """A pattern for the numbers of the stages of a kind, wherever they follow their dataset's name."""
    numbers = {name: [str(stage.number) for stage in stages if stage.kind == kind] for name, stages in STAGES.items()}
    found = [f"(?<=/{name}[/.])(?:{'|'.join(some)})" for name, some in numbers.items() if some]
    return one_of(found)


def stage_of(wildcards) -> Stage:
    """The stage that a job works for."""
    return STAGES[wildcards.dataset][int(wildcards.stage) - 1]


def once_a_stage(of_stage: Callable[[Stage], Any]) -> Callable:
    """The input function that gives the jobs of all chunks of a stage what ``of_stage`` says of it."""

    @cache
    def found(dataset: str, stage: str) -> Any:
        return of_stage(STAGES[dataset][int(stage) - 1])

    def of_job(wildcards):
        return found(wildcards.dataset, wildcards.stage)

    return of_job


@once_a_stage
def stage_operators(stage: Stage) -> str:
    """A stage's operators as JSON: a comment in a recipe changes nothing here, nor does an operator of another stage."""
    return canonical_json(stage.operators)


def own_operators(stage: Stage) -> list[str]:
    """The modules of this project's own operators in a stage."""
    names = {name for name, _ in stage.operators} | {name for _, inner in stage.operators for name in inner}
    modules = [f"syntune/operators/{name}" for name in sorted(names)]
    return [module for module in modules if (SCRIPTS / f"{module}.py").is_file()]


operator_modules = once_a_stage(own_operators)
"""Those of a job's stage."""


@once_a_stage
def operator_digests(stage: Stage) -> list[str]:
    """Digests of what their code does, as :func:`code` gives those of a script."""
    return [digest for module in own_operators(stage) for digest in code(module)]


@once_a_stage
def operator_files(stage: Stage) -> list[str]:
    """The local files that a stage's operators read, such as word lists, each with its hash."""
    return contents_of(*named_files(stage.operators))


def chunks_in(dataset: str, scope: str) -> list[str]:
    """The chunks of a scope."""
    return [SAMPLE] if scope else chunks_of(dataset)


def scope_of(wildcards) -> str:
    """The scope of a job that works on a chunk, or names its scope."""
    return getattr(wildcards, "scope", "-sample" if getattr(wildcards, "chunk", None) == SAMPLE else "")


def is_made_whole(dataset: str, stage: int) -> bool:
    """Whether one job makes all chunks of a stage: of a global one, and of the seed, stage 0."""
    return stage == 0 or STAGES[dataset][stage - 1].kind == "global"


def stage_folder(dataset: str, stage: int, scope: str) -> str:
    """Where a stage's chunks lie; a global stage's sample has a folder of its own."""
    if stage == 0:
        return f"{RESULTS}/seed/{settings.datasets[dataset].seed}"
    return f"{RESULTS}/synth/{dataset}/{stage}{scope if is_made_whole(dataset, stage) else ''}"


def chunk_rows(dataset: str, stage: int, chunk: str) -> str:
    """The file of a chunk's rows."""
    return f"{stage_folder(dataset, stage, '-sample' if chunk == SAMPLE else '')}/chunk-{chunk}.jsonl"


def stage_chunk(dataset: str, stage: int, chunk: str) -> dict[str, str]:
    """The small file that says when a chunk changed, and what holds its rows.

    Where one job makes all chunks, that is their manifest: a job whose own chunk is as it was ends as it begins.
    """
    rows = chunk_rows(dataset, stage, chunk)
    if is_made_whole(dataset, stage):
        folder = str(Path(rows).parent)
        return {"edge": f"{folder}.manifest.json", "rows": folder}
    return {"edge": rows.removesuffix("l"), "rows": rows}


def edge_before(wildcards) -> str:
    """What says when a job's chunk changed in the stage before."""
    return stage_chunk(wildcards.dataset, int(wildcards.stage) - 1, wildcards.chunk)["edge"]


def holder_before(wildcards) -> str:
    """What holds that chunk's rows."""
    return ancient(stage_chunk(wildcards.dataset, int(wildcards.stage) - 1, wildcards.chunk)["rows"])


def chunk_before_rows(wildcards) -> str:
    """The file of that chunk's rows."""
    return chunk_rows(wildcards.dataset, int(wildcards.stage) - 1, wildcards.chunk)


def chunk_before_edge(wildcards) -> str:
    """What vouches for that file: of a seed's chunk, its own manifest."""
    rows = chunk_before_rows(wildcards)
    return edge_before(wildcards) if int(wildcards.stage) > 1 else f"{rows.removesuffix('.jsonl')}.manifest.json"


def all_before(wildcards) -> list[dict[str, str]]:
    """All chunks of a job's scope as the stage before left them, as :func:`stage_chunk` gives them."""
    chunks = chunks_in(wildcards.dataset, wildcards.scope)
    return [stage_chunk(wildcards.dataset, int(wildcards.stage) - 1, chunk) for chunk in chunks]


def edges_before(wildcards) -> list[str]:
    """What says when one of these chunks changed."""
    return list(dict.fromkeys(chunk["edge"] for chunk in all_before(wildcards)))


def holders_before(wildcards) -> list[str]:
    """What holds their rows."""
    return [ancient(rows) for rows in dict.fromkeys(chunk["rows"] for chunk in all_before(wildcards))]


def chunks_before_rows(wildcards) -> list[str]:
    """The files of their rows."""
    chunks = chunks_in(wildcards.dataset, wildcards.scope)
    return [chunk_rows(wildcards.dataset, int(wildcards.stage) - 1, chunk) for chunk in chunks]


def columns_before(wildcards) -> list[str]:
    """What a global stage compares, chunk by chunk."""
    return [ancient(f"{rows.removesuffix('.jsonl')}.columns.parquet") for rows in chunks_before_rows(wildcards)]


def percentiles_of_stage(wildcards) -> list[str]:
    """The values of a stage's percentiles, if it has any."""
    found = f"{RESULTS}/synth/{wildcards.dataset}/{wildcards.stage}/percentiles{scope_of(wildcards)}.json"
    return [found] if stage_of(wildcards).percentiles else []


def rehearsal_before(wildcards) -> list[str]:
    """What a stage's job waits for: the rehearsal, and its own stage of the sample."""
    if scope_of(wildcards):
        return []
    whole = f"{RESULTS}/synth/{wildcards.dataset}/rehearsed.json"
    own = stage_chunk(wildcards.dataset, int(wildcards.stage), SAMPLE)["edge"]
    return [whole if wildcards.dataset in UNREHEARSED else ancient(whole), own]


def sample_edges(wildcards) -> list[str]:
    """What says when the sample changed, after each stage."""
    return [stage_chunk(wildcards.dataset, stage.number, SAMPLE)["edge"] for stage in STAGES[wildcards.dataset]]


def sample_reports(wildcards) -> list[str]:
    """The sample's report after each stage."""
    numbers = [stage.number for stage in STAGES[wildcards.dataset]]
    return [f"{stage_folder(wildcards.dataset, number, '-sample')}/chunk-sample.json" for number in numbers]


def synthesized_edges(wildcards) -> list[str]:
    """What says when a chunk changed, after each stage."""
    name = wildcards.dataset
    chunks = [stage_chunk(name, stage.number, chunk) for stage in STAGES[name] for chunk in chunks_of(name)]
    return list(dict.fromkeys(chunk["edge"] for chunk in chunks))


def synthesized_rows(dataset: str) -> list[str]:
    """What holds the rows of a dataset's last stage."""
    chunks = [stage_chunk(dataset, len(STAGES[dataset]), chunk) for chunk in chunks_of(dataset)]
    return [ancient(rows) for rows in dict.fromkeys(chunk["rows"] for chunk in chunks)]


def synthesized_holders(wildcards) -> list[str]:
    """:func:`synthesized_rows` of a job's dataset."""
    return synthesized_rows(wildcards.dataset)


def stage_folders(wildcards) -> list[str]:
    """The folder of each stage."""
    return [stage_folder(wildcards.dataset, stage.number, "") for stage in STAGES[wildcards.dataset]]


def dataset_chunks(wildcards) -> list[str]:
    """The chunks of a dataset."""
    return chunks_of(wildcards.dataset)


def dataset_recipe(wildcards) -> str:
    """A dataset's recipe as JSON."""
    return canonical_json(RECIPES[wildcards.dataset])


def dataset_executor(wildcards) -> str:
    """How a dataset's operators are called."""
    return settings.datasets[wildcards.dataset].executor


def dataset_pixels(wildcards) -> str:
    """How the operators of a dataset's recipe that run a model see images, as JSON."""
    return settings.datasets[wildcards.dataset].pixels().model_dump_json()


def dataset_seed_manifest(wildcards) -> str:
    """The manifest of a dataset's seed."""
    return f"{RESULTS}/seed/{settings.datasets[wildcards.dataset].seed}.manifest.json"


def models_of_stage(stage: Stage) -> list[str]:
    """The models of the config that a stage's operators name."""
    read = [MODEL_OPERATORS[name].model_validate(each) for name, each in stage.operators if name in MODEL_OPERATORS]
    return sorted({model for parameters in read for model in parameters.named_models().values()})


MODELS_OF_RECIPES = sorted({name for stages in STAGES.values() for stage in stages for name in models_of_stage(stage)})
"""The models that the recipes name."""


def models_with_weights(stage: Stage) -> list[str]:
    """Those of them that have weights here: an endpoint has none."""
    return [name for name in models_of_stage(stage) if name in settings.checkpoints]


@once_a_stage
def stage_gpus(stage: Stage) -> int:
    """A GPU for weights; an endpoint needs none here."""
    return int(bool(models_with_weights(stage)))


@once_a_stage
def stage_model_manifests(stage: Stage) -> list[str]:
    """The manifests of the prepared models that a stage runs."""
    return [f"{RESULTS}/models/{name}.manifest.json" for name in models_with_weights(stage)]


@once_a_stage
def stage_model_folders(stage: Stage) -> list[str]:
    """Their folders."""
    return [ancient(f"{RESULTS}/models/{name}") for name in models_with_weights(stage)]


@once_a_stage
def stage_models_as_object(stage: Stage) -> str:
    """The settings of a stage's models and the folders of their weights, as one JSON object by name."""
    weights = models_with_weights(stage)
    parts = {
        name: {
            "settings": VALUES["models"][name],
            "folder": f"{RESULTS}/models/{name}" if name in weights else None,
        }
        for name in models_of_stage(stage)
    }
    return canonical_json(parts)


STAGE_CHUNKS = {
    kind: [
        f"{name}.{stage.number}.{chunk}"
        for name, stages in STAGES.items()
        for stage in stages
        if stage.kind == kind
        for chunk in chunks_of(name)
    ]
    for kind in ("rows", "models")
}
"""The jobs of the scattered stages, as timings name them."""
GLOBAL_STAGES = [
    f"{name}.{stage.number}" for name, stages in STAGES.items() for stage in stages if stage.kind == "global"
]
"""The jobs of the global stages."""
