"""Shards: a dataset's rows as Parquet files with the images inside, a card, and what became of every seed row."""


rule hold_out:
    """Take rows of a dataset out, for validation and a benchmark of one's own; no dataset of the config keeps them."""
    input:
        unpack(own_rows),
    output:
        rows=f"<results>/data/{{dataset}}.holdout/{SHARD}",
        questions=f"<results>/data/{{dataset}}.holdout/{QUESTIONS}",
        manifest="<results>/data/{dataset}.holdout.manifest.json",
    log:
        "<results>/logs/hold_out/{dataset}.log",
    benchmark:
        "<results>/timings/hold_out/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        *code("hold_out"),
        spec=spec_of("data"),
        settings=holdout_settings,
    shell:
        "python scripts/hold_out.py --dataset {wildcards.dataset:q} --settings {params.settings:q} "
        "--rows-manifest {input.manifest:q} --shard {output.rows:q} --manifest {output.manifest:q} 2>&1 | tee {log:q}"


rule shard:
    """Write a fixed number of Parquet shards and a card: a folder that load_dataset reads with images decoded."""
    input:
        unpack(rows_to_shard),
        lineages=synthesis_lineages,
        held_out=list(HELD_OUT.values()),
    output:
        shards=directory("<results>/data/{dataset}"),
        lineage="<results>/data/{dataset}.lineage.parquet",
        manifest="<results>/data/{dataset}.manifest.json",
    log:
        "<results>/logs/shard/{dataset}.log",
    benchmark:
        "<results>/timings/shard/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        *code("shard"),
        spec=spec_of("data"),
        settings=value_at("datasets/{dataset}", JSON),
        mix=mix_arguments,
        lineages=lineage_arguments,
        held_out=[f"{name}={manifest}" for name, (manifest, _) in HELD_OUT.items()],
    shell:
        "python scripts/shard.py --dataset {wildcards.dataset:q} --settings {params.settings:q} "
        "--rows-manifest {input.rows_manifest:q} --mix {params.mix:q} "
        "--synthesis-lineage {params.lineages:q} --held-out {params.held_out:q} --shards {output.shards:q} --lineage {output.lineage:q} "
        "--manifest {output.manifest:q} 2>&1 | tee {log:q}"
