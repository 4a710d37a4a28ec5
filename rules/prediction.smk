"""Prediction: a run's answers to a benchmark's questions, made by one job or, dealt out, by several."""


rule predict:
    """Answer the questions of a benchmark; answers are cached by the content of model, question and decoding."""
    input:
        unpack(answering),
        benchmark=value_at("{benchmark}", BENCHMARK_FILES),
        images=value_at("{benchmark}", BENCHMARK_IMAGES),
    output:
        predictions=per_slice("<results>/predictions/{run}/{benchmark}.jsonl"),
    log:
        per_slice("<results>/logs/predict/{run}.{benchmark}.log"),
    benchmark:
        per_slice("<results>/timings/predict/{run}.{benchmark}.tsv")
    conda:
        "../envs/eval.yaml"
    threads: value_at("runs/{run}/threads", VALUES)
    resources:
        mem_mb=16000,
        runtime=480,
        gpu=answering_gpus,
    params:
        *code("predict"),
        spec=spec_of("eval"),
        settings=as_params(settings.prediction),
        benchmark=value_at("{benchmark}", ASKED),
        asked=asked_contents,
        slice=slice_number,
        device=answering_gpus,
        pixels=value_at("{run}", PIXELS),
        cache="results/cache/predictions",
    shell:
        "python scripts/predict.py --run {wildcards.run:q} --benchmark {wildcards.benchmark:q} "
        "--benchmark-settings {params.benchmark:q} --settings {params.settings:q} --slice {params.slice:q} "
        "--checkpoints {input.folders:q} --manifests {input.manifests:q} --gpus {params.device:q} "
        "--threads {threads} --pixels {params.pixels:q} --cache {params.cache:q} --output {output.predictions:q} 2>&1 | tee {log:q}"


if SLICES:

    rule gather_predictions:
        """Put the slices' answers together, in the benchmark's order."""
        input:
            slices=expand(per_slice("<results>/predictions/{run}/{benchmark}.jsonl"), slice=SLICES, allow_missing=True),
            benchmark=value_at("{benchmark}", BENCHMARK_FILES),
        output:
            predictions="<results>/predictions/{run}/{benchmark}.jsonl",
        log:
            "<results>/logs/gather_predictions/{run}.{benchmark}.log",
        benchmark:
            "<results>/timings/gather_predictions/{run}.{benchmark}.tsv"
        conda:
            "../envs/eval.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=30,
        params:
            *code("gather_predictions"),
            spec=spec_of("eval"),
            settings=value_at("{benchmark}", ASKED),
            asked=asked_contents,
        shell:
            "python scripts/gather_predictions.py --benchmark {wildcards.benchmark:q} --settings {params.settings:q} "
            "--slices {input.slices:q} --output {output.predictions:q} 2>&1 | tee {log:q}"
