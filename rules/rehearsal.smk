"""Rehearsal: before anything expensive, a few steps of every run, saved, loaded and asked, each in its environment."""


rule rehearse_training:
    """Train a few steps from the base model, on GPUs the run's heaviest, and save the result as training will."""
    input:
        unpack(run_dataset),
        unpack(run_holdout),
        unpack(run_base),
        fitting=fitting,
    output:
        rehearsed="<results>/rehearsal/{run}/rehearsed.json",
        checkpoint=directory("<results>/rehearsal/{run}/checkpoint"),
        manifest="<results>/rehearsal/{run}/checkpoint.manifest.json",
    log:
        "<results>/logs/rehearse_training/{run}.log",
    benchmark:
        "<results>/timings/rehearse_training/{run}.tsv"
    priority: 100  # before any training that is ready
    conda:
        training_env_spec
    threads: value_at("runs/{run}/threads", VALUES)
    resources:
        mem_mb=32000,
        runtime=30,
        gpu=value_at("runs/{run}/gpus", VALUES),
    params:
        *code("rehearse_training"),
        spec=training_spec,
        settings=value_at("runs/{run}", JSON),
        environment=training_environment,
        passed=f"{RESULTS}/rehearsal/{{run}}/passed.json",
        withdrawn=withdrawn_by_rehearsal,
    shell:
        "rm -f {params.passed:q} {params.withdrawn:q} && python scripts/rehearse_training.py "
        "--run {wildcards.run:q} --settings {params.settings:q} "
        "--dataset-manifest {input.dataset:q} --holdout {input.holdout:q} --start {input.base_folder:q} --start-manifest {input.base:q} "
        "--checkpoint {output.checkpoint:q} --manifest {output.manifest:q} --rehearsed {output.rehearsed:q} "
        "--environment {params.environment:q} 2>&1 | tee {log:q}"


rule rehearse_evaluation:
    """Load the rehearsed checkpoint as prediction will, and answer two questions of each benchmark."""
    input:
        unpack(rehearsed_answering),
        benchmarks=list(BENCHMARK_FILES.values()),
        images=list(BENCHMARK_IMAGES.values()),
    output:
        passed="<results>/rehearsal/{run}/passed.json",
    log:
        "<results>/logs/rehearse_evaluation/{run}.log",
    benchmark:
        "<results>/timings/rehearse_evaluation/{run}.tsv"
    priority: 100  # before any training that is ready
    conda:
        "../envs/eval.yaml"
    threads: value_at("runs/{run}/threads", VALUES)
    resources:
        mem_mb=32000,
        runtime=30,
        gpu=answering_gpus,
    params:
        *code("rehearse_evaluation"),
        spec=spec_of("eval"),
        benchmarks=asked_benchmarks,
        asked=asked_contents,
        device=answering_gpus,
        pixels=value_at("{run}", PIXELS),
        base_precision=base_precision,
        withdrawn=withdrawn_by_rehearsal,
    shell:
        "rm -f {params.withdrawn:q} && python scripts/rehearse_evaluation.py --run {wildcards.run:q} "
        "--checkpoints {input.folders:q} --benchmarks {params.benchmarks:q} "
        "--gpus {params.device:q} --threads {threads} --pixels {params.pixels:q} --base-precision {params.base_precision:q} "
        "--output {output.passed:q} 2>&1 | tee {log:q}"


rule clear_for_training:
    """Let a run be trained: it and all that builds on it passed, and its data hold few questions of benchmarks.

    What the training is predicted to take is kept, to be held beside what it took.
    """
    input:
        unpack(run_dataset),
        unpack(run_base),
        rehearsed=rehearsed,
        rehearsals=rehearsals_before,
        findings=contamination_of,
        pages=contamination_pages_of,
    output:
        cleared="<results>/rehearsal/{run}/cleared",
        planned="<results>/rehearsal/{run}/planned.json",
    log:
        "<results>/logs/clear_for_training/{run}.log",
    benchmark:
        "<results>/timings/clear_for_training/{run}.tsv"
    wildcard_constraints:
        run=CLEARED_BY_RULE,
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        *code("clear_for_training"),
        spec=spec_of("data"),
        settings=value_at("runs/{run}", JSON),
        contamination=as_params(settings.contamination),
        upstream=run_upstream,
    shell:
        "python scripts/clear_for_training.py --run {wildcards.run:q} --settings {params.settings:q} "
        "--dataset-manifest {input.dataset:q} --base {input.base_folder:q} --planned {output.planned:q} "
        "--rehearsed {input.rehearsed:q} --upstream {params.upstream:q} "
        "--findings {input.findings:q} --pages {input.pages:q} --contamination {params.contamination:q} "
        "--output {output.cleared:q} 2>&1 | tee {log:q}"
