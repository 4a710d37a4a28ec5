"""Scores: from prediction files and annotations alone, without a model."""

import json


rule score:
    """Score a run's answers to a benchmark, with error bars, with and without the questions in its training data."""
    input:
        predictions="<results>/predictions/{run}/{benchmark}.jsonl",
        benchmark=value_at("{benchmark}", BENCHMARK_FILES),
        contamination=contamination_of,
    output:
        scores="<results>/scores/{run}/{benchmark}.json",
    log:
        "<results>/logs/score/{run}.{benchmark}.log",
    benchmark:
        "<results>/timings/score/{run}.{benchmark}.tsv"
    conda:
        "../envs/eval.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        *code("score"),
        spec=spec_of("eval"),
        settings=value_at("benchmarks/{benchmark}", JSON),
        asked=asked_contents,
    shell:
        "python scripts/score.py --run {wildcards.run:q} --benchmark {wildcards.benchmark:q} "
        "--settings {params.settings:q} --predictions {input.predictions:q} "
        "--contamination {input.contamination:q} --output {output.scores:q} 2>&1 | tee {log:q}"


rule compare:
    """Set every run beside the baseline run, and further pairs side by side, question by question."""
    input:
        scores=expand("<results>/scores/{run}/{benchmark}.json", run=settings.runs, benchmark=settings.benchmarks),
    output:
        comparison="<results>/scores/compare.json",
        table="<results>/scores/compare.tsv",
        text="<results>/scores/compare.txt",
    log:
        "<results>/logs/compare.log",
    benchmark:
        "<results>/timings/compare/compare.tsv"
    conda:
        "../envs/eval.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        *code("compare"),
        spec=spec_of("eval"),
        baseline=BASELINE,
        trainings=json.dumps(TRAININGS),
        pairs=json.dumps([pair.model_dump() for pair in COMPARED_PAIRS]),
    shell:
        "python scripts/compare.py --scores {input.scores:q} --baseline {params.baseline:q} "
        "--trainings {params.trainings:q} --pairs {params.pairs:q} "
        "--output {output.comparison:q} --table {output.table:q} --text {output.text:q} 2>&1 | tee {log:q}"
