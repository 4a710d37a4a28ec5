"""Base models from every source, exports and their round trips, and what bad input says."""

import pickle
import shutil
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    GemmaConfig,
    GemmaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from syntune.artifacts.manifests import Part, write_manifest
from syntune.errors import UserError
from syntune.files import read_json, write_json
from syntune.models.adapters import apply_adapter, connector_names, save_beside
from syntune.models.checkpoints import load_chain
from syntune.models.export import export_merged
from syntune.models.mgm.export import export_reference, export_reference_lora
from syntune.models.mgm.reference_names import to_reference_names
from syntune.models.mgm.tiny_tokenizer import CONTROL, train_tokenizer
from syntune.models.prepare import Ingredients, prepare_base
from syntune.models.weights import read_tensors, read_weights
from syntune.settings.models import AdapterModelSettings, HubModelSettings, LocalModelSettings, PartsModelSettings
from syntune.settings.reading import read_settings
from syntune.settings.tree import Settings

REVISION = "0123456789abcdef0123456789abcdef01234567"
TEXTS = ["Is there a red circle?", "Yes.", "What color is the shape? Ünïcödé", "blue"]

NOTHING = Ingredients()


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """The manifest of a dataset of one shard."""
    root = tmp_path_factory.mktemp("data")
    rows = [[{"role": "user", "content": f"<image>\n{text}"}, {"role": "assistant", "content": text}] for text in TEXTS]
    (root / "d").mkdir()
    pq.write_table(pa.table({"messages": rows * 20}), root / "d/shard-0.parquet")
    parts = [Part.from_file(root / "d/shard-0.parquet", root)]
    write_manifest(root / "d.manifest.json", stage="shard", name="d", parts=parts)
    return root / "d.manifest.json"


def prepare(root, name="model", *, ingredients=NOTHING, **settings):
    """Prepare a model of the config ``settings`` into ``root``; returns its folder."""
    kinds = {"local": LocalModelSettings, "hub": HubModelSettings, "parts": PartsModelSettings}
    kind = {**kinds, "adapter": AdapterModelSettings}[settings["source"]]
    prepare_base(name, kind(**settings), ingredients, root / name, root / f"{name}.manifest.json")
    return root / name


@pytest.fixture(scope="session")
def base(dataset, tmp_path_factory):
    """A tiny base model."""
    return prepare_tiny(dataset, tmp_path_factory.mktemp("base"))


def prepare_tiny(dataset, root, seed=0, hidden_size=32):
    from syntune.settings.models import TinyModelSettings

    sizes = {"hidden_size": hidden_size, "num_hidden_layers": 2, "vocab_size": 300}
    settings = TinyModelSettings(source="tiny", tokenizer_dataset="d", random_seed=seed, **sizes)
    prepare_base("tiny", settings, Ingredients(dataset), root / "tiny", root / "tiny.manifest.json")
    return root / "tiny"


@pytest.fixture
def adapter(base, tmp_path):
    """A PEFT folder as training writes it: an adapter and the connector."""
    return write_adapter(base, tmp_path / "adapter")


def write_adapter(base, folder, **changes):
    loaded = load_chain([base], torch.float32)
    torch.manual_seed(7)
    config = {"r": 2, "lora_alpha": 4, "target_modules": loaded.family.lora_targets, **changes}
    adapted = get_peft_model(loaded.model, LoraConfig(**config))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name or "projector" in name:
                parameter.add_(torch.randn_like(parameter))
    adapted.save_pretrained(folder)
    own = adapted.get_base_model()
    connector = {name: own.get_parameter(name).detach() for name in connector_names(own, loaded.family)}
    save_beside(folder, connector, loaded.family)
    return folder


def logits(*folders):
    """What a chain says to a prompt with an image."""
    loaded = load_chain(folders, torch.float32)
    generator = torch.Generator().manual_seed(1)
    images = {"images": torch.randn(1, 3, 64, 64, generator=generator)}
    images["images_aux"] = torch.randn(1, 3, 128, 128, generator=generator)
    with torch.no_grad():
        return loaded.model(torch.tensor([[2, 4, -200, 60, 61, 5]]), **images).logits


def tensors_of(folder):
    return read_weights(folder)


def same_tensors(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# -- tiny ----------------------------------------------------------------------------------------------------------


def test_a_tiny_model_is_the_same_on_every_run_and_another_with_another_seed(base, dataset, tmp_path):
    again, other = prepare_tiny(dataset, tmp_path / "again"), prepare_tiny(dataset, tmp_path / "other", seed=1)
    assert {file.name: file.read_bytes() for file in base.iterdir()} == {
        file.name: file.read_bytes() for file in again.iterdir()
    }
    assert (base / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()


def test_the_tokenizer_has_gemmas_ids_and_loses_no_text(dataset):
    tokenizer = train_tokenizer(dataset, 300)
    assert [tokenizer.convert_tokens_to_ids(token) for token in CONTROL] == list(range(6))
    text = "Ünïcödé — 漢字 \n<image>"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer("What color", add_special_tokens=False)["input_ids"]) < len("What color")


# -- parts ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def parts(tmp_path, base):
    """Gemma, CLIP and OpenCLIP's ConvNeXt as they are published, tiny."""
    torch.manual_seed(3)
    gemma = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = GemmaConfig(vocab_size=300, num_key_value_heads=1, head_dim=8, **gemma)
    GemmaForCausalLM(config).to(torch.bfloat16).save_pretrained(tmp_path / "gemma")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(base / name, tmp_path / "gemma" / name)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    clip = CLIPVisionModel(CLIPVisionConfig(**sizes, image_size=64, patch_size=16))
    (tmp_path / "clip").mkdir()
    clip.config.save_pretrained(tmp_path / "clip")
    published = {f"vision_model.{name}": tensor for name, tensor in clip.state_dict().items()}
    extra = {"text_model.final_layer_norm.weight": torch.ones(4), "visual_projection.weight": torch.ones(4, 4)}
    extra |= {"vision_model.embeddings.position_ids": torch.arange(17)[None], "logit_scale": torch.tensor(2.0)}
    torch.save({**published, **extra}, tmp_path / "clip/pytorch_model.bin")
    tensors = to_reference_names(load_chain([base], torch.float32).model.vision_tower_aux.state_dict(prefix=AUX))
    trunk = {
        name.replace("model.vision_tower_aux.vision_", "visual.trunk."): tensor for name, tensor in tensors.items()
    }
    trunk["visual.trunk.head.norm.weight"] = trunk["text.token_embedding.weight"] = torch.ones(4)
    torch.save(trunk, tmp_path / "open_clip_pytorch_model.bin")
    return {
        "language_model": str(tmp_path / "gemma"),
        "vision_tower": str(tmp_path / "clip"),
        "vision_tower_aux": str(tmp_path / "open_clip_pytorch_model.bin"),
        "image_size_aux": 128,
    }


AUX = "vision_tower_aux."


def test_parts_make_a_model(parts, base, tmp_path):
    """Every part is where it belongs, in one type; the connector is random from the seed."""
    folder = prepare(tmp_path, source="parts", **parts, dtype="float32")
    found, tiny = tensors_of(folder), tensors_of(base)
    gemma = load_file(tmp_path / "gemma/model.safetensors")
    assert all(torch.equal(found[name], tensor.float()) for name, tensor in gemma.items())
    assert all(torch.equal(found[name], tiny[name]) for name in found if name.startswith(AUX))
    clip = torch.load(tmp_path / "clip/pytorch_model.bin", weights_only=True)
    assert torch.equal(
        found["vision_tower.embeddings.class_embedding"], clip["vision_model.embeddings.class_embedding"]
    )
    assert logits(folder).isfinite().all()
    other = tensors_of(prepare(tmp_path, "other", source="parts", **parts, dtype="float32", random_seed=1))
    differing = {name.partition(".")[0] for name in found if not torch.equal(found[name], other[name])}
    assert differing == {"mining", "mm_projector"}


def test_parts_run_with_either_gelu(parts, tmp_path):
    own, exact = (
        prepare(tmp_path, act, source="parts", **parts, dtype="float32", hidden_act=act)
        for act in ("gelu_pytorch_tanh", "gelu")
    )
    assert [read_json(folder / "config.json")["erf_gelu"] for folder in (own, exact)] == [False, True]
    assert 0 < (logits(own) - logits(exact)).abs().max() < 1e-2


def test_a_first_stages_projector_takes_the_connectors_place(parts, base, tmp_path):
    parts_of_it = ("mining.", "mm_projector.")
    connector = {name: tensor for name, tensor in tensors_of(base).items() if name.startswith(parts_of_it)}
    torch.save(to_reference_names(connector), tmp_path / "mm_projector.bin")
    folder = prepare(tmp_path, source="parts", **parts, projector=str(tmp_path / "mm_projector.bin"))
    found = tensors_of(folder)
    assert all(torch.equal(found[name], tensor.bfloat16()) for name, tensor in connector.items())
    assert read_json(tmp_path / "model.manifest.json")["details"]["dtype"] == "bfloat16"


# -- adapters and exports ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("targets", [None, ["q_proj", "v_proj"]], ids=["pattern", "suffixes"])
def test_an_adapter_of_peft(base, targets, tmp_path):
    """Suffixes mean the language model's linears; PEFT, told suffixes, had adapted CLIP's as well: both fit."""
    adapter = write_adapter(base, tmp_path / "adapter", **({"target_modules": targets} if targets else {}))
    chain = logits(base, adapter)
    assert not torch.allclose(chain, logits(base), atol=1e-2)
    manifest = base.with_name("tiny.manifest.json")
    ingredients = Ingredients(base=base, base_manifest=manifest)
    merged = prepare(tmp_path, source="adapter", base="tiny", path=str(adapter), ingredients=ingredients)
    assert torch.equal(logits(merged), chain)
    assert read_json(tmp_path / "model.manifest.json")["inputs"] == {"base": read_json(manifest)["content"]}


def test_exports_and_back(base, adapter, tmp_path):
    """To the reference's layout and back: the same bytes of weights, the same bits of an answer."""
    export_reference([base], tmp_path / "reference")
    clip = tmp_path / "clip"
    write_json(clip / "config.json", read_json(base / "config.json")["vision_config"])
    back = prepare(tmp_path, source="local", path=str(tmp_path / "reference"), vision_tower=str(clip))
    assert same_tensors(tensors_of(back), tensors_of(base))
    assert read_json(tmp_path / "reference/config.json")["model_type"] == "mgm_gemma"
    index = read_json(tmp_path / "reference/model.safetensors.index.json")["weight_map"]
    vision = {file for name, file in index.items() if "vision" in name or "vlm_uni" in name or "projector" in name}
    assert len(vision) == 1

    export_reference_lora([base, adapter], tmp_path / "lora")
    for name in ("adapter_model", "non_lora_trainables"):
        assert same_tensors(*(load_file(folder / f"{name}.safetensors") for folder in (adapter, tmp_path / "lora")))
    wanted = logits(base, adapter)
    assert torch.equal(logits(base, tmp_path / "lora"), wanted)
    export_merged([base, adapter], tmp_path / "merged")
    assert torch.equal(logits(tmp_path / "merged"), wanted)


@pytest.mark.parametrize("targets", [None, ["q_proj", "v_proj"]], ids=["pattern", "names"])
def test_peft_reads_a_lora_export_into_the_language_model_alone(base, targets, tmp_path):
    loaded = load_chain([base], torch.float32)
    if targets:  # in the language model alone, as the reference's are
        targets = [f"model.layers.{layer}.self_attn.{name}" for layer in (0, 1) for name in targets]
    adapter = write_adapter(base, tmp_path / "adapter", **({"target_modules": targets} if targets else {}))
    if targets:
        config = read_json(adapter / "adapter_config.json")
        write_json(adapter / "adapter_config.json", {**config, "target_modules": ["q_proj", "v_proj"]})
    export_reference_lora([base, adapter], tmp_path / "lora")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*missing adapter keys")
        adapted = PeftModel.from_pretrained(loaded.model, tmp_path / "lora")
    found, written = get_peft_model_state_dict(adapted), load_file(tmp_path / "lora/adapter_model.safetensors")
    assert same_tensors(found, written)
    assert all(name.startswith("base_model.model.model.layers.") for name in found)


def test_many_weight_files(base, tmp_path, monkeypatch):
    """A checkpoint larger than a weight file is written in several, and read from them."""
    monkeypatch.setattr("syntune.models.weights._FILE_BYTES", 50_000)
    export_merged([base], tmp_path / "merged")
    assert len(list((tmp_path / "merged").glob("*.safetensors"))) > 3
    assert torch.equal(logits(tmp_path / "merged"), logits(base))
    copied = prepare(tmp_path, "copied", source="local", path=str(tmp_path / "merged"))
    assert same_tensors(tensors_of(copied), tensors_of(base))


def test_a_connector_alone(base, adapter, tmp_path):
    """What a run that aligns writes: no adapter, the connector as it was trained."""
    (tmp_path / "aligned").mkdir()
    shutil.copyfile(adapter / "non_lora_trainables.safetensors", tmp_path / "aligned/non_lora_trainables.safetensors")
    export_merged([base, tmp_path / "aligned"], tmp_path / "merged")
    found, before = tensors_of(tmp_path / "merged"), tensors_of(base)
    differing = {name for name in found if not torch.equal(found[name], before[name])}
    assert differing == {f"mm_projector.{layer}.{kind}" for layer in (0, 2) for kind in ("weight", "bias")}


# -- other families ------------------------------------------------------------------------------------------------

TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}{% for part in message['content'] %}"
    "{{ '<image>' if part['type'] == 'image' else part['text'] }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


@pytest.fixture
def llava(tmp_path):
    """A tiny LLaVA, as transformers writes it."""
    torch.manual_seed(5)
    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special, alphabet = ["<pad>", "<s>", "</s>", "<image>"], pre_tokenizers.ByteLevel.alphabet()
    tokens.train_from_iterator([], trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet))
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, **names)
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlavaConfig(
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), "eos_token_id": 2, **sizes},
        vision_config={"model_type": "clip_vision_model", "image_size": 32, "patch_size": 8, **sizes},
        image_token_id=3,
    )
    folder = tmp_path / "llava"
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    strategy = {"vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    LlavaProcessor(images, tokenizer, patch_size=8, chat_template=TEMPLATE, **strategy).save_pretrained(folder)
    return folder


def test_another_family(llava, tmp_path):
    """Safetensors are copied, a pickle becomes safetensors, code beside it is left where it is, an adapter merges."""
    (llava / "modeling_own.py").write_text("raise SystemExit\n")
    copied = prepare(tmp_path, "copied", source="local", path=str(llava))
    assert (copied / "model.safetensors").read_bytes() == (llava / "model.safetensors").read_bytes()
    assert read_json(tmp_path / "copied.manifest.json")["details"]["family"] == "hf"
    weights = tensors_of(llava)
    torch.save({name: tensor.clone() for name, tensor in weights.items()}, llava / "pytorch_model.bin")
    (llava / "model.safetensors").unlink()
    converted = prepare(tmp_path, "converted", source="local", path=str(llava))
    assert same_tensors(tensors_of(converted), weights)
    assert not {".bin", ".py"} & {file.suffix for file in converted.iterdir()}

    adapter = write_adapter(copied, tmp_path / "adapter")
    ingredients = Ingredients(base=copied, base_manifest=tmp_path / "copied.manifest.json")
    merged = prepare(tmp_path, "merged", source="adapter", base="copied", path=str(adapter), ingredients=ingredients)
    chain = load_chain([copied, adapter], torch.float32)
    own = load_chain([merged], torch.float32).model.state_dict()
    assert same_tensors(own, chain.model.state_dict())
    assert not same_tensors(own, load_chain([copied], torch.float32).model.state_dict())
    with pytest.raises(UserError, match="is no MGM, so it has no form in the reference's layout"):
        export_reference([merged], tmp_path / "reference")


# -- hub -----------------------------------------------------------------------------------------------------------


def test_a_hub_checkpoint_is_one_folder_of_the_cache(base, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    shutil.copytree(base, tmp_path / f"cache/models--someone--tiny/snapshots/{REVISION}")
    folder = prepare(tmp_path, source="hub", repo="someone/tiny", revision=REVISION)
    assert same_tensors(tensors_of(folder), tensors_of(base))


# -- bad input -----------------------------------------------------------------------------------------------------


def refuses(match, tmp_path, **settings):
    """The settings are refused in one line, and nothing is left."""
    with pytest.raises(UserError, match=match) as caught:
        prepare(tmp_path / "out", **settings)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").rglob("*"))


@pytest.fixture
def reference(base, tmp_path):
    """A base in the reference's layout, and the settings that read it."""
    export_reference([base], tmp_path / "reference")
    write_json(tmp_path / "clip/config.json", read_json(base / "config.json")["vision_config"])
    return {"source": "local", "path": str(tmp_path / "reference"), "vision_tower": str(tmp_path / "clip")}


def change_reference(tmp_path, change):
    """Let ``change`` edit the tensors of the reference's folder, and write them as one file."""
    folder = tmp_path / "reference"
    tensors = {name: tensor.clone() for name, tensor in read_weights(folder).items()}
    change(tensors)
    for file in folder.glob("model*"):
        file.unlink()
    save_file(tensors, folder / "model.safetensors")


def test_another_hidden_size(reference, tmp_path):
    config = tmp_path / "reference/config.json"
    write_json(config, {**read_json(config), "hidden_size": 48})
    refuses(r"tensors are of another shape \(first mm_projector.*\[32\], not \[48\]", tmp_path, **reference)


def test_another_towers_size(reference, tmp_path):
    config = tmp_path / "reference/config.json"
    write_json(config, {**read_json(config), "mm_hidden_size_aux": 2880})
    refuses("mm_hidden_size_aux: 2880 contradicts the vision tower's 80", tmp_path, **reference)


def test_a_clip_of_another_size_must_be_named(reference, tmp_path):
    del reference["vision_tower"]
    match = "reference: the stage-0 grid .* must be named by vision_tower"
    refuses(match, tmp_path, **reference)


def test_a_variant_with_several_crops(reference, tmp_path):
    config = tmp_path / "reference/config.json"
    write_json(config, {**read_json(config), "image_grid": 2})
    refuses("image_grid: 2 is not supported, only 1", tmp_path, **reference)


def test_a_tensor_too_few_and_one_too_many(reference, tmp_path):
    def change(tensors):
        tensors["model.layers.9.mlp.up_proj.weight"] = tensors.pop("model.layers.1.mlp.up_proj.weight")

    change_reference(tmp_path, change)
    match = r"1 tensor is missing \(first model.layers.1.*1 tensor is unexpected \(first model.layers.9"
    refuses(match, tmp_path, **reference)


def test_an_untied_output_layer(reference, tmp_path):
    change_reference(tmp_path, lambda tensors: tensors.update({"lm_head.weight": torch.ones(300, 32)}))
    refuses("lm_head.weight differs from model.embed_tokens.weight", tmp_path, **reference)


def test_a_tensor_of_no_known_part(reference, tmp_path):
    change_reference(tmp_path, lambda tensors: tensors.update({"model.vision_resampler.x": torch.ones(1)}))
    refuses("reference: tensor model.vision_resampler.x: no such part", tmp_path, **reference)


def test_towers_that_are_nowhere(reference, tmp_path):
    def change(tensors):
        for name in [name for name in tensors if "vision_tower_aux" in name]:
            del tensors[name]

    change_reference(tmp_path, change)
    refuses("holds no vision_tower_aux: say with vision_tower_aux where it is", tmp_path, **reference)


def test_a_missing_weight_file(base, tmp_path, monkeypatch):
    monkeypatch.setattr("syntune.models.weights._FILE_BYTES", 50_000)
    export_merged([base], tmp_path / "merged")
    next((tmp_path / "merged").glob("model-00002-*")).unlink()
    refuses(
        "names the weight file model-00002-of-.* which is not there",
        tmp_path,
        source="local",
        path=str(tmp_path / "merged"),
    )


def test_a_tokenizer_with_other_ids(base, tmp_path):
    folder = shutil.copytree(base, tmp_path / "other")
    text = (folder / "tokenizer.json").read_text()
    swapped = text.replace("<pad>", "<swap>").replace("<unk>", "<pad>").replace("<swap>", "<unk>")
    (folder / "tokenizer.json").write_text(swapped)
    refuses("tokenizer: <pad> must have id 0, but has 3", tmp_path, source="local", path=str(folder))


def test_a_pickle_that_is_more_than_tensors(reference, tmp_path):
    folder = tmp_path / "reference"
    for file in folder.glob("model*"):
        file.unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": print}))
    refuses("pytorch_model.bin: not a file of tensors alone, so it is not opened", tmp_path, **reference)
    torch.save({"step": 3}, folder / "pytorch_model.bin")
    refuses("holds something else than tensors by name", tmp_path, **reference)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_was_half_copied(tmp_path, zipped):
    file = tmp_path / "pytorch_model.bin"
    torch.save({f"{name}": torch.ones(8, 8) for name in range(4)}, file, _use_new_zipfile_serialization=zipped)
    whole = file.read_bytes()
    for size in range(0, len(whole), 23):
        file.write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"_model\.bin: (damaged or half copied|not a file of tensors) .*\S\)"):
            read_tensors(file)


def test_an_adapter_that_does_not_fit(base, adapter, dataset, tmp_path):
    """Missing, empty (as ZeRO-3 leaves them), mis-shaped and foreign tensors, and an adapter for another base."""
    model = load_chain([base], torch.float32)
    whole = load_file(adapter / "adapter_model.safetensors")
    name = sorted(whole)[0]
    cases = {
        rf"1 tensor is missing \(first {name}": {key: tensor for key, tensor in whole.items() if key != name},
        rf"1 tensor is empty \(first {name}\): it was saved from a ZeRO-3 run": {**whole, name: torch.empty(0)},
        rf"1 tensor is of another shape \(first {name}: \[9, 9\]": {**whole, name: torch.ones(9, 9)},
        r"1 tensor is unexpected \(first base_model.model.x": {
            **whole,
            "base_model.model.x.lora_A.weight": torch.ones(1),
        },
    }
    for match, tensors in cases.items():
        save_file(tensors, adapter / "adapter_model.safetensors")
        with pytest.raises(UserError, match=match):
            apply_adapter(load_chain([base], torch.float32).model, adapter, model.family)
    save_file(whole, adapter / "adapter_model.safetensors")
    other = prepare_tiny(dataset, tmp_path, hidden_size=48)
    with pytest.raises(UserError, match="does not fit this model"):
        load_chain([other, adapter], torch.float32)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"target_modules": r"model\.nothing\..*"}, "adapter_config.json: does not fit this model .*nothing"),
        ({"target_modules": "model.(layers"}, "adapter_config.json: does not fit this model .*unterminated subpattern"),
        ({"r": 0}, "adapter_config.json: does not fit this model .*should be a positive integer"),
        ({"r": "two"}, "adapter_config.json: does not fit this model"),
        (None, "adapter_config.json: must be a JSON object, but is a list"),
    ],
)
def test_an_adapter_config_that_makes_no_adapter(base, adapter, change, match):
    config = adapter / "adapter_config.json"
    write_json(config, [] if change is None else {**read_json(config), **change})
    with pytest.raises(UserError, match=match) as caught:
        load_chain([base, adapter], torch.float32)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["processor_config.json", "preprocessor_config.json", "tokenizer.json"])
def test_a_checkpoint_without_a_processors_file(base, tmp_path, name):
    folder = shutil.copytree(base, tmp_path / "other")
    (folder / name).unlink()
    refuses(f"other.*{name}.*copy", tmp_path, source="local", path=str(folder))


@pytest.mark.parametrize(
    ("file", "change", "match"),
    [
        ("config.json", {"image_size_aux": 100}, r"other: not a checkpoint \(.*is not a multiple of the patch grid"),
        ("config.json", {"image_size_aux": "large"}, r"other: not a checkpoint \(.*image_size_aux"),
        ("config.json", {"dtype": 7}, "config.json: dtype: 7 is not known"),
        ("preprocessor_config.json", {"image_size_aux": "large"}, "image_size_aux: must be a whole number above 0"),
        ("processor_config.json", {"max_length": None}, "processor_config.json: max_length: must be a whole number"),
    ],
)
def test_a_checkpoint_with_wrong_sizes(base, tmp_path, file, change, match):
    folder = shutil.copytree(base, tmp_path / "other")
    write_json(folder / file, {**read_json(folder / file), **change})
    refuses(match, tmp_path, source="local", path=str(folder))


def test_folders_in_the_wrong_place(base, adapter, tmp_path):
    with pytest.raises(UserError, match="adapter: is an adapter; the folder of its base must come before it"):
        load_chain([adapter, base], torch.float32)
    with pytest.raises(UserError, match="tiny: is a whole model, which needs no base; leave out .*tiny and what else"):
        load_chain([base, base], torch.float32)
    with pytest.raises(UserError, match="is no adapter on .*neither adapter_config.json nor"):
        load_chain([base, base.parent], torch.float32)
    with pytest.raises(UserError, match="nothing: no such folder"):
        load_chain([base, tmp_path / "nothing"], torch.float32)
    with pytest.raises(UserError, match="is no adapter on a base; give the base before it"):
        export_reference_lora([adapter], tmp_path / "lora")
    with pytest.raises(UserError, match="no readable config.json"):
        load_chain([tmp_path / "nothing"], torch.float32)


def as_the_reference_writes(adapter):
    """The weights as pickles, and the reference's config beside them."""
    for name in ("adapter_model", "non_lora_trainables"):
        torch.save(load_file(adapter / f"{name}.safetensors"), adapter / f"{name}.bin")
        (adapter / f"{name}.safetensors").unlink()
    write_json(adapter / "config.json", {"model_type": "mgm_gemma"})


def test_weights_that_nothing_would_read(base, adapter):
    """Read without them, the folder would answer as its base does, or nearly so."""
    as_the_reference_writes(adapter)
    assert not torch.allclose(logits(base, adapter), logits(base), atol=1e-2)
    torch.save({}, adapter / "training_args.bin")
    (adapter / "non_lora_trainables.bin").rename(adapter / "mm_projector.bin")
    with pytest.raises(UserError, match=r"mm_projector.bin: holds weights that nothing would read; complete"):
        load_chain([base, adapter], torch.float32)
    (adapter / "mm_projector.bin").unlink()
    with pytest.raises(UserError, match=r"non_lora_trainables.bin is missing: the reference trains the connector"):
        load_chain([base, adapter], torch.float32)


def test_an_adapter_without_its_config(base, adapter, tmp_path):
    as_the_reference_writes(adapter)
    (adapter / "adapter_config.json").unlink()
    match = "adapter_model.bin: holds weights that nothing would read, as adapter_config.json is missing"
    with pytest.raises(UserError, match=match):
        load_chain([base, adapter], torch.float32)
    (adapter / "non_lora_trainables.bin").unlink()
    ingredients = Ingredients(base=base, base_manifest=base.with_name("tiny.manifest.json"))
    refuses(match, tmp_path, source="adapter", base="tiny", path=str(adapter), ingredients=ingredients)
    nowhere = str(tmp_path / "nowhere")
    refuses("does not exist", tmp_path, source="adapter", base="tiny", path=nowhere, ingredients=ingredients)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_that_are_no_numbers(base, adapter, llava, tmp_path, value, dtype):
    weights = {name: tensor.to(dtype) for name, tensor in tensors_of(llava).items()}
    name = next(name for name in weights if name.endswith("layers.1.mlp.up_proj.weight"))
    weights[name][3, 5] = value
    save_file(weights, llava / "model.safetensors")
    refuses(rf"llava/model.safetensors: {name} holds NaN or Inf", tmp_path, source="local", path=str(llava))
    lora = {name: tensor.to(dtype) for name, tensor in load_file(adapter / "adapter_model.safetensors").items()}
    lora[min(lora)][0, 0] = value
    save_file(lora, adapter / "adapter_model.safetensors")
    with pytest.raises(UserError, match=rf"adapter_model.safetensors: {min(lora)} holds NaN or Inf"):
        load_chain([base, adapter], torch.float32)


def test_a_connector_that_is_not_whole(base, adapter):
    beside = load_file(adapter / "non_lora_trainables.safetensors")
    del beside[min(beside)]
    save_file(beside, adapter / "non_lora_trainables.safetensors")
    with pytest.raises(UserError, match="non_lora_trainables.safetensors: 1 tensor is missing"):
        load_chain([base, adapter], torch.float32)


def test_parts_of_another_kind(parts, tmp_path):
    refuses(
        "gemma: its model_type is 'gemma', not 'clip'",
        tmp_path,
        source="parts",
        **{**parts, "vision_tower": parts["language_model"]},
    )
    torch.save({"a": torch.ones(2)}, tmp_path / "other.bin")
    refuses(
        "other.bin: holds no ConvNeXt",
        tmp_path,
        source="parts",
        **{**parts, "vision_tower_aux": str(tmp_path / "other.bin")},
    )


def test_settings_of_models(tmp_path):
    """References between models are checked; a hub revision must be a whole commit."""
    tree = yaml.safe_load((Path(__file__).parents[3] / "config.yaml").read_text())
    adapter = {"source": "adapter", "path": "lora"}
    cases = {
        "models.a.base: 'c' is not one of the models": {"a": {**adapter, "base": "c"}},
        "models are based on each other in a circle": {"a": {**adapter, "base": "b"}, "b": {**adapter, "base": "a"}},
        "models.a.revision": {"a": {"source": "hub", "repo": "someone/model", "revision": "main"}},
    }
    for match, section in cases.items():
        with pytest.raises(UserError, match=match):
            read_settings({**tree, "models": {**tree["models"], **section}}, Settings, "config.yaml")
    parts = PartsModelSettings(
        source="parts", language_model=f"google/gemma-2b-it@{REVISION}", vision_tower="clip", vision_tower_aux="x.bin"
    )
    assert parts.paths() == {"vision_tower": "clip", "vision_tower_aux": "x.bin"}
