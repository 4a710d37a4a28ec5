"""The demo's data: easy-VQA, from PyPI, in the formats of real seeds and benchmarks."""


rule easy_vqa:
    """Write easy-VQA's train split as a seed and its test split as two stand-in benchmarks."""
    output:
        seed="results/easy-vqa/seed.jsonl",
        images=directory("results/easy-vqa/images"),
        textvqa_annotations="results/easy-vqa/textvqa/annotations.json",
        textvqa_questions="results/easy-vqa/textvqa/questions.jsonl",
        textvqa_images=directory("results/easy-vqa/textvqa/images"),
        mmbench="results/easy-vqa/mmbench/table.tsv",
        manifest="results/easy-vqa/manifest.json",
    log:
        "results/logs/easy_vqa.log",
    benchmark:
        "results/timings/easy_vqa/easy-vqa.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        *code("easy_vqa"),
        spec=spec_of("data"),
        folder=subpath(output.manifest, parent=True),
    shell:
        "python scripts/easy_vqa.py --output {params.folder:q} 2>&1 | tee {log:q}"
