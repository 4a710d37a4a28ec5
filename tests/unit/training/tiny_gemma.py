"""A tiny Gemma with LoRA, and rows to pack."""

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import GemmaConfig, GemmaModel

from syntune.models.attention import choose_attention

LENGTHS = torch.tensor([5, 1, 9])
MLP, ATTENTION = ("gate_proj", "up_proj", "down_proj"), ("q_proj", "k_proj", "v_proj", "o_proj")


def adapted(dropout=0.0, dtype=torch.float64, act="gelu_pytorch_tanh", targets=(*MLP, *ATTENTION), config=(), **lora):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = GemmaConfig(
        vocab_size=50, pad_token_id=0, **sizes | {"num_key_value_heads": 2, "head_dim": 8} | dict(config)
    )
    config.hidden_act = act
    model = GemmaModel(config).to(dtype)
    model.set_attn_implementation(choose_attention("sdpa", "cpu", torch.float32).implementation)
    lora = LoraConfig(target_modules=list(targets), lora_dropout=dropout, **{"r": 4, "lora_alpha": 12, **lora})
    model = get_peft_model(model, lora, autocast_adapter_dtype=False)
    for name, parameter in model.named_parameters():
        if "lora_B" in name or "norm" in name:
            nn.init.normal_(parameter, std=0.3)
    return model.train()
