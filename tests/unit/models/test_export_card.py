"""A merged checkpoint as others take it: its card's own lines load it, and the hub's command uploads it."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hub_stand_in import HubStandIn
from huggingface_hub import ModelCard
from peft import LoraConfig, get_peft_model
from PIL import Image
from tiny_models import write_model

from syntune.models.checkpoints import load_chain
from syntune.models.export import export_merged
from syntune.models.prepare import Ingredients, prepare_base
from syntune.models.usage import upload
from syntune.settings.models import LocalModelSettings


@pytest.fixture
def chain(tmp_path):
    """A base as ``prepare_base`` leaves it, and an adapter."""
    write_model("llava", tmp_path / "source")
    settings = LocalModelSettings(source="local", path=str(tmp_path / "source"))
    prepare_base("base", settings, Ingredients(), tmp_path / "base", tmp_path / "base.manifest.json")
    loaded = load_chain([tmp_path / "base"], torch.float32)
    adapted = get_peft_model(loaded.model, LoraConfig(r=2, target_modules=loaded.family.lora_targets))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.add_(torch.randn_like(parameter))
    adapted.save_pretrained(tmp_path / "adapter")
    return [tmp_path / "base", tmp_path / "adapter"]


def test_the_cards_lines_load_what_was_merged(chain, tmp_path):
    export_merged(chain, tmp_path / "merged")
    lines = re.search(r"```python\n(.*?)```", (tmp_path / "merged/README.md").read_text(), re.DOTALL)[1]
    exec(lines, made := {})
    wanted = load_chain(chain, torch.float32)
    prompt = wanted.processor.encode_prompt("What?", [Image.new("RGB", (40, 40), "red")])
    batch = wanted.processor.collate([prompt])
    with torch.no_grad():
        assert torch.equal(made["model"](**batch).logits, wanted.model(**batch).logits)
    assert type(made["processor"]).__name__ == "LlavaProcessor"


def test_the_hubs_command_uploads_it(chain, tmp_path):
    """The real command, to a stand-in for the hub."""
    export_merged(chain, tmp_path / "my merged")
    (tmp_path / "my merged/finetuning.log").write_text("a path of this machine")
    with HubStandIn() as hub:
        env = os.environ | {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_none", "HF_HOME": str(tmp_path / "home")}
        _, *words = shlex.split(upload(str(tmp_path / "my merged")).replace("OWNER/NAME", "someone/tiny"))
        call = [Path(sys.executable).with_name("hf"), *words]
        subprocess.run(call, env=env | {"HF_HUB_OFFLINE": "0"}, check=True, capture_output=True)
    written = {file.name: file.read_bytes() for file in (tmp_path / "my merged").iterdir() if file.suffix != ".log"}
    assert hub.files == written
    assert {"config.json", "model.safetensors", "tokenizer.json", "processor_config.json"} <= hub.files.keys()
    (card,) = hub.cards
    data = ModelCard(card).data
    assert (data.library_name, data.pipeline_tag) == ("transformers", "image-text-to-text")
