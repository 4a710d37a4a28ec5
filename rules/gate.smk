"""The gate: what a training waits for, without hiding from Snakemake what else has changed.

While a job waits to run, Snakemake does not look at the changes of the jobs after it, not even behind ancient(): a new
benchmark's rehearsal would hide that a prediction is stale (snakemake#4166). So the clearance of a run that is trained
as it is now set is made by no rule.

Once Snakemake looks, a test in tests/workflow/test_gate.py fails, and this file can go: train then takes
``ancient("<results>/rehearsal/{run}/cleared")``, clear_for_training serves every run, and rehearsals and searches
withdraw the clearances of all runs that they concern.
"""

from functools import cache

from syntune.artifacts.clearances import Clearance, rehearsed_fingerprint
from syntune.artifacts.manifests import read_manifest, training_inputs
from syntune.artifacts.reading import read_json_file
from syntune.files import sha256_bytes
from syntune.sources import code_digest

SYNTHESIS = ("synthesize", "percentiles", "select_rows", "gather_synthesis")

UPSTREAM = ("easy_vqa", "ingest_seed", *SYNTHESIS, "shard", "prepare_base")
"""The scripts that make what a run is trained on and from; one more where a recipe runs models."""


@cache
def upstream(run: str) -> str:
    """A digest of all that Snakemake may make a run's dataset or base anew for, so that no such change goes ungated.

    Of a seed's file only the size counts: to hash it at every call would take as long as to read it.
    """
    models, datasets, seeds = settings.made_from(run)
    stages = [stage for name in datasets for stage in STAGES.get(name, [])]
    operators = {name for stage in stages for name in own_operators(stage)}
    helpers = {name for stage in stages for name in models_of_stage(stage)}
    scripts = [*UPSTREAM, *sorted(operators)] + (["synthesize_with_models"] if helpers else [])
    scripts += ["hold_out"] if HELD_OUT else []
    environments = ["data", "train"] + (["synth-models"] if helpers else [])
    files = [Path(file) for name in seeds for file in watched_files(settings.seeds[name])]
    ingredients = {
        "models": [JSON["models"][name] for name in (*models, *sorted(helpers))],
        "weights": [state_of_weights(name) for name in (*models, *sorted(helpers))],
        "datasets": [JSON["datasets"][name] for name in datasets],
        "seeds": [JSON["seeds"][name] for name in seeds],
        "recipes": [[stage.operators, contents_of(*named_files(stage.operators))] for stage in stages],
        "sizes": [file.stat().st_size for file in files if not is_made(file, RESULTS)],
        "code": [code_digest(script) for script in scripts],
        "environments": [spec_digest(name) for name in environments],
    }
    return sha256_bytes(canonical_json(ingredients).encode())


def run_upstream(wildcards) -> str:
    """:func:`upstream` of a run."""
    return upstream(wildcards.run)


@cache
def is_settled(run: str) -> bool:
    """Whether a run is trained as it is now set, on and from what is there, and nothing of that is about to change."""
    try:
        trained = read_manifest(f"{checkpoint_of(run)}.manifest.json")
        dataset = read_manifest(f"{RESULTS}/data/{settings.runs[run].dataset}.manifest.json")
        base, *_ = ancestry = settings.ancestry(run)
        starts = [read_manifest(f"{checkpoint_of(name)}.manifest.json") for name in settings.answering(ancestry[:-1])]
        rehearsed = rehearsed_fingerprint(
            settings.runs[REHEARSED_AS[run]], dataset, read_manifest(f"{checkpoint_of(base)}.manifest.json")
        )
        given = read_json_file(f"{checkpoint_of(run)}/cleared.json", Clearance)
    except UserError:
        return False
    now = Clearance(fingerprint=rehearsed, upstream=upstream(run))
    return trained.inputs == training_inputs(dataset, starts) and given == now


def clearance(wildcards) -> str:
    """What a run's training waits for; a settled run's is not looked at again.

    Where a settled run's was withdrawn before its config was set back, its training is planned and ends as it begins:
    with the finished checkpoint.
    """
    path = f"{RESULTS}/rehearsal/{wildcards.run}/cleared"
    return ancient(path) if is_settled(wildcards.run) else path


def unsettled_clearances(runs: list[str]) -> list[str]:
    """The clearances of those of ``runs`` that train and are not settled."""
    return [f"{RESULTS}/rehearsal/{run}/cleared" for run in runs if run in TRAINED and not is_settled(run)]


def withdrawn_by_rehearsal(wildcards, input) -> list[str]:
    """The clearances that a run's rehearsal takes back as it starts, for it may fail: its own and its ancestors'.

    Those of all their trainings. The parameter ``input`` keeps Snakemake from taking another list for a reason to run.
    """
    rehearsed = settings.ancestry(wildcards.run)
    return unsettled_clearances([run for run in TRAINED if REHEARSED_AS[run] in rehearsed])


def withdrawn_by_search(wildcards, input) -> list[str]:
    """The clearances that the search of a dataset takes back as it starts; ``input`` as above."""
    return unsettled_clearances([run for run in TRAINED if wildcards.dataset in trained_on(run)])


WAITING = [run for run in TRAINED if not (Path(f"{RESULTS}/rehearsal/{run}/cleared").exists() and is_settled(run))]
CLEARED_BY_RULE = one_of(WAITING)
"""The runs whose clearance is made by a rule, as a pattern; one that matches no run if there are none."""
