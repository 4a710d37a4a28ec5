"""Evaluation finds its model: every layout that a model comes in, through the function that predictions use."""

import json
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from syntune.errors import UserError
from syntune.files import read_json
from syntune.models.checkpoints import load_chain
from syntune.models.export import export_merged
from syntune.models.mgm.export import export_reference, export_reference_lora
from syntune.models.prepare import Ingredients, prepare_base
from syntune.settings.models import AdapterModelSettings, LocalModelSettings

CONTROL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]


@pytest.fixture(scope="module")
def reference(goldens, tmp_path_factory):
    """The goldens as the reference's folders: a base in two files, CLIP's config, and a LoRA folder of pickles."""
    return write_reference_folders(goldens / "mgm", tmp_path_factory.mktemp("reference"))


def write_reference_folders(goldens, root):
    config = json.loads((goldens / "config.json").read_text())
    base, clip, lora = root / "base", root / "clip", root / "lora"
    for folder in (base, clip, lora):
        folder.mkdir(parents=True)
    weights = load_file(goldens / "model.safetensors")
    names = sorted(weights)
    files = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    weight_map = {}
    for file, part in zip(files, (names[::2], names[1::2]), strict=True):
        torch.save({name: weights[name] for name in part}, base / file)
        weight_map |= dict.fromkeys(part, file)
    (base / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (base / "config.json").write_text(json.dumps(config["mgm_config"]))
    tokenizer().save_pretrained(base)
    (clip / "config.json").write_text(json.dumps({"model_type": "clip_vision_model", **config["clip_vision_config"]}))
    suffixes = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    adapter = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "lora_dropout": 0.0}
    (lora / "adapter_config.json").write_text(json.dumps({**adapter, "bias": "none", "target_modules": suffixes}))
    for name in ("adapter_model", "non_lora_trainables"):
        torch.save(load_file(goldens / f"lora_{name}.safetensors"), lora / f"{name}.bin")
    (lora / "config.json").write_text(json.dumps(config["mgm_config"]))
    return root


def tokenizer(special=tuple(CONTROL)):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    words = ["model\n", "user\n"] * 9
    tokenizer.train_from_iterator(words, trainers.BpeTrainer(special_tokens=list(special), initial_alphabet=alphabet))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@pytest.fixture(scope="module")
def prepared(reference):
    """The base and the merged adapter, as the workflow keeps them."""
    models = reference / "models"
    local = LocalModelSettings(source="local", path=str(reference / "base"), vision_tower=str(reference / "clip"))
    prepare_base("base", local, Ingredients(), models / "base", models / "base.manifest.json")
    adapter = AdapterModelSettings(source="adapter", base="base", path=str(reference / "lora"))
    ingredients = Ingredients(base=models / "base", base_manifest=models / "base.manifest.json")
    prepare_base("merged", adapter, ingredients, models / "merged", models / "merged.manifest.json")
    return models


def logits(goldens, *folders):
    """What a chain says to the goldens' case, which has one image."""
    case = load_file(goldens / "mgm/single.safetensors")
    names = ("input_ids", "attention_mask", "images", "images_aux")
    with torch.no_grad():
        return load_chain(folders, torch.float32).model(**{name: case[name] for name in names}).logits


def golden(goldens, file, name):
    return load_file(goldens / "mgm" / file)[name]


def close(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=2e-5)


def test_a_reference_checkpoint(prepared, goldens):
    close(logits(goldens, prepared / "base"), golden(goldens, "single.safetensors", "logits"))
    details = read_json(prepared / "base.manifest.json")["details"]
    assert details["parameters"] == sum(details["parts"].values())
    assert (details["family"], details["dtype"], details["tokens_per_image"]) == ("mgm", "float32", 16)


def test_a_reference_lora_folder(prepared, reference, goldens):
    """Merged once by the workflow, and applied as it is to a base: the same, and what the reference computed."""
    wanted = golden(goldens, "lora_outputs.safetensors", "logits_merged")
    assert not torch.allclose(wanted, golden(goldens, "single.safetensors", "logits"), atol=0.1)
    merged = logits(goldens, prepared / "merged")
    close(merged, wanted)
    assert torch.equal(merged, logits(goldens, prepared / "base", reference / "lora"))


def test_a_reference_lora_folders_own_config(prepared, reference, tmp_path):
    """What it says of images holds in the merged model; other sizes mean another base."""
    lora = shutil.copytree(reference / "lora", tmp_path / "lora")
    config = json.loads((lora / "config.json").read_text())
    ingredients = Ingredients(base=prepared / "base", base_manifest=prepared / "base.manifest.json")
    settings = AdapterModelSettings(source="adapter", base="base", path=str(lora))
    (lora / "config.json").write_text(json.dumps({**config, "image_aspect_ratio": "square", "hidden_act": "gelu"}))
    prepare_base("merged", settings, ingredients, tmp_path / "merged", tmp_path / "merged.manifest.json")
    loaded = load_chain([tmp_path / "merged"], torch.float32)
    assert loaded.processor.image_processor.image_aspect_ratio == "square"
    assert loaded.model.config.erf_gelu
    (lora / "config.json").write_text(json.dumps({**config, "vocab_size": 400}))
    with pytest.raises(UserError, match="vocab_size: 400, but the base's is 512: it is for another base"):
        prepare_base("other", settings, ingredients, tmp_path / "other", tmp_path / "other.manifest.json")
    assert not list(tmp_path.glob("*other*"))


def test_exports_answer_alike(prepared, reference, goldens, tmp_path):
    """Merged, in the reference's layout and back, and as a LoRA folder in safetensors: the same bits."""
    chain = [prepared / "base", reference / "lora"]
    wanted = logits(goldens, *chain)
    export_merged(chain, tmp_path / "merged")
    assert torch.equal(logits(goldens, tmp_path / "merged"), wanted)
    export_reference(chain, tmp_path / "reference")
    again = LocalModelSettings(source="local", path=str(tmp_path / "reference"), vision_tower=str(reference / "clip"))
    prepare_base("again", again, Ingredients(), tmp_path / "again", tmp_path / "again.manifest.json")
    assert torch.equal(logits(goldens, tmp_path / "again"), wanted)
    export_reference_lora(chain, tmp_path / "lora")
    assert torch.equal(logits(goldens, prepared / "base", tmp_path / "lora"), wanted)
    assert not list(tmp_path.rglob("*.bin"))


def test_the_processor_comes_along(prepared):
    """A prompt with an image, through the processor of a converted folder, is answered."""
    loaded = load_chain([prepared / "merged"], torch.float32)
    row = loaded.processor.encode_prompt("what is it?", [Image.new("RGB", (40, 30), "red")])
    features = loaded.family.encode_images(loaded.model, [row])
    (answer,) = loaded.family.generate(loaded.model, loaded.processor, [row], features, max_new_tokens=4, at_once=1)
    assert len(answer.ids) <= 4 and isinstance(loaded.processor.decode(answer.ids), str)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_folder_that_is_not_what_its_manifest_describes_is_not_loaded(prepared, tmp_path, file):
    folder = shutil.copytree(prepared / "base", tmp_path / "base")
    shutil.copy(prepared / "base.manifest.json", tmp_path)
    load_chain([folder], torch.float32)
    content = bytearray((folder / file).read_bytes())
    content[-9] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(UserError, match=f"{file}: missing, or not the file that .*base.manifest.json describes"):
        load_chain([folder], torch.float32)
