"""Prediction: a run's answers to a benchmark's questions, made by one job or, dealt out, by several."""


rule predict:
    """Answer the questions of a benchmark; answers are cached by the content of model, question and decoding."""
    input:
        manifests=answering_manifests,
        folders=answering_folders,
        benchmark=benchmark_files,
        images=benchmark_images,
        code=sources("predict"),
    output:
        predictions=per_prediction_slice("results/predictions/{run}/{benchmark}.jsonl"),
    log:
        per_prediction_slice("results/logs/predict/{run}.{benchmark}.log"),
    benchmark:
        per_prediction_slice("results/timings/predict/{run}.{benchmark}.tsv")
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
        slice=prediction_slice,
        device=run_gpus,
        cache="results/cache/predictions",
    shell:
        "python scripts/predict.py --run {wildcards.run:q} --benchmark {wildcards.benchmark:q} "
        "--benchmark-settings {params.benchmark:q} --settings {params.settings:q} --slice {params.slice:q} "
        "--checkpoints {input.folders:q} --manifests {input.manifests:q} --gpus {params.device:q} "
        "--threads {threads} --cache {params.cache:q} --output {output.predictions:q} 2>&1 | tee {log:q}"


if settings.prediction.slices > 1:

    rule gather_predictions:
        """Put the slices' answers together, in the benchmark's order."""
        input:
            slices=predicted_slices,
            benchmark=benchmark_files,
            code=sources("gather_predictions"),
        output:
            predictions="results/predictions/{run}/{benchmark}.jsonl",
        log:
            "results/logs/gather_predictions/{run}.{benchmark}.log",
        benchmark:
            "results/timings/gather_predictions/{run}.{benchmark}.tsv"
        conda:
            "../envs/eval.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=30,
        params:
            settings=benchmark_params,
        shell:
            "python scripts/gather_predictions.py --benchmark {wildcards.benchmark:q} --settings {params.settings:q} "
            "--slices {input.slices:q} --output {output.predictions:q} 2>&1 | tee {log:q}"
