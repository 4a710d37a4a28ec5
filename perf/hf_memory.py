"""Peak memory of config/qwen2.5-vl-3b.yaml on one GPU: random weights of the model's size, its heaviest micro-batches.

Run: python perf/hf_memory.py [--gib 23]   (torch, transformers, peft, pydantic, pyyaml; nothing is downloaded)
"""

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

import torch
import yaml
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from syntune.models.hf.family import HfFamily  # noqa: E402
from syntune.settings.runs import TrainedRunSettings  # noqa: E402
from syntune.training.methods import adapt, count_parameters  # noqa: E402

# https://huggingface.co/Qwen/Qwen2.5-VL-3B-Instruct/blob/main/config.json
TEXT = {
    "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
    "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 128000, "tie_word_embeddings": True,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
}  # fmt: skip
VISION = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 2048}
IMAGE, START, END = 151655, 151652, 151653
SIDE = 64
"""Patches along an image's side: 1,024 tokens, those of 802,816 pixels."""


def rows(number: int, tokens: int, image: bool) -> dict[str, torch.Tensor]:
    """A micro-batch of equal rows: an image each, if there is one, then words, all supervised."""
    visual = [START, *[IMAGE] * (SIDE**2 // 4), END] if image else []
    words = torch.randint(1000, 100_000, (number, tokens - len(visual)))
    ids = torch.cat([torch.tensor(visual, dtype=torch.long).expand(number, -1), words], 1)
    labels = ids.clone()
    labels[:, : len(visual)] = -100
    batch = {"input_ids": ids, "labels": labels, "attention_mask": torch.ones_like(ids)}
    if image:
        batch["mm_token_type_ids"] = (ids == IMAGE).long()
        batch["pixel_values"] = torch.randn(number * SIDE**2, 3 * 2 * 14 * 14, dtype=torch.bfloat16)
        batch["image_grid_thw"] = torch.tensor([[1, SIDE, SIDE]] * number)
    return {name: tensor.cuda() for name, tensor in batch.items()}


def measured(what: str, call) -> None:
    """Print peak memory and seconds of the second of two calls."""
    call()
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.synchronize()
    begun = time.perf_counter()
    call()
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_reserved() / 2**30
    print(f"{what}: {peak:.1f} GiB reserved, {time.perf_counter() - begun:.2f} s", flush=True)


def measure_training(model: torch.nn.Module, family: HfFamily, tokens: int) -> None:
    """Steps of micro-batches of so many tokens."""
    optimizer = torch.optim.AdamW([part for part in model.parameters() if part.requires_grad], lr=1e-4)

    def step(batch: dict[str, torch.Tensor]) -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = family.training_loss(model.train(), batch, int((batch["labels"] != -100).sum()))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    measured("3 rows with an image", lambda: step(rows(3, tokens // 3, image=True)))
    measured("2 rows of text alone", lambda: step(rows(2, tokens // 2, image=False)))


def main() -> None:
    """Measure training, then prediction."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=23, help="memory that may be used, in GiB")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    torch.cuda.set_per_process_memory_fraction(args.gib * 2**30 / torch.cuda.get_device_properties(0).total_memory)
    print(torch.cuda.get_device_name(), torch.__version__, f"at most {args.gib} GiB")
    config = yaml.safe_load((ROOT / "config/qwen2.5-vl-3b.yaml").read_text())
    settings = TrainedRunSettings.model_validate(config["runs"]["raw"])
    tokens = {"image_token_id": IMAGE, "vision_start_token_id": START, "vision_end_token_id": END}
    model_config = Qwen2_5_VLConfig(text_config=TEXT, vision_config=VISION, tie_word_embeddings=True, **tokens)
    with tempfile.TemporaryDirectory() as folder:
        model_config.save_pretrained(folder)
        family = HfFamily(Path(folder))
        targets = family.lora_targets  # found in the folder's config
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = Qwen2_5_VLForConditionalGeneration(model_config)
    torch.set_default_dtype(torch.float32)
    model.activation_checkpointing_enable({"use_reentrant": False})
    trained = adapt(model, family, settings, "base")
    print(count_parameters(trained), targets[:40])
    measure_training(trained, family, settings.micro_batch_tokens)
    torch.cuda.empty_cache()
    number = config["prediction"]["batch_size"]
    batch = rows(number, 1100, image=True)
    del batch["labels"]
    with torch.inference_mode():
        measured(
            f"{number} answers of 16 tokens",
            lambda: trained.eval().generate(**batch, max_new_tokens=16, min_new_tokens=16, do_sample=False),
        )


if __name__ == "__main__":
    main()
