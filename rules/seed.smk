"""Seed data in: any supported format becomes checked, canonical rows in a fixed number of chunks."""


rule ingest_seed:
    """Read a seed's records, check each image, and write canonical Data-Juicer rows in chunks."""
    input:
        unpack(seed_records),
    output:
        rows=directory("<results>/seed/{seed}"),
        manifest="<results>/seed/{seed}.manifest.json",
        quarantine="<results>/seed/{seed}.quarantine.jsonl",
    log:
        "<results>/logs/ingest_seed/{seed}.log",
    benchmark:
        "<results>/timings/ingest_seed/{seed}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        *code("ingest_seed"),
        spec=spec_of("data"),
        settings=value_at("seeds/{seed}", JSON),
        state=seed_files_state,
    shell:
        "python scripts/ingest_seed.py --name {wildcards.seed:q} --settings {params.settings:q} "
        "--rows {output.rows:q} --manifest {output.manifest:q} "
        "--quarantine {output.quarantine:q} --cache results/cache/images/{wildcards.seed:q}.sqlite 2>&1 | tee {log:q}"
