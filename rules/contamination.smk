"""Contamination: the benchmarks' questions and images, looked for in the training data before anything trains on it."""


rule decontaminate:
    """Find benchmark questions in a dataset's shards, by text and by image."""
    input:
        manifest="<results>/data/{dataset}.manifest.json",
        shards=ancient("<results>/data/{dataset}"),
        benchmarks=list(BENCHMARK_FILES.values()),
        images=list(BENCHMARK_IMAGES.values()),
    output:
        findings="<results>/contamination/{dataset}.json",
    log:
        "<results>/logs/decontaminate/{dataset}.log",
    benchmark:
        "<results>/timings/decontaminate/{dataset}.tsv"
    priority: 100  # before any training that is ready
    conda:
        "../envs/data.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        *code("decontaminate"),
        spec=spec_of("data"),
        settings=settings.contamination.of_search(),
        benchmarks=searched_benchmarks,
        asked=asked_contents,
        withdrawn=withdrawn_by_search,
    shell:
        "rm -f {params.withdrawn:q} && python scripts/decontaminate.py "
        "--dataset {wildcards.dataset:q} --settings {params.settings:q} "
        "--benchmarks {params.benchmarks:q} --dataset-manifest {input.manifest:q} "
        "--threads {threads} --output {output.findings:q} 2>&1 | tee {log:q}"


rule contamination_pictures:
    """Show the questions that were found beside the rows that hold them: pictures for the report, and a page."""
    input:
        findings="<results>/contamination/{dataset}.json",
        manifest="<results>/data/{dataset}.manifest.json",
        shards=ancient("<results>/data/{dataset}"),
        benchmarks=list(BENCHMARK_FILES.values()),
        images=list(BENCHMARK_IMAGES.values()),
    output:
        pictures="<results>/contamination/{dataset}.pictures.json",
        page="<results>/contamination/{dataset}.html",
    log:
        "<results>/logs/contamination_pictures/{dataset}.log",
    benchmark:
        "<results>/timings/contamination_pictures/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        *code("contamination_pictures"),
        spec=spec_of("data"),
        benchmarks=searched_benchmarks,
        asked=asked_contents,
        templates=contents_of("scripts/syntune/pages/page.css", "scripts/syntune/contamination/page.html.j2"),
    shell:
        "python scripts/contamination_pictures.py --findings {input.findings:q} --benchmarks {params.benchmarks:q} "
        "--dataset-manifest {input.manifest:q} --output {output.pictures:q} --page {output.page:q} 2>&1 | tee {log:q}"
