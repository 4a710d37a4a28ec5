"""What the reference implementation computed, on tiny weights, is what this one computes."""

import csv
import json

import pytest
import torch
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file

from syntune.models.adapters import PEFT_PREFIX
from syntune.models.mgm.configuration_mgm import MgmConfig
from syntune.models.mgm.mining import side_by_side
from syntune.models.mgm.modeling_mgm import LORA_TARGETS, MgmForConditionalGeneration
from syntune.models.mgm.reference_names import from_reference_names, to_reference_name, to_reference_names

CASES = {"single": 1, "batch": 2}
"""Each case and its number of images; the batch's third row is text, for which the reference adds an empty image."""


@pytest.fixture(scope="module")
def goldens(goldens):
    return goldens / "mgm"


def reference_model(goldens, **changes):
    """The goldens' model, its towers frozen."""
    towers = json.loads((goldens / "config.json").read_text())
    aux = {"hidden_sizes": towers["convnext_config"]["dims"], "depths": towers["convnext_config"]["depths"]}
    config = MgmConfig.from_reference({**towers["mgm_config"], **changes}, towers["clip_vision_config"], aux)
    model = MgmForConditionalGeneration(config).eval()
    weights = load_file(goldens / "model.safetensors")
    model.load_state_dict(from_reference_names(weights, goldens))
    for tower in model.vision_towers:
        tower.requires_grad_(False)
    return model


@pytest.fixture(scope="module")
def model(goldens):
    return reference_model(goldens)


def load_case(goldens, name):
    """The tensors of a case, its JSON, and the model's inputs."""
    tensors = load_file(goldens / f"{name}.safetensors")
    inputs = {key: tensors[key] for key in ("input_ids", "attention_mask", "labels")}
    images = {key: tensors[key][: CASES[name]] for key in ("images", "images_aux")}
    return tensors, json.loads((goldens / f"{name}.json").read_text()), {**inputs, **images}


def close(found, wanted, rtol=1e-4, atol=2e-5):
    torch.testing.assert_close(found, wanted, rtol=rtol, atol=atol)


@pytest.mark.parametrize("case", CASES)
def test_vision(model, goldens, case):
    tensors, _, _ = load_case(goldens, case)
    patches, aux_stages = model.encode_images(tensors["images"], tensors["images_aux"])
    close(patches, tensors["clip_features"])
    close(side_by_side(aux_stages), tensors["aux_features"])
    mined = model.mining(patches, aux_stages)
    close(mined, tensors["mine_feat"])
    close(patches + mined, tensors["mined_tokens"])
    close(model.get_image_features(tensors["images"], tensors["images_aux"]), tensors["projector_output"])


@pytest.mark.parametrize("case", CASES)
def test_forward(model, goldens, case):
    tensors, _, inputs = load_case(goldens, case)
    output = model(**inputs, output_hidden_states=True)
    real = tensors["attention_mask_expanded"]
    for index, hidden in enumerate(output.hidden_states):
        close(hidden[real], tensors[f"hidden_states.{index}"][real])
    close(output.logits[real], tensors["logits"][real])
    close(output.loss, tensors["loss"][0], atol=1e-5)
    _, expanded = model.merge_inputs(**inputs)
    assert torch.equal(expanded.labels, tensors["labels_expanded"])
    assert torch.equal(expanded.attention_mask, real)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("training", [False, True])
def test_gradients(model, goldens, case, training):
    tensors, figures, inputs = load_case(goldens, case)
    model.train(training).zero_grad()
    model(**inputs).loss.backward()
    model.eval()
    own = {to_reference_name(name): p for name, p in model.named_parameters() if p.requires_grad}
    assert set(own) == set(figures["grad_norms"])
    for name, norm in figures["grad_norms"].items():
        # the key projection's shift cancels in the softmax: its gradient is zero, in the reference up to rounding
        gradient = torch.zeros(1) if own[name].grad is None else own[name].grad
        assert gradient.norm().item() == pytest.approx(norm, rel=1e-3, abs=1e-6), name
    whole = [name.removeprefix("grad.") for name in tensors if name.startswith("grad.")]
    assert whole
    for name in whole:
        close(own[name].grad, tensors[f"grad.{name}"])


def test_greedy_generation(model, goldens):
    tensors, figures, inputs = load_case(goldens, "single")
    prompt = torch.tensor([figures["generate_prompt_ids"]])
    images = {"images": inputs["images"], "images_aux": inputs["images_aux"]}
    new = model.generate(prompt, **images, max_new_tokens=16, do_sample=False, eos_token_id=None)
    assert new[0].tolist() == figures["generate_new_ids"]


@pytest.mark.parametrize("case", CASES)
def test_exact_gelu(goldens, case, tmp_path):
    """A reference config's "gelu" is the exact one, and stays so through a saved checkpoint."""
    tensors, _, inputs = load_case(goldens, case)
    reference_model(goldens, hidden_act="gelu").save_pretrained(tmp_path)
    output = MgmForConditionalGeneration.from_pretrained(tmp_path)(**inputs)
    real = tensors["attention_mask_expanded"]
    close(output.logits[real], tensors["logits_erf_gelu"][real])
    close(output.loss, tensors["loss_erf_gelu"][0], atol=1e-5)


def test_reference_adapter(goldens):
    """The reference's adapter files load as they are; its outputs hold with the adapter active and merged."""
    _, _, inputs = load_case(goldens, "single")
    wanted, figures = load_file(goldens / "lora_outputs.safetensors"), json.loads((goldens / "lora.json").read_text())
    base = reference_model(goldens)
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules=LORA_TARGETS))
    adapter = load_file(goldens / "lora_adapter_model.safetensors")
    assert sum("lora_" in name for name, _ in model.named_parameters()) == len(adapter)
    assert not set_peft_model_state_dict(model, adapter).unexpected_keys
    beside = load_file(goldens / "lora_non_lora_trainables.safetensors")
    beside = from_reference_names({name.removeprefix(PEFT_PREFIX): value for name, value in beside.items()}, goldens)
    assert not base.load_state_dict(beside, strict=False).unexpected_keys

    output = model(**inputs)
    close(output.logits, wanted["logits"])
    close(output.loss, wanted["loss"][0], atol=1e-5)
    output.loss.backward()
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            assert parameter.grad.norm().item() == pytest.approx(figures["grad_norms"][name], rel=1e-3), name
    merged = model.merge_and_unload()(**inputs)
    close(merged.logits, wanted["logits_merged"])
    close(merged.loss, wanted["loss_merged"][0], atol=1e-5)


def test_mgm_2b_has_the_references_tensors(goldens):
    with torch.device("meta"):
        model = MgmForConditionalGeneration(MgmConfig())
    with (goldens / "mgm-2b-state-dict.tsv").open() as file:
        wanted = {row["name"]: tuple(json.loads(row["shape"])) for row in csv.DictReader(file, delimiter="\t")}
    renamed = to_reference_names(model.state_dict())
    assert {name: tuple(tensor.shape) for name, tensor in renamed.items()} == wanted
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_019_166_144
    assert list(from_reference_names(renamed, goldens)) == list(model.state_dict())
