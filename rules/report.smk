"""The report: one page that tells what was done, what came of it, and how sure that is."""

import json

USED_MODELS = [name for name in settings.checkpoints if name in {*MADE_FROM[0], *MODELS_OF_RECIPES}]
"""The models with weights that a run or a recipe needs."""

TIMED = {
    "ingest_seed": settings.seeds,
    "synthesize": STAGE_CHUNKS["rows"],
    "synthesize_with_models": STAGE_CHUNKS["models"],
    "select_rows": GLOBAL_STAGES,
    "gather_synthesis": WITH_RECIPE,
    "shard": settings.datasets,
    "data_page": settings.datasets,
    "decontaminate": SEARCHED,
    "contamination_pictures": SEARCHED,
    "prepare_base": USED_MODELS,
    "rehearse_training": [run for run in TRAININGS if run in TRAINED],
    "rehearse_evaluation": TRAININGS,
    "train": TRAINED,
    "predict": expand("{pair}.{slice}", pair=PAIRS, slice=SLICES) if SLICES else PAIRS,
    "gather_predictions": PAIRS if SLICES else [],
    "score": PAIRS,
    "answers_page": ANSWERED,
}
TIMINGS = [f"{RESULTS}/timings/{rule}/{name}.tsv" for rule, names in TIMED.items() for name in names]
"""The timing file of every job before the report."""


rule answers_page:
    """Write a page of a benchmark's questions with each run's answers, right or wrong, to be searched and filtered."""
    input:
        predictions=expand("<results>/predictions/{run}/{benchmark}.jsonl", run=TRAININGS, allow_missing=True),
        scores=expand("<results>/scores/{run}/{benchmark}.json", run=TRAININGS, allow_missing=True),
        benchmark=value_at("{benchmark}", BENCHMARK_FILES),
        images=value_at("{benchmark}", BENCHMARK_IMAGES),
    output:
        page=report(
            "<results>/report/answers/{benchmark}.html", caption="../report/answers-page.rst", category="Answers"
        ),
    log:
        "<results>/logs/answers_page/{benchmark}.log",
    benchmark:
        "<results>/timings/answers_page/{benchmark}.tsv"
    conda:
        "../envs/eval.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        *code("answers_page"),
        spec=spec_of("eval"),
        settings=value_at("benchmarks/{benchmark}", JSON),
        asked=asked_contents,
        templates=contents_of(
            "scripts/syntune/pages/page.css",
            "scripts/syntune/answers_page/answers_page.css",
            "scripts/syntune/answers_page/answers_page.html.j2",
            "scripts/syntune/answers_page/filters.js",
        ),
    shell:
        "python scripts/answers_page.py --benchmark {wildcards.benchmark:q} --settings {params.settings:q} "
        "--predictions {input.predictions:q} --scores {input.scores:q} --output {output.page:q} 2>&1 | tee {log:q}"


rule report:
    """Draw the figures and write the page, from manifests, metrics, scores and timings alone."""
    input:
        seeds=expand("<results>/seed/{seed}.manifest.json", seed=settings.seeds),
        syntheses=expand("<results>/synth/{dataset}.manifest.json", dataset=WITH_RECIPE),
        datasets=expand("<results>/data/{dataset}.manifest.json", dataset=settings.datasets),
        models=expand("<results>/models/{model}.manifest.json", model=USED_MODELS),
        runs=expand("<results>/checkpoints/{run}.manifest.json", run=TRAINED),
        checkpoints=[ancient(f"{RESULTS}/checkpoints/{run}") for run in TRAINED],
        shards=[ancient(f"{RESULTS}/data/{dataset}") for dataset in settings.datasets],
        data_pages=[ancient(f"{RESULTS}/report/data/{dataset}.html") for dataset in settings.datasets],
        predictions=expand(
            "<results>/predictions/{run}/{benchmark}.jsonl", run=settings.runs, benchmark=settings.benchmarks
        ),
        scores=expand("<results>/scores/{run}/{benchmark}.json", run=settings.runs, benchmark=settings.benchmarks),
        answers=[ancient(f"{RESULTS}/report/answers/{benchmark}.html") for benchmark in ANSWERED],
        comparison=COMPARED,
        contamination=expand("<results>/contamination/{dataset}.json", dataset=SEARCHED),
        contamination_pictures=expand("<results>/contamination/{dataset}.pictures.json", dataset=SEARCHED),
        timings=TIMINGS,
    output:
        page=report("<results>/report/index.html", caption="../report/page.rst", category="Report"),
        loss=report("<results>/report/figures/loss.svg", caption="../report/loss.rst", category="Training"),
        learning_rate=report(
            "<results>/report/figures/learning-rate.svg", caption="../report/learning-rate.rst", category="Training"
        ),
        gradient_norm=report(
            "<results>/report/figures/gradient-norm.svg", caption="../report/gradient-norm.rst", category="Training"
        ),
        throughput=report(
            "<results>/report/figures/throughput.svg", caption="../report/throughput.rst", category="Training"
        ),
        data=report("<results>/report/figures/data.svg", caption="../report/data.rst", category="Data"),
        scores=report("<results>/report/figures/scores.svg", caption="../report/scores.rst", category="Scores"),
    log:
        "<results>/logs/report.log",
    benchmark:
        "<results>/timings/report/report.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        *code("report"),
        spec=spec_of("report"),
        title=value_at("title", VALUES),  # a string here would have its braces read as wildcards
        description=value_at("description", VALUES),
        trainings=json.dumps(TRAININGS),
        figures=subpath(output.loss, parent=True),
        summaries=[f"{RESULTS}/checkpoints/{run}/summary.json" for run in TRAINED],
        metrics=[f"{RESULTS}/checkpoints/{run}/metrics.jsonl" for run in TRAINED],
        templates=contents_of(
            "scripts/syntune/pages/page.css",
            "scripts/syntune/reporting/page.html.j2",
            "scripts/syntune/reporting/parts.html.j2",
        ),
    shell:
        "python scripts/report.py --title={params.title:q} --description={params.description:q} "
        "--seed-manifests {input.seeds:q} --synthesis-manifests {input.syntheses:q} "
        "--dataset-manifests {input.datasets:q} --model-manifests {input.models:q} --run-manifests {input.runs:q} "
        "--summaries {params.summaries:q} --metrics {params.metrics:q} --scores {input.scores:q} "
        "--predictions {input.predictions:q} --comparison {input.comparison:q} --trainings {params.trainings:q} "
        "--contamination {input.contamination:q} --contamination-pictures {input.contamination_pictures:q} "
        "--timings {input.timings:q} "
        "--output {output.page:q} --figures {params.figures:q} 2>&1 | tee {log:q}"
