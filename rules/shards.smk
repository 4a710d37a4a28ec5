"""Shards: a dataset's rows as Parquet files with the images inside, a card, and what became of every seed row."""


rule shard:
    """Write a fixed number of Parquet shards and a card: a folder that load_dataset reads with images decoded."""
    input:
        unpack(rows_to_shard),
        lineages=synthesis_lineages,
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
        settings=lookup(dpath="datasets/{dataset}", within=JSON),
        mix=mix_arguments,
        lineages=lineage_arguments,
    shell:
        "python scripts/shard.py --dataset {wildcards.dataset:q} --settings {params.settings:q} "
        "--rows-manifest {input.rows_manifest:q} --mix {params.mix:q} "
        "--synthesis-lineage {params.lineages:q} --shards {output.shards:q} --lineage {output.lineage:q} "
        "--manifest {output.manifest:q} 2>&1 | tee {log:q}"
