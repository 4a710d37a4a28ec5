"""Prediction: a run's answers to a benchmark's questions."""


rule predict:
    """Answer every question of a benchmark; answers are cached by the content of model, question and decoding."""
    input:
        manifests=answering_manifests,
        folders=answering_folders,
        benchmark=benchmark_files,
        images=benchmark_images,
        code=sources("predict"),
    output:
        predictions="results/predictions/{run}/{benchmark}.jsonl",
    log:
        "results/logs/predict/{run}.{benchmark}.log",
    benchmark:
        "results/timings/predict/{run}.{benchmark}.tsv"
    conda:
        "../envs/eval.yaml"
    threads: run_threads
    resources:
        mem_mb=16000,
        runtime=480,
        gpu=run_gpus,
    params:
        settings=as_params(settings.prediction),
        benchmark=benchmark_params,
        device=run_gpus,
        cache="results/cache/predictions",
    shell:
        "python scripts/predict.py --run {wildcards.run:q} --benchmark {wildcards.benchmark:q} "
        "--benchmark-settings {params.benchmark:q} --settings {params.settings:q} "
        "--checkpoints {input.folders:q} --manifests {input.manifests:q} --gpus {params.device:q} "
        "--threads {threads} --cache {params.cache:q} --output {output.predictions:q} 2>&1 | tee {log:q}"
