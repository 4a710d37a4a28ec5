"""Training: a LoRA adapter or a full checkpoint, from a base model or an earlier run."""


rule train:
    """Train a run. Its checkpoints live in a work folder named by fingerprint, so a failed job resumes."""
    input:
        dataset=run_dataset,
        shards=run_shards,
        start=start_manifests,
        folders=start_folders,
        cleared=clearance,
        code=sources("train"),
    output:
        checkpoint=directory("results/checkpoints/{run}"),
        manifest="results/checkpoints/{run}.manifest.json",
    log:
        "results/logs/train/{run}.log",
    benchmark:
        "results/timings/train/{run}.tsv"
    conda:
        training_env_spec
    threads: run_threads
    resources:
        mem_mb=32000,
        runtime=1440,
        gpu=run_gpus,
    params:
        settings=run_params,
        environment=training_environment,
        work="results/work/{run}",
    shell:
        "python scripts/train.py --run {wildcards.run:q} --settings {params.settings:q} "
        "--dataset-manifest {input.dataset:q} --start {input.folders:q} --start-manifests {input.start:q} "
        "--work {params.work:q} --checkpoint {output.checkpoint:q} --manifest {output.manifest:q} "
        "--environment {params.environment:q} 2>&1 | tee {log:q}"
