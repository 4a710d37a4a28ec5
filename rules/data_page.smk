"""The data page: a look at each dataset, so that a bad recipe is seen before anything is trained on its rows."""


rule data_page:
    """Write a page of a dataset: samples before and after, what each operator dropped, scores, texts and images."""
    input:
        unpack(shown_seed),
        unpack(rows_to_shard),
        dataset="<results>/data/{dataset}.manifest.json",
        shards=ancient("<results>/data/{dataset}"),
        lineage="<results>/data/{dataset}.lineage.parquet",
    output:
        page=report("<results>/report/data/{dataset}.html", caption="../report/data-page.rst", category="Data"),
    log:
        "<results>/logs/data_page/{dataset}.log",
    benchmark:
        "<results>/timings/data_page/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        *code("data_page"),
        spec=spec_of("data"),
        templates=contents_of(
            "scripts/syntune/pages/page.css",
            "scripts/syntune/data_page/data_page.css",
            "scripts/syntune/data_page/data_page.html.j2",
        ),
    shell:
        "python scripts/data_page.py --manifest {input.dataset:q} --rows-manifest {input.rows_manifest:q} "
        "--seed-manifest {input.seed:q} --lineage {input.lineage:q} --output {output.page:q} 2>&1 | tee {log:q}"
