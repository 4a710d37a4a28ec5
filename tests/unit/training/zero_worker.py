"""One rank of a short run on a CPU: a tiny MGM with fused adapters, packed rows, with or without DeepSpeed."""

import os
import sys

import torch
import torch.distributed as dist
from peft import LoraConfig, get_peft_model

from syntune.models.attention import choose_attention
from syntune.models.mgm.modeling_mgm import LORA_TARGETS, MgmForConditionalGeneration
from syntune.models.mgm.tiny import tiny_config
from syntune.models.packing import pack_in_training
from syntune.training.fused import fuse_adapters
from syntune.training.run import leave_ranks
from syntune.training.zero import (
    ReducedOnce,
    gather_kept,
    keeps_parameters,
    mark_leaves,
    prepare_deepspeed,
    trained_tensors,
    zero_config,
)

stage, offload, output = sys.argv[1:]
rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def main() -> None:
    torch.manual_seed(0)
    model = MgmForConditionalGeneration(tiny_config(101, hidden_size=32, num_hidden_layers=2))
    pack_in_training(model, choose_attention("sdpa", "cpu", torch.float32))
    model = get_peft_model(model, LoraConfig(target_modules=LORA_TARGETS, r=4, modules_to_save=["mm_projector"]))
    fuse_adapters(model, compiled=False)
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    engine = model if stage == "None" else wrap(model, optimizer)
    backward = ReducedOnce(engine).backward if stage in "23" else None
    losses = []
    for micro_batch in range(6):
        rows, ends_step = 2, micro_batch % 2 == 1
        mine = slice(None) if ranks == 1 else slice(rank, rank + 1)
        loss = engine(**batch(micro_batch, rows, mine)).loss
        if engine is model:
            (loss / 2).backward()
            if ends_step:
                optimizer.step()
                optimizer.zero_grad()
        elif backward:
            backward(loss, ends_step)
        else:
            engine.backward(loss)
            engine.step()
        loss = loss.detach().clone()
        if ranks > 1:
            dist.all_reduce(loss)
        losses.append(loss.item() / ranks)
    saved = {"losses": losses, "trained": trained_tensors(model)}
    if rank == 0:
        torch.save(saved, output)


def wrap(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> torch.nn.Module:
    import deepspeed

    prepare_deepspeed()
    deepspeed.init_distributed("gloo", verbose=False)
    if not keeps_parameters(int(stage), bool(int(offload)), ranks):
        mark_leaves(model)
    config = zero_config(int(stage), bool(int(offload)), ranks)
    del config["train_batch_size"], config["gradient_clipping"]
    config |= {"train_micro_batch_size_per_gpu": 1, "gradient_accumulation_steps": 2, "bf16": {"enabled": False}}
    engine = deepspeed.initialize(model=model, optimizer=optimizer, config=config)[0]
    gather_kept(engine)
    return engine


def batch(step: int, rows: int, mine: slice = slice(None)) -> dict[str, torch.Tensor]:
    """Rows of one image and some text, of equal numbers of supervised tokens, so that ranks weigh the same."""
    generator = torch.Generator().manual_seed(step)
    ids = torch.randint(5, 101, (rows, 12), generator=generator)
    ids[:, 1] = -200
    labels = ids.clone()
    labels[:, :4] = -100
    images = torch.randn(rows, 3, 64, 64, generator=generator)
    images_aux = torch.randn(rows, 3, 128, 128, generator=generator)
    return {"input_ids": ids[mine], "labels": labels[mine], "images": images[mine], "images_aux": images_aux[mine]}


main()
leave_ranks()
