"""Training: a LoRA adapter or a full checkpoint, from a base model or an earlier run."""


rule train:
    """Train a run. Its checkpoints live in a work folder named by fingerprint, so a failed job resumes."""
    input:
        unpack(run_dataset),
        unpack(run_holdout),
        unpack(run_base),
        unpack(run_start),
        cleared=clearance,
    output:
        checkpoint=directory("<results>/checkpoints/{run}"),
        manifest="<results>/checkpoints/{run}.manifest.json",
    log:
        "<results>/logs/train/{run}.log",
    benchmark:
        "<results>/timings/train/{run}.tsv"
    conda:
        training_env_spec
    threads: value_at("runs/{run}/threads", VALUES)
    resources:
        mem_mb=32000,
        runtime=1440,
        gpu=value_at("runs/{run}/gpus", VALUES),
        wandb=f"{RESULTS}/wandb" if settings.tracker == "wandb" else "",  # no param: it changes no result
    params:
        *code("train"),
        spec=training_spec,
        settings=value_at("runs/{run}", JSON),
        environment=training_environment,
        rehearsed=rehearsed,
        rehearsed_settings=rehearsed_settings,
        work=f"{RESULTS}/work/{{run}}",
        finished=f"{RESULTS}/finished/{{run}}",
    shell:
        "python scripts/train.py --run {wildcards.run:q} --settings {params.settings:q} "
        "--rehearsed-settings {params.rehearsed_settings:q} "
        "--dataset-manifest {input.dataset:q} --holdout {input.holdout:q} --start {input.folders:q} --start-manifests {input.start:q} "
        "--base-manifest {input.base:q} --cleared {input.cleared:q} --rehearsed {params.rehearsed:q} "
        "--work {params.work:q} --finished {params.finished:q} --checkpoint {output.checkpoint:q} --manifest {output.manifest:q} "
        "--wandb {resources.wandb:q} --environment {params.environment:q} 2>&1 | tee {log:q}"
