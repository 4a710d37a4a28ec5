# Syntune: from seed image-text data to scored adapters and a report.
# The rules stand in the order of the data; docs/background/architecture.md is the map.
from inspect import isfunction, signature

from snakemake.utils import min_version

min_version("9.27")


include: "rules/call.smk"


if not workflow.overwrite_configfiles:  # a config given with --configfile stands alone

    configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/recipes.smk"
include: "rules/gate.smk"
include: "rules/demo.smk"
include: "rules/seed.smk"
include: "rules/synthesis.smk"
include: "rules/shards.smk"
include: "rules/data_page.smk"
include: "rules/contamination.smk"
include: "rules/models.smk"
include: "rules/plan.smk"
include: "rules/rehearsal.smk"
include: "rules/training.smk"
include: "rules/prediction.smk"
include: "rules/scoring.smk"
include: "rules/report.smk"


for function in filter(isfunction, list(globals().values())):
    function.__signature__ = signature(function)  # Snakemake asks for it 30 times a job: a tenth of the planning


rule all:
    """Target: the report and everything that it rests on; what a failed job took away is made again."""
    default_target: True
    input:
        report="<results>/report/index.html",
        models=expand("<results>/models/{model}.manifest.json", model=MADE_FROM[0]),
        datasets=expand("<results>/data/{dataset}.manifest.json", dataset=MADE_FROM[1]),
        seeds=expand("<results>/seed/{seed}.manifest.json", seed=MADE_FROM[2]),
        rehearsals=expand("<results>/rehearsal/{run}/passed.json", run=TRAININGS),
        checkpoints=expand("<results>/checkpoints/{run}.manifest.json", run=TRAINED),
        findings=expand("<results>/contamination/{dataset}.json", dataset=SEARCHED),
        predictions=expand("<results>/predictions/{run}/{benchmark}.jsonl", run=settings.runs, benchmark=ANSWERED),
        scores=expand("<results>/scores/{run}/{benchmark}.json", run=settings.runs, benchmark=ANSWERED),
        comparison=COMPARED,


rule data:
    """Target: every dataset, sharded, with a page that shows it."""
    input:
        manifests=if_any(expand("<results>/data/{dataset}.manifest.json", dataset=settings.datasets), "datasets"),
        shards=ancient(expand("<results>/data/{dataset}", dataset=settings.datasets)),
        pages=expand("<results>/report/data/{dataset}.html", dataset=settings.datasets),


rule rehearsal:
    """Target: every run rehearsed, from the first training step to an answered question."""
    input:
        if_any(expand("<results>/rehearsal/{run}/passed.json", run=TRAININGS), "runs"),


rule checkpoints:
    """Target: every run trained."""
    input:
        manifests=if_any(expand("<results>/checkpoints/{run}.manifest.json", run=TRAINED), "runs that train"),
        folders=ancient(expand("<results>/checkpoints/{run}", run=TRAINED)),


rule scores:
    """Target: every run scored on every benchmark."""
    input:
        if_any(COMPARED, "runs with benchmarks"),
