"""Gemma-2B's MLP with adapters, and the loss over its vocabulary: this project's ways beside those of libraries.

    python perf/library_kernels.py        # on a GPU, half a minute; liger-kernel's rows need the package liger-kernel

Each row: milliseconds forward and backward of one layer (or of the loss), and the most memory that it took beyond its
inputs, in bfloat16 with adapters in float32, without dropout.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import GemmaConfig
from transformers.models.gemma.modeling_gemma import GemmaMLP

from syntune.models.cross_entropy import summed_cross_entropy
from syntune.training.gemma.fuse import fuse_adapters

TOKENS, SUPERVISED, WIDTH, INNER, VOCABULARY = 7168, 990, 2048, 16384, 256000
"""Of a micro-batch of 11 rows, as perf/train_speed.py has them."""


def measured(run: Callable[[], Any]) -> str:
    """Milliseconds and MiB of what it does."""
    from triton.testing import do_bench

    run()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    taken = (torch.cuda.max_memory_allocated() - before) / 2**20
    return f"{do_bench(run, warmup=50, rep=300):.3f} | {taken:.0f}"


def mlp() -> nn.Module:
    """One MLP with adapters of rank 16, frozen in bfloat16."""
    torch.manual_seed(0)
    config = GemmaConfig(hidden_size=WIDTH, intermediate_size=INNER, hidden_act="gelu_pytorch_tanh")
    holder = nn.ModuleDict({"mlp": GemmaMLP(config)}).to("cuda", torch.bfloat16)
    adapted = get_peft_model(
        holder, LoraConfig(r=16, lora_alpha=32, target_modules=["gate_proj", "up_proj", "down_proj"])
    )
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()
    return adapted


def backward(module: Callable[[torch.Tensor], torch.Tensor], trained: list[nn.Parameter]) -> Callable[[], Any]:
    """Forward and backward, with gradients of the input and of what is trained."""
    x = torch.randn(1, TOKENS, WIDTH, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    upstream = torch.randn(1, TOKENS, WIDTH, device="cuda", dtype=torch.bfloat16)

    def run() -> Any:
        with torch.autocast("cuda", torch.bfloat16):
            y = module(x)
        return torch.autograd.grad(y, [x, *trained], upstream)

    return run


def mlps() -> dict[str, Callable[[], Any]]:
    """The ways to run an MLP with adapters."""
    ways = {}
    for name in ("this project", "PEFT", "PEFT, compiled", "PEFT, liger-kernel's GEGLU"):
        model = mlp()
        module = model.base_model.model["mlp"]
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        forward: Callable[[torch.Tensor], torch.Tensor] = module
        if name == "this project":
            fuse_adapters(model)
        elif "compiled" in name:
            forward = torch.compile(module)
        elif "liger" in name:
            from liger_kernel.ops.geglu import LigerGELUMulFunction

            def forward(x: torch.Tensor, module: nn.Module = module) -> torch.Tensor:
                return module.down_proj(LigerGELUMulFunction.apply(module.gate_proj(x), module.up_proj(x)))

        ways[name] = backward(forward, trained)
    return ways


def losses() -> dict[str, Callable[[], Any]]:
    """The ways to the summed loss, with the gradient of the hidden states; the head is frozen."""
    head = nn.Linear(WIDTH, VOCABULARY, bias=False, device="cuda", dtype=torch.bfloat16).requires_grad_(False)
    hidden = torch.randn(1, SUPERVISED + 1, WIDTH, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    labels = torch.randint(0, VOCABULARY, (1, SUPERVISED + 1))
    targets = labels[0, 1:].cuda()

    def ours() -> Any:
        return torch.autograd.grad(summed_cross_entropy(hidden, labels, head), hidden)

    def liger() -> Any:
        from liger_kernel.ops.fused_linear_cross_entropy import LigerFusedLinearCrossEntropyFunction

        options = (None, None, -100, 0.0, 0.0, "sum")
        loss = LigerFusedLinearCrossEntropyFunction.apply(hidden[0, :-1], head.weight, targets, *options)[0]
        return torch.autograd.grad(loss, hidden)

    return {"this project": ours, "liger-kernel's fused linear": liger}


def main() -> None:
    """Measure all, one after the other."""
    print(torch.cuda.get_device_name(), torch.__version__)
    print("| what | way | ms | MiB |\n|---|---|---|---|")
    for what, ways in (("MLP", mlps), ("loss", losses)):
        for name, run in ways().items():
            try:
                print(f"| {what} | {name} | {measured(run)} |", flush=True)
            except ImportError as error:
                print(f"| {what} | {name} | not measured: {error} | |", flush=True)
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
