"""Base models of MGM, from what they are made of to full checkpoints in this project's layout."""

from pathlib import Path

import torch

from syntune.models.mgm.assembly import Assembly, write_assembly
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.parts import assemble_parts
from syntune.models.mgm.reference_checkpoints import assemble_reference
from syntune.models.mgm.tiny import tiny_config
from syntune.models.mgm.tiny_tokenizer import train_tokenizer
from syntune.settings.models import PartsModelSettings, TinyModelSettings


def write_tiny(settings: TinyModelSettings, dataset_manifest: Path, folder: Path) -> None:
    """A tiny MGM with random weights, the same on every run."""
    tokenizer = train_tokenizer(dataset_manifest, settings.vocab_size)
    config = tiny_config(len(tokenizer), settings.hidden_size, settings.num_hidden_layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.random_seed)
        model = MgmForConditionalGeneration(config)
    write_assembly(Assembly(config, model.state_dict(), tokenizer, folder), folder, torch.float32)


def write_parts(settings: PartsModelSettings, weights: dict[str, Path], folder: Path) -> None:
    """Published parts put together; ``weights`` are their local paths by the settings' keys."""
    fields = {key: getattr(settings, key) for key in ("image_size_aux", "image_aspect_ratio", "hidden_act")}
    assembly = assemble_parts(**{"projector": None, **weights}, random_seed=settings.random_seed, **fields)
    write_assembly(assembly, folder, getattr(torch, settings.dtype))


def convert_reference(source: Path, towers: dict[str, Path], folder: Path) -> None:
    """A reference checkpoint in its own type; ``towers`` are local paths by the settings' keys."""
    assembly = assemble_reference(source, towers.get("vision_tower"), towers.get("vision_tower_aux"))
    write_assembly(assembly, folder, assembly.dtype)
