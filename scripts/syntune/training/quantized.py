"""QLoRA's base: the language model's linears held in 4 bits (Dettmers et al., 2023: NF4, scales quantised too)."""

from typing import Any

import torch
from torch import nn

from syntune.models.family import Family


def quantize_language_model(model: Any, family: Family, device: torch.device) -> None:
    """Replace the language model's linears by 4-bit ones and move the model to ``device``, where that is done.

    The output layer, the connector and the vision towers stay as they are.

    Args:
        model: a full model of ``family``; changed in place.
        family: its family.
        device: where it will train.
    """
    from bitsandbytes.nn import Linear4bit, Params4bit

    outside = {id(part) for whole in (*family.towers(model), *family.connector(model)) for part in whole.modules()}
    outside.add(id(model.get_output_embeddings()))
    for name, module in list(model.named_modules()):
        if type(module) is not nn.Linear or id(module) in outside:
            continue
        form = {"quant_type": "nf4", "compress_statistics": True}
        small = Linear4bit(
            module.in_features, module.out_features, module.bias is not None, module.weight.dtype, device="meta", **form
        )
        small.weight = Params4bit(module.weight.data, requires_grad=False, module=small, **form)
        small.bias = module.bias
        small.support_avx512bf16_for_cpu = False  # or validation on a CPU would repack the weights, and lose digits
        model.set_submodule(name, small)
    model.is_loaded_in_4bit = True  # by which PEFT chooses its layers
    model.to(device)
