"""The rehearsal fails on what prediction would fail on, and says which file, question or tensor it is."""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from syntune.errors import UserError
from syntune.prediction import rehearsal
from syntune.prediction.device import choose_device
from syntune.prediction.rehearsal import rehearse

CPU = (torch.device("cpu"), torch.float32, 1)
ADAPTER_WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def adapter(checkpoints, tmp_path) -> Path:
    """A copy of the adapter, to be spoilt."""
    return shutil.copytree(checkpoints[1], tmp_path / "rehearsed")


def test_a_full_checkpoint_and_an_adapter_pass(checkpoints, textvqa, mmbench):
    base, adapter = checkpoints
    of_base = rehearse([textvqa, mmbench], [base], *CPU)
    of_adapter = rehearse([textvqa, mmbench], [base, adapter], *CPU)
    assert of_adapter.pop("adapter") == {"tensors": 2 * 7 * 2, "merged and unmerged logits": "agree"}
    assert of_adapter == of_base
    benchmark = {"protocol": "TextVQA, without reference OCR tokens", "questions": 11, "images": 5, "answered": 2}
    assert of_base["benchmarks"]["open"] == benchmark
    assert of_base["benchmarks"]["choice"]["questions"] == 6


def test_it_is_told_how_far_a_base_in_8_bits_is_from_the_one_that_answers(checkpoints, textvqa, monkeypatch):
    held = partial(rehearsal.hold_in_eight_bits, worth=12)  # lower: no linear of a tiny model is wide
    monkeypatch.setattr(rehearsal, "hold_in_eight_bits", held)
    told = rehearse([textvqa], checkpoints, *CPU, base_precision="int8")["adapter"]
    apart = told["logits on the base in int8 and merged logits"]
    assert 0.0001 < float(apart.removesuffix(" apart")) < 0.1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda weights, name: weights.pop(name), "1 tensor.* missing"),
        (lambda weights, name: weights.update({name: torch.zeros(0)}), "1 tensor.* empty"),
        (lambda weights, name: weights.update({name: weights[name][:1]}), "1 tensor.* of another shape"),
        (lambda weights, name: weights.update({name + ".more": weights[name].clone()}), "1 tensor.* unexpected"),
    ],
)
def test_an_adapter_with_a_wrong_tensor_is_refused(checkpoints, adapter, textvqa, spoil, message):
    weights = load_file(adapter / ADAPTER_WEIGHTS)
    spoil(weights, sorted(weights)[3])
    save_file(weights, adapter / ADAPTER_WEIGHTS)
    with pytest.raises(UserError, match=message):
        rehearse([textvqa], [checkpoints[0], adapter], *CPU)


def test_a_merge_that_changes_the_model_is_refused(checkpoints, adapter, textvqa, make_adapter, monkeypatch):
    load_chain = rehearsal.load_chain

    def load_another(folders, *args, **checked):
        if len(folders) > 1:  # merged
            make_adapter(folders[0], folders[1], seed=2)
        return load_chain(folders, *args, **checked)

    monkeypatch.setattr(rehearsal, "load_chain", load_another)
    with pytest.raises(UserError, match="rehearsed: merged into its base, its logits differ"):
        rehearse([textvqa], [checkpoints[0], adapter], *CPU)


def test_images_that_are_missing_or_damaged_are_named(checkpoints, textvqa, mmbench):
    images = Path(textvqa.settings.images)
    (images / "i1.jpg").write_bytes((images / "i1.jpg").read_bytes()[:300])
    with pytest.raises(
        UserError, match=r"benchmark open: 1 of 5 images .*question \d+: .*i1.jpg: the image is damaged"
    ):
        rehearse([mmbench, textvqa], checkpoints[:1], *CPU)
    (images / "i1.jpg").unlink()
    (images / "i4.jpg").unlink()
    with pytest.raises(UserError, match=r"benchmark open: 2 of 5 images are missing \(.*i1.jpg, .*i4.jpg\)"):
        rehearse([mmbench, textvqa], checkpoints[:1], *CPU)


def test_a_prompt_that_is_too_long_is_named(checkpoints, textvqa):
    path = Path(textvqa.settings.annotations)
    content = json.loads(path.read_text())
    content["data"][6]["question"] = "why " * 60
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="question 6: the prompt is longer than 200 tokens"):
        rehearse([textvqa], checkpoints[:1], *CPU)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_missed():
    with pytest.raises(UserError, match="asks for a GPU .*sees none.*gpus to 0"):
        choose_device(1, 1)
