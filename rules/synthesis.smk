"""Synthesis: a recipe in stages. Operators that see one row are scattered over chunks, the others see all of them.

Each stage has a folder, ``<results>/synth/{dataset}/{stage}``. A chunk's report is its edge: a job looks at the report of
the chunk that it works on and of no other. First of all twenty rows, the chunk ``sample``, go through the whole recipe.
"""


rule synthesize:
    """Run the operators of a rows stage on one chunk, and compute what the global stage after it compares."""
    input:
        edge=edge_before,
        rows=holder_before,
        percentiles=percentiles_of_stage,
        rehearsal=rehearsal_before,
    output:
        rows="<results>/synth/{dataset}/{stage}/chunk-{chunk}.jsonl",
        report="<results>/synth/{dataset}/{stage}/chunk-{chunk}.json",
        lineage="<results>/synth/{dataset}/{stage}/chunk-{chunk}.lineage.parquet",
        columns="<results>/synth/{dataset}/{stage}/chunk-{chunk}.columns.parquet",
    log:
        "<results>/logs/synthesize/{dataset}.{stage}.{chunk}.log",
    benchmark:
        "<results>/timings/synthesize/{dataset}.{stage}.{chunk}.tsv"
    wildcard_constraints:
        stage=stages_of_kind("rows"),
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        *code("synthesize"),
        spec=spec_of("data"),
        recipe=value_at("datasets/{dataset}/recipe", VALUES),
        operators=stage_operators,
        code_of_operators=operator_digests,
        modules=operator_modules,
        files=operator_files,
        rows=chunk_before_rows,
        edge=chunk_before_edge,
        executor=dataset_executor,
        kept=f"{RESULTS}/cache/synthesis/{{dataset}}/{{stage}}/{{chunk}}",
    shell:
        "python scripts/synthesize.py --dataset {wildcards.dataset:q} --recipe {params.recipe:q} "
        "--operators {params.operators:q} --chunk {params.rows:q} --edge {params.edge:q} --percentiles={input.percentiles:q} "
        "--executor {params.executor:q} --code {params.modules:q} --files {params.files:q} "
        "--kept {params.kept:q} "
        "--output {output.rows:q} --report {output.report:q} --lineage {output.lineage:q} "
        "--columns {output.columns:q} 2>&1 | tee {log:q}"


rule synthesize_with_models:
    """Run the operators of a models stage on one chunk: scores and captions, cached by the content of their inputs."""
    input:
        edge=edge_before,
        rows=holder_before,
        percentiles=percentiles_of_stage,
        rehearsal=rehearsal_before,
        model_manifests=stage_model_manifests,
        models=stage_model_folders,
    output:
        rows="<results>/synth/{dataset}/{stage}/chunk-{chunk}.jsonl",
        report="<results>/synth/{dataset}/{stage}/chunk-{chunk}.json",
        lineage="<results>/synth/{dataset}/{stage}/chunk-{chunk}.lineage.parquet",
        scores="<results>/synth/{dataset}/{stage}/chunk-{chunk}.scores.parquet",
    log:
        "<results>/logs/synthesize_with_models/{dataset}.{stage}.{chunk}.log",
    benchmark:
        "<results>/timings/synthesize_with_models/{dataset}.{stage}.{chunk}.tsv"
    wildcard_constraints:
        stage=stages_of_kind("models"),
    conda:
        "../envs/synth-models.yaml"
    threads: 2
    resources:
        mem_mb=16000,
        runtime=720,
        gpu=stage_gpus,
    params:
        *code("synthesize_with_models"),
        spec=spec_of("synth-models"),
        operators=stage_operators,
        models=stage_models_as_object,
        pixels=dataset_pixels,
        rows=chunk_before_rows,
        edge=chunk_before_edge,
    shell:
        "python scripts/synthesize_with_models.py --dataset {wildcards.dataset:q} --operators {params.operators:q} "
        "--models {params.models:q} --pixels {params.pixels:q} --chunk {params.rows:q} --edge {params.edge:q} --percentiles={input.percentiles:q} "
        "--cache results/cache/synthesis-models --threads {threads} --output {output.rows:q} --report {output.report:q} "
        "--lineage {output.lineage:q} --scores {output.scores:q} 2>&1 | tee {log:q}"


rule percentiles:
    """Find the thresholds that are percentiles, over all chunks of the stage before: the first pass."""
    input:
        edges=edges_before,
        rows=holders_before,
    output:
        found="<results>/synth/{dataset}/{stage}/percentiles{scope}.json",
    log:
        "<results>/logs/percentiles/{dataset}.{stage}{scope}.log",
    benchmark:
        "<results>/timings/percentiles/{dataset}.{stage}{scope}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        *code("percentiles"),
        spec=spec_of("data"),
        operators=stage_operators,
        rows=chunks_before_rows,
    shell:
        "python scripts/percentiles.py --dataset {wildcards.dataset:q} --operators {params.operators:q} "
        "--chunks {params.rows:q} --output {output.found:q} 2>&1 | tee {log:q}"


rule select_rows:
    """Run the operators of a global stage over the columns of all chunks, and stream the rows that they leave."""
    input:
        edges=edges_before,
        rows=holders_before,
        columns=columns_before,
        rehearsal=rehearsal_before,
    output:
        rows=directory("<results>/synth/{dataset}/{stage}{scope}"),
        manifest="<results>/synth/{dataset}/{stage}{scope}.manifest.json",
    log:
        "<results>/logs/select_rows/{dataset}.{stage}{scope}.log",
    benchmark:
        "<results>/timings/select_rows/{dataset}.{stage}{scope}.tsv"
    wildcard_constraints:
        stage=stages_of_kind("global"),
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        *code("select_rows"),
        spec=spec_of("data"),
        recipe=value_at("datasets/{dataset}/recipe", VALUES),
        operators=stage_operators,
        code_of_operators=operator_digests,
        modules=operator_modules,
        files=operator_files,
    shell:
        "python scripts/select_rows.py --dataset {wildcards.dataset:q} --recipe {params.recipe:q} "
        "--operators {params.operators:q} --code {params.modules:q} --files {params.files:q} --chunks {input.rows:q} --edges {input.edges:q} "
        "--columns {input.columns:q} "
        "--output {output.rows:q} --manifest {output.manifest:q} 2>&1 | tee {log:q}"


rule rehearse_recipe:
    """See what twenty rows become before the seed is processed."""
    input:
        edges=sample_edges,
    output:
        rehearsed="<results>/synth/{dataset}/rehearsed.json",
    log:
        "<results>/logs/rehearse_recipe/{dataset}.log",
    benchmark:
        "<results>/timings/rehearse_recipe/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(UNREHEARSED),
    priority: 50
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        *code("rehearse_recipe"),
        spec=spec_of("data"),
        reports=sample_reports,
    shell:
        "python scripts/rehearse_recipe.py --dataset {wildcards.dataset:q} --reports {params.reports:q} "
        "--output {output.rehearsed:q} 2>&1 | tee {log:q}"


rule gather_synthesis:
    """Write a dataset's manifest and lineage; its rows are the chunks of the last stage, where they lie."""
    input:
        edges=synthesized_edges,
        rows=synthesized_holders,
        seed=dataset_seed_manifest,
    output:
        manifest="<results>/synth/{dataset}.manifest.json",
        lineage="<results>/synth/{dataset}.lineage.parquet",
    log:
        "<results>/logs/gather_synthesis/{dataset}.log",
    benchmark:
        "<results>/timings/gather_synthesis/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        *code("gather_synthesis"),
        spec=spec_of("data"),
        recipe=dataset_recipe,
        folders=stage_folders,
        chunks=dataset_chunks,
    shell:
        "python scripts/gather_synthesis.py --dataset {wildcards.dataset:q} --recipe {params.recipe:q} "
        "--seed-manifest {input.seed:q} --stages {params.folders:q} --chunks {params.chunks:q} "
        "--manifest {output.manifest:q} --lineage {output.lineage:q} 2>&1 | tee {log:q}"
