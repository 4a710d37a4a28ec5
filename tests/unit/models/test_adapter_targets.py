"""Adapters of other people's making: on some layers, on embeddings, on experts; and what an adapter leaves out."""

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from PIL import Image
from tiny_models import TEXT, write_model
from transformers import Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration

from syntune.errors import UserError
from syntune.files import read_json, write_json
from syntune.models.adapter_targets import without_adapter
from syntune.models.adapters import apply_adapter
from syntune.models.checkpoints import load_chain
from syntune.models.registry import family_of


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llava") / "llava"
    write_model("llava", folder)
    return folder


def peft_adapter(base, folder, **config):
    """Random weights of an adapter, as PEFT itself writes them; returns what PEFT makes of them."""
    torch.manual_seed(1)
    adapted = get_peft_model(load_chain([base], torch.float32).model, LoraConfig(r=2, lora_alpha=8, **config))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.3 * torch.randn_like(parameter))
            elif "modules_to_save" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    adapted.save_pretrained(folder)
    return PeftModel.from_pretrained(load_chain([base], torch.float32).model, folder).eval()


def logits(model, base):
    processor = family_of(base).load_processor(base)
    row = processor.encode_prompt("What colour?", [Image.new("RGB", (40, 40), "red")])
    with torch.no_grad():
        return model(**processor.collate([row])).logits


@pytest.mark.parametrize(
    "config",
    [
        {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [1]},
        {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [0], "layers_pattern": "layers"},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"target_modules": ["q_proj", "lm_head"]},
        {"target_modules": "all-linear", "exclude_modules": ["down_proj"]},
        {"target_modules": ["linear_1", "gate_proj"], "modules_to_save": ["linear_2"]},
    ],
    ids=["a layer", "a layer by pattern", "embedding", "output layer", "all linears", "connector"],
)
def test_an_adapter_answers_as_it_does_under_peft(llava, tmp_path, config):
    wanted = logits(peft_adapter(llava, tmp_path / "adapter", **config), llava)
    found = logits(load_chain([llava, tmp_path / "adapter"], torch.float32).model, llava)
    assert torch.allclose(found, wanted, atol=1e-4)
    base = load_chain([llava], torch.float32)
    unmerged = apply_adapter(base.model, tmp_path / "adapter", base.family).eval()  # as the rehearsal compares it
    assert torch.allclose(logits(unmerged, llava), wanted, atol=1e-5)
    assert not torch.allclose(found, logits(load_chain([llava], torch.float32).model, llava), atol=1e-2)


@pytest.mark.parametrize("targets", [["q_proj", "embed_tokens"], r".*(q_proj|embed_tokens)"], ids=["list", "pattern"])
def test_an_adapter_on_a_tied_embedding(targets, tmp_path):
    write_model("smolvlm", tmp_path / "base")
    config = read_json(tmp_path / "base/config.json")
    config["text_config"]["tie_word_embeddings"] = config["tie_word_embeddings"] = True
    write_json(tmp_path / "base/config.json", config)
    model = load_chain([tmp_path / "base"], torch.float32).model
    model.lm_head.weight = model.get_input_embeddings().weight
    model.save_pretrained(tmp_path / "base")
    peft_adapter(tmp_path / "base", tmp_path / "adapter", target_modules=targets)
    with pytest.raises(UserError, match="embed_tokens is embedding and output layer in one .* cannot be merged"):
        load_chain([tmp_path / "base", tmp_path / "adapter"], torch.float32)


@pytest.fixture(scope="module")
def experts(tmp_path_factory):
    """A tiny Qwen3-VL with a mixture of experts; its processor is Qwen2.5-VL's, which is all that is asked of it."""
    folder = tmp_path_factory.mktemp("moe") / "moe"
    write_model("qwen", folder)
    old = read_json(folder / "config.json")
    sizes = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1}
    tokens = {key: old[key] for key in old if key.endswith("_token_id")}
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}
    config = Qwen3VLMoeConfig(
        text_config={"vocab_size": old["text_config"]["vocab_size"], "rope_parameters": rope, **TEXT, **sizes},
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 8,
            "out_hidden_size": 64, "deepstack_visual_indexes": [0],
        },
        **tokens,
    )  # fmt: skip
    torch.manual_seed(0)
    Qwen3VLMoeForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_experts_that_no_adapter_is_on_are_named(experts):
    loaded = load_chain([experts], torch.float32)
    adapted = get_peft_model(loaded.model, LoraConfig(r=2, target_modules=loaded.family.lora_targets))
    left = without_adapter(adapted, loaded.family)
    layers = "model.language_model.layers.*.mlp"
    assert {name for name in left if "experts" in name} == {
        f"{layers}.experts.gate_up_proj", f"{layers}.experts.down_proj"
    }  # fmt: skip
    assert left[f"{layers}.experts.down_proj"] == 2 * 4 * 64 * 16


def test_an_adapter_on_experts(experts, tmp_path):
    config = {"target_modules": ["q_proj"], "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]}
    wanted = logits(peft_adapter(experts, tmp_path / "adapter", **config), experts)
    found = logits(load_chain([experts, tmp_path / "adapter"], torch.float32).model, experts)
    assert torch.allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("kind", ["llava", "qwen", "smolvlm", "paligemma"])
def test_nothing_of_a_dense_model_is_left_out(kind, tmp_path):
    write_model(kind, tmp_path / kind)
    loaded = load_chain([tmp_path / kind], torch.float32)
    adapted = get_peft_model(loaded.model, LoraConfig(r=2, target_modules=loaded.family.lora_targets))
    assert without_adapter(adapted, loaded.family) == {}
