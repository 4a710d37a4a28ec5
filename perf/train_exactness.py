"""Is it the same training? Losses and gradients of MGM-2B at full size, with random weights, by each way to train it.

    python perf/train_exactness.py --output out               # on a GPU, about two minutes
    python perf/train_exactness.py --output out --size tiny   # the same code in seconds, on a CPU

Losses: optimizer steps of four rows from the same weights, dropout 0, image features cached. "plain" is PEFT with a
padding mask, transformers' SDPA and all of the logits; "plain reversed" has the rows of each batch the other way round,
which is what rounding alone does; the others are this project's way, with the frozen base in bf16, fp8 and int8.

Gradients: of the first batch, each adapter's against those of plain float32, as cosine similarity.

OUT/exactness.json has every number, OUT/exactness.md two tables.
"""

import argparse
import gc
import json
from pathlib import Path
from typing import Any

from train_speed import Bench, Case, Plain, loss_of

WAYS = {
    "plain": Case("plain", fast=False),
    "plain reversed": Case("plain reversed", fast=False),
    "bf16": Case("bf16"),
    "fp8": Case("fp8", base="fp8"),
    "int8": Case("int8", base="int8"),
}
"""The first is what the others' losses are compared with."""

ROWS = 4
"""Of an optimizer step."""


def train(bench: Bench, case: Case, steps: int) -> list[float]:
    """The loss of each step."""
    lengths, losses = bench.lengths(ROWS * steps), []
    model = bench.model(case)
    engine = Plain(model, bench)
    for step in range(steps):
        batch = bench.batch(list(range(ROWS * step, ROWS * (step + 1))), lengths, "cached")
        if case.name == "plain reversed":
            batch = {key: tensor.detach().flip(0) for key, tensor in batch.items()}
        loss = loss_of(engine, model, case, batch, int((batch["labels"] != -100).sum()), True)
        engine.backward(loss, True)
        losses.append(loss.item())
    return losses


def gradients(bench: Bench, case: Case) -> dict[str, Any]:
    """The adapters' gradients of the first batch, on the CPU, by parameter; B is random, or A would get none."""
    import torch

    lengths = bench.lengths(ROWS)
    model = bench.model(case)
    generator = torch.Generator(bench.device).manual_seed(1)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            parameter.data.normal_(std=0.01, generator=generator)
    engine = Plain(model, bench)
    batch = bench.batch(list(range(ROWS)), lengths, "cached")
    loss_of(engine, model, case, batch, int((batch["labels"] != -100).sum()), True).backward()
    return {name: weight.grad.float().cpu() for name, weight in model.named_parameters() if weight.grad is not None}


def cosines(found: dict[str, Any], exact: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """By the linear's kind, then A or B: the cosine similarity of each layer."""
    import torch

    kinds: dict[str, dict[str, list[float]]] = {}
    for name, gradient in found.items():
        *_, kind, side, _, _ = name.split(".")
        alike = torch.nn.functional.cosine_similarity(gradient.flatten(), exact[name].flatten(), 0).item()
        kinds.setdefault(kind, {}).setdefault(side, []).append(round(alike, 5))
    return kinds


def clear() -> None:
    """Free what a way to train has left."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def tables(found: dict[str, Any]) -> str:
    """Both results as Markdown."""
    lines = ["| losses against plain, nats | mean difference | largest |", "|---|---|---|"]
    for name, apart in found["apart"].items():
        lines.append(f"| {name} | {apart['mean']:g} | {apart['max']:g} |")
    ways = list(found["cosines"])
    lines += [
        "",
        f"| gradient against float32's: mean, least cosine | {' | '.join(ways)} |",
        "|---" * (len(ways) + 1) + "|",
    ]
    for kind in found["cosines"][ways[0]]:
        for side in ("lora_A", "lora_B"):
            cells = [found["cosines"][way][kind][side] for way in ways]
            shown = [f"{sum(layers) / len(layers):.5f}, {min(layers):.5f}" for layers in cells]
            lines.append(f"| {kind} {side[-1]} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def main(args: argparse.Namespace) -> None:
    """Run every way, one after the other."""
    import torch

    args.output.mkdir(parents=True, exist_ok=True)
    bench = Bench(args.size, args.cap)
    losses = {}
    for name, case in WAYS.items():
        losses[name] = train(bench, case, args.steps)
        clear()
        print(name, [round(loss, 4) for loss in losses[name][:3]], "...", round(losses[name][-1], 4), flush=True)
    plain = losses["plain"]
    apart = {
        name: {
            "mean": round(sum(abs(a - b) for a, b in zip(values, plain, strict=True)) / args.steps, 5),
            "max": round(max(abs(a - b) for a, b in zip(values, plain, strict=True)), 5),
        }
        for name, values in losses.items()
        if name != "plain"
    }
    exact_bench = Bench(args.size, args.cap)
    exact_bench.dtype, exact_bench.autocasts = torch.float32, False
    exact = gradients(exact_bench, WAYS["plain"])
    clear()
    alike = {}
    for name in ("plain", "bf16", "fp8", "int8"):
        alike[name] = cosines(gradients(bench, WAYS[name]), exact)
        clear()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    found = {"device": device, "torch": torch.__version__, "steps": args.steps, "apart": apart, "cosines": alike}
    (args.output / "exactness.json").write_text(json.dumps(found | {"losses": losses}))
    (args.output / "exactness.md").write_text(tables(found))
    print(tables(found), flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--output", type=Path, default=Path("train-exactness"), help="folder for the results")
    arguments.add_argument("--size", choices=("full", "tiny"), default="full", help="MGM-2B, or a toy for a CPU")
    arguments.add_argument("--steps", type=int, default=50, help="optimizer steps whose losses are compared")
    arguments.add_argument("--cap", type=float, default=70.0, help="GPU memory that may be used, GiB")
    return arguments


if __name__ == "__main__":
    main(parser().parse_args())
