"""What makes a model ready to train: which steps, in which order, and what each leaves."""

import re
from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel

from syntune.errors import UserError
from syntune.settings.methods import METHODS
from syntune.settings.runs import TrainedRunSettings
from syntune.training import ready as module
from syntune.training.ready import load_start, make_ready

CPU = torch.device("cpu")


def settings(**changes) -> TrainedRunSettings:
    short = {"method": "lora", "start": "tiny", "dataset": "dataset", "precision": "fp32", "gpus": 0}
    return TrainedRunSettings.model_validate(short | {"lora": {"r": 4, "alpha": 8}} | changes)


def ready_of(base, **changes):
    run = settings(**changes)
    return make_ready(load_start([base], run), run, "the base", CPU)


def trained_names(ready) -> set[str]:
    names = {name for name, parameter in ready.model.named_parameters() if parameter.requires_grad}
    return {name.removeprefix("base_model.model.") for name in names}


@pytest.fixture
def steps(monkeypatch):
    """The steps in the order in which they are called, none of them done, as on a GPU."""
    called = []

    def step(name, gives=None):
        return lambda *args: called.append(name) or gives

    model = SimpleNamespace(activation_checkpointing_enable=step("checkpointing"))
    family = SimpleNamespace(
        use_attention=step("attention", "sdpa"), compile_vision=step("compile"), towers=lambda model: ["tower"],
        encode_without_images=step("encode without images"), records_towers=True,
    )  # fmt: skip
    fused = SimpleNamespace(mlps=18, attentions=18, left=(), is_whole=True)
    stand_ins = {
        "quantize_language_model": step("quantise"),
        "adapt": step("adapt", model),
        "count_parameters": step("count"),
        "hold_in_eight_bits": step("8 bits", []),
        "fuse_adapters": step("fuse", fused),
        "record_layers": step("record"),
        "prepare_deepspeed": step("deepspeed"),
        "mark_leaf_modules": step("leaves"),
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(module, name, stand_in)
    start = SimpleNamespace(model=model, family=family)

    def run(**changes):
        called.clear()
        made = settings(precision="bf16", **changes)
        return make_ready(start, made, "base", torch.device("cuda")), list(called)

    return run


def test_every_step_has_its_place(steps):
    ready, called = steps(method="qlora", gradient_checkpointing=True, zero={"stage": 2})
    assert called == [
        "quantise", "attention", "checkpointing", "adapt", "count", "compile", "fuse", "encode without images",
        "deepspeed", "leaves",
    ]  # fmt: skip
    assert (ready.attention, ready.unpartitioned) == ("sdpa", ["tower"])


def test_a_base_is_rounded_once_it_is_adapted_and_layers_are_recorded_without_zero(steps):
    _, called = steps(base_precision="fp8", gpus=1)
    assert called == ["attention", "adapt", "count", "8 bits", "compile", "fuse", "record"]


def test_a_step_that_is_not_asked_for_is_left_out(steps):
    ready, called = steps(method="align")
    assert called == ["attention", "adapt", "count", "compile"]
    assert ready.unpartitioned == []
    ready, called = steps(method="full", train_vision=True, zero={"stage": 2})
    assert "fuse" not in called
    assert ready.unpartitioned == []  # DeepSpeed trains them


def test_an_adapter_is_float32_on_a_frozen_base_in_bfloat16(base):
    ready = ready_of(base, precision="bf16")
    assert isinstance(ready.model, PeftModel)
    found = {(parameter.requires_grad, parameter.dtype) for parameter in ready.model.parameters()}
    assert found == {(True, torch.float32), (False, torch.bfloat16)}
    for name in trained_names(ready):
        assert ".lora_" in name or name.startswith(("mining.", "mm_projector.")), name


def test_qlora_adapts_linears_of_4_bits(base):
    from bitsandbytes.nn import Linear4bit

    ready = ready_of(base, method="qlora")
    adapted = [linear for linear in ready.model.modules() if hasattr(linear, "lora_A")]
    assert adapted and all(type(linear.base_layer) is Linear4bit for linear in adapted)
    assert {linear.lora_A["default"].weight.dtype for linear in adapted} == {torch.float32}
    assert not any(type(linear) is Linear4bit for linear in ready.start.model.mm_projector.modules())
    assert ready.parameters == ready_of(base).parameters  # counted as before they were quantised


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.is_trained])
def test_a_method_trains_what_it_writes(method, base):
    trained, connector = trained_names(ready_of(base, method=method)), ("mining.", "mm_projector.")
    beside = {name for name in trained if name.startswith(connector)}
    assert beside
    assert (trained == beside) == (METHODS[method].writes == "connector")
    assert any(".lora_" in name for name in trained) == (METHODS[method].writes == "adapter")
    assert not any(name.startswith("vision_tower") for name in trained)


@pytest.mark.parametrize(
    ("targets", "line"),
    [
        (r".*q_proj", "vision_tower.encoder.layers.0.self_attn.q_proj is in a vision tower"),
        (r"mm_projector\.0|model\..*q_proj", "mm_projector.0 is in the connector"),
        (r"lm_head|model\..*q_proj", "lm_head is embedding and output layer in one"),
        (r"model\.embed_tokens", "model.embed_tokens is embedding and output layer in one"),
    ],
)
def test_an_adapter_is_on_the_language_model_alone(targets, line, base):
    with pytest.raises(UserError, match=f"lora.targets: {re.escape(line)}.*; name linears of the language model alone"):
        ready_of(base, lora={"r": 4, "targets": targets})


def test_rows_are_packed_by_the_model_that_peft_wraps(base):
    ready = ready_of(base)
    assert ready.attention == "sdpa"
    assert ready.start.model.model.config._attn_implementation == "packed_sdpa"
    assert ready.start.model._forward_pre_hooks and not ready.model._forward_pre_hooks


def test_with_checkpointing_peft_lets_gradients_reach_the_first_layer(base):
    """PEFT looks for it as it wraps the model: were it turned on later, the embeddings would need no gradient."""
    for asked in (False, True):
        model = ready_of(base, gradient_checkpointing=asked).model
        embedded = model.get_input_embeddings()(torch.tensor([[1, 2]]))
        assert embedded.requires_grad == asked


def test_the_longest_row_is_the_runs_or_the_models_whichever_is_shorter(base):
    own = load_start([base], settings(max_length=16)).processor
    assert own.max_length == 16
    most = load_start([base], settings(max_length=8192)).processor.max_length
    assert most < 8192
