"""Scorers' copies: safetensors, complete, of a known kind."""

import json
import shutil

import pytest
import tiny_scorers
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from syntune.artifacts.manifests import read_manifest
from syntune.errors import UserError
from syntune.model_operators.scoring import regression, similarity
from syntune.models.aesthetics import AestheticsPredictor
from syntune.models.prepare import Ingredients, prepare_base
from syntune.models.scorers import load_scorer
from syntune.settings.models import ScorerSettings


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def prepare(source, tmp_path):
    settings = ScorerSettings(source="scorer", path=str(source))
    manifest = tmp_path / "scorer.manifest.json"
    prepare_base("scorer", settings, Ingredients(), tmp_path / "scorer", manifest)
    return tmp_path / "scorer", read_manifest(manifest)


def test_a_copy_holds_safetensors_and_no_code(source, tmp_path):
    tiny_scorers.clip(source)
    weights = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    torch.save(weights, source / "pytorch_model.bin")
    (source / "modeling_own.py").write_text("raise SystemExit")
    folder, manifest = prepare(source, tmp_path)
    assert {file.suffix for file in folder.iterdir()} <= {".json", ".safetensors", ".txt", ".jinja"}
    assert manifest.details["family"] == "scorer (clip)"
    copied = load_file(folder / "model.safetensors")
    assert all(torch.equal(copied[name], tensor) for name, tensor in weights.items())
    images = [[Image.new("RGB", (40, 30), "red")]]
    [[found]], [[wanted]] = (similarity(load_scorer(each), images, ["red"]) for each in (folder, source))
    assert found == pytest.approx(wanted, abs=1e-6)  # where weights lie in memory may change the rounding


def test_a_weight_that_is_missing_is_never_random(source, tmp_path):
    tiny_scorers.clip(source)
    weights = load_file(source / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"1 tensor is missing \(first visual_projection.weight\)"):
        prepare(source, tmp_path)
    assert not (tmp_path / "scorer").exists()


def test_buffers_of_older_checkpoints_are_passed_over(source, tmp_path):
    tiny_scorers.clip(source)
    weights = load_file(source / "model.safetensors")
    weights["text_model.embeddings.position_ids"] = torch.arange(32)[None]
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    assert prepare(source, tmp_path)[1].details["family"] == "scorer (clip)"


def test_a_pickle_of_more_than_tensors_is_not_opened(source, tmp_path):
    tiny_scorers.clip(source)
    (source / "model.safetensors").unlink()
    torch.save({"weight": shutil.rmtree}, source / "pytorch_model.bin")
    with pytest.raises(UserError, match="not a file of tensors alone"):
        prepare(source, tmp_path)


def test_a_model_of_another_kind_is_refused(source, tmp_path):
    tiny_scorers.classifier(source)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"architectures": ["ViTModel"]}))
    with pytest.raises(UserError, match="ViTModel .* is no scorer; known are CLIPModel"):
        prepare(source, tmp_path)


def test_a_scorer_without_a_processor_is_refused(source, tmp_path):
    tiny_scorers.classifier(source)
    (source / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match="its processor cannot be loaded"):
        prepare(source, tmp_path)


def test_an_aesthetics_predictor_is_linear_on_the_normalised_embedding(source, tmp_path):
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    images.save_pretrained(source)
    torch.manual_seed(0)
    AestheticsPredictor(CLIPVisionConfig(projection_dim=768, **tiny_scorers.VISION)).save_pretrained(source)
    # as the package simple-aesthetics-predictor writes it
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"architectures": ["AestheticsPredictorV2Linear"]}))
    names = load_file(source / "model.safetensors").keys()
    assert {f"layers.{place}.weight" for place in (0, 2, 4, 6, 7)} <= names

    picture = Image.new("RGB", (40, 30), "red")
    (found,) = regression(load_scorer(prepare(source, tmp_path)[0]), [[picture]], [""])
    tower = CLIPVisionModelWithProjection.from_pretrained(source).eval()
    embedding = tower(**images(images=picture, return_tensors="pt")).image_embeds
    value = embedding / embedding.norm()
    for place in (0, 2, 4, 6, 7):
        weights = load_file(source / "model.safetensors")
        value = value @ weights[f"layers.{place}.weight"].T + weights[f"layers.{place}.bias"]
    assert found == [pytest.approx(value.item() / 10, abs=1e-6)]
