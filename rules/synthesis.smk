"""Synthesis: a Data-Juicer recipe, scattered over the seed's chunks; its global operators run at the gathering."""


rule synthesize:
    """Run the recipe's row-wise operators on one chunk of the seed."""
    input:
        unpack(dataset_seed),
        read=dataset_read,
        recipe=lookup(dpath="datasets/{dataset}/recipe", within=VALUES),
    output:
        rows="results/synth/{dataset}/chunk-{chunk}.jsonl",
        report="results/synth/{dataset}/chunk-{chunk}.json",
    log:
        "results/logs/synthesize/{dataset}.{chunk}.log",
    benchmark:
        "results/timings/synthesize/{dataset}.{chunk}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        *code("synthesize"),
    shell:
        "python scripts/synthesize.py --dataset {wildcards.dataset:q} --recipe {input.recipe:q} "
        "--seed-manifest {input.seed:q} --chunk {wildcards.chunk:q} --output {output.rows:q} "
        "--report {output.report:q} 2>&1 | tee {log:q}"


rule gather_synthesis:
    """Gather the chunks in order and run the recipe's global operators: deduplication, selection, ranking."""
    input:
        unpack(dataset_seed),
        unpack(synthesized_chunks),
        read=dataset_read,
        recipe=lookup(dpath="datasets/{dataset}/recipe", within=VALUES),
    output:
        rows="results/synth/{dataset}.jsonl",
        manifest="results/synth/{dataset}.manifest.json",
    log:
        "results/logs/gather_synthesis/{dataset}.log",
    benchmark:
        "results/timings/gather_synthesis/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        *code("gather_synthesis"),
    shell:
        "python scripts/gather_synthesis.py --dataset {wildcards.dataset:q} --recipe {input.recipe:q} "
        "--seed-manifest {input.seed:q} --chunks {input.chunks:q} --reports {input.reports:q} "
        "--output {output.rows:q} --manifest {output.manifest:q} 2>&1 | tee {log:q}"
