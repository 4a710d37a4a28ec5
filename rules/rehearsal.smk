"""Rehearsal: before anything expensive, a few steps of every run, saved, loaded and asked, each in its own environment."""


rule rehearse_training:
    """Train a few steps from the base model, on GPUs the run's heaviest, and save the result as training will."""
    input:
        dataset=run_dataset,
        shards=run_shards,
        base=base_manifest,
        folder=ancient(base_folder),
        code=sources("rehearse_training"),
    output:
        checkpoint=directory("results/rehearsal/{run}/checkpoint"),
        manifest="results/rehearsal/{run}/checkpoint.manifest.json",
    log:
        "results/logs/rehearse_training/{run}.log",
    benchmark:
        "results/timings/rehearse_training/{run}.tsv"
    priority: 100  # before any training that is ready
    conda:
        training_env_spec
    threads: run_threads
    resources:
        mem_mb=32000,
        runtime=30,
        gpu=run_gpus,
    params:
        settings=run_params,
        environment=training_environment,
    shell:
        "python scripts/rehearse_training.py --run {wildcards.run:q} --settings {params.settings:q} "
        "--dataset-manifest {input.dataset:q} --start {input.folder:q} --start-manifest {input.base:q} "
        "--checkpoint {output.checkpoint:q} --manifest {output.manifest:q} --environment {params.environment:q} 2>&1 | tee {log:q}"


rule rehearse_evaluation:
    """Load the rehearsed checkpoint as prediction will, and answer two questions of each benchmark."""
    input:
        base=base_manifest,
        folder=ancient(base_folder),
        manifest=rehearsed_manifest,
        checkpoint=rehearsed_checkpoint,
        benchmarks=all_benchmark_files,
        images=all_benchmark_images,
        code=sources("rehearse_evaluation"),
    output:
        passed="results/rehearsal/{run}/passed.json",
    log:
        "results/logs/rehearse_evaluation/{run}.log",
    benchmark:
        "results/timings/rehearse_evaluation/{run}.tsv"
    priority: 100  # before any training that is ready
    conda:
        "../envs/eval.yaml"
    threads: run_threads
    resources:
        mem_mb=32000,
        runtime=30,
        gpu=run_gpus,
    params:
        benchmarks=all_benchmark_params,
        device=run_gpus,
    shell:
        "python scripts/rehearse_evaluation.py --run {wildcards.run:q} --start {input.folder:q} "
        "--checkpoint {input.checkpoint:q} --benchmarks {params.benchmarks:q} "
        "--gpus {params.device:q} --threads {threads} --output {output.passed:q} 2>&1 | tee {log:q}"


rule clear_for_training:
    """Let a run be trained: it and all that builds on it passed, its data were searched for benchmarks.

    Of a run that is trained as it is set the clearance stays, made by no rule: Snakemake does not look at the changes of
    a job while one before it waits to run, not even behind ancient(), and would not see that a prediction is stale.
    """
    input:
        rehearsals=rehearsals_before,
        findings=contamination_of,
    output:
        cleared=touch("results/rehearsal/{run}/cleared"),
    wildcard_constraints:
        run=runs_to_clear(),
