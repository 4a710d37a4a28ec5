"""One rank of a short run on a CPU: a tiny MGM with fused adapters, packed rows, with or without DeepSpeed."""

import os
import sys

import torch
import torch.distributed as dist
from peft import LoraConfig, get_peft_model

from syntune.models.attention import choose_attention
from syntune.models.mgm.modeling_mgm import LORA_TARGETS, MgmForConditionalGeneration
from syntune.models.mgm.packing import pack_in_training
from syntune.models.mgm.tiny import tiny_config
from syntune.training.gemma.fuse import fuse_adapters
from syntune.training.ranks import leave_ranks
from syntune.training.zero import (
    engine_wrapper,
    mark_leaf_modules,
    prepare_deepspeed,
    trained_tensors,
    unpartitioned,
    zero_config,
)

CLIPPED = 0.5
"""The longest gradient."""

stage, offload, output, broken = sys.argv[1:]
rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def main() -> None:
    torch.manual_seed(0)
    model = MgmForConditionalGeneration(tiny_config(101, hidden_size=32, num_hidden_layers=2))
    pack_in_training(model, choose_attention("sdpa", "cpu", torch.float32))
    model = get_peft_model(model, LoraConfig(target_modules=LORA_TARGETS, r=4, modules_to_save=["mm_projector"]))
    fuse_adapters(model, compiled=False)
    model.train()
    towers = [] if stage == "None" else model.base_model.model.vision_towers
    with unpartitioned(model, towers, torch.device("cpu")):
        saved = train(model)
    shared = {name for name, parameter in model.named_parameters() if hasattr(parameter, "ds_id")}
    assert bool(shared) == (stage == "3") and not any("vision_tower" in name for name in shared)
    saved["trained"] = trained_tensors(model)
    if rank == 0:
        torch.save(saved, output)


def train(model: torch.nn.Module) -> dict:
    """Losses of eight micro-batches, and the gradients' norm of each step of two."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1.0)  # its steps are as long as the gradients
    model.base_model.model.encodes_without_images = stage != "None"
    engine = model if stage == "None" else wrap(model, optimizer)
    wrapped = None if engine is model else engine_wrapper(int(stage), "lora")(engine)
    saved: dict = {"losses": [], "norms": []}
    for micro_batch in range(8):
        if broken == "broken" and (rank, micro_batch) == (1, 3):
            raise ValueError("a broken row")
        ends_step = micro_batch % 2 == 1
        loss = engine(**batch(micro_batch, slice(None) if ranks == 1 else slice(rank, rank + 1))).loss
        if engine is model:
            (loss / 2).backward()
        else:
            wrapped.backward(loss, ends_step)
        if ends_step and engine is model:
            saved["norms"].append(torch.nn.utils.clip_grad_norm_(trained, CLIPPED).item())
            optimizer.step()
            optimizer.zero_grad()
        elif ends_step:
            saved["norms"].append(float(wrapped.get_global_grad_norm()))
        loss = loss.detach().clone()
        if ranks > 1:
            dist.all_reduce(loss)
        saved["losses"].append(loss.item() / ranks)
    return saved


def wrap(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> torch.nn.Module:
    import deepspeed

    prepare_deepspeed()
    deepspeed.init_distributed("gloo", verbose=False)
    mark_leaf_modules(model)
    config = zero_config(int(stage), bool(int(offload)), ranks)
    del config["train_batch_size"]
    config |= {"train_micro_batch_size_per_gpu": 1, "gradient_accumulation_steps": 2, "bf16": {"enabled": False}}
    config["gradient_clipping"] = CLIPPED
    if "stage3_param_persistence_threshold" in config["zero_optimization"] and ranks > 1:
        config["zero_optimization"]["stage3_param_persistence_threshold"] = 0  # gather these small ones too
    return deepspeed.initialize(model=model, optimizer=optimizer, config=config)[0]


def batch(micro_batch: int, mine: slice) -> dict[str, torch.Tensor]:
    """Two rows of equally many supervised tokens, so that ranks weigh the same; a step's and others without images."""
    generator = torch.Generator().manual_seed(micro_batch)
    ids = torch.randint(5, 101, (2, 12), generator=generator)
    with_image = [] if micro_batch in (4, 5) else [0] if micro_batch in (2, 3, 7) else [0, 1]
    ids[with_image, 1] = -200
    labels = ids.clone()
    labels[:, :4] = -100
    images = torch.randn(2, 3, 64, 64, generator=generator)
    images_aux = torch.randn(2, 3, 128, 128, generator=generator)
    shown = [row for row in with_image if row in range(2)[mine]]
    tensors = {"input_ids": ids[mine], "labels": labels[mine]}
    return tensors | ({"images": images[shown], "images_aux": images_aux[shown]} if shown else {})


main()
leave_ranks()
