"""Base models: built or converted once, checked, and kept as safetensors."""


rule prepare_base:
    """Build or convert a base model, every tensor accounted for."""
    input:
        unpack(ingredients),
    output:
        model=directory("<results>/models/{model}"),
        manifest="<results>/models/{model}.manifest.json",
    log:
        "<results>/logs/prepare_base/{model}.log",
    benchmark:
        "<results>/timings/prepare_base/{model}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=16000,
        runtime=60,
    params:
        *code("prepare_base"),
        spec=spec_of("train"),
        settings=value_at("models/{model}", JSON),
        state=weights_state,
    shell:
        "python scripts/prepare_base.py --name {wildcards.model:q} --settings {params.settings:q} "
        "--dataset-manifest {input.dataset:q} --base {input.base:q} --base-manifest {input.base_manifest:q} "
        "--model {output.model:q} --manifest {output.manifest:q} "
        "2>&1 | tee {log:q}"
