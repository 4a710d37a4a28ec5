"""Scorers of random weights, as small as they can be, as folders that transformers would load from the hub."""

from pathlib import Path

import torch
from tiny_models import tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForImageTextRetrieval,
    BlipProcessor,
    CLIPConfig,
    CLIPModel,
    CLIPProcessor,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {"image_size": 32, "patch_size": 8, "initializer_range": 0.1, **SMALL}
TEXT = {"max_position_embeddings": 32, "initializer_range": 0.1, **SMALL}


def clip(folder: Path, seed: int = 0) -> None:
    tokens = tokenizer(["<|endoftext|>", "<|startoftext|>"], "<|startoftext|>", "<|endoftext|>")
    tokens._tokenizer.post_processor = TemplateProcessing(
        single="<|startoftext|> $A <|endoftext|>", special_tokens=[("<|startoftext|>", 1), ("<|endoftext|>", 0)]
    )
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(images, tokens).save_pretrained(folder)
    torch.manual_seed(seed)
    config = CLIPConfig(
        text_config={"vocab_size": len(tokens), "bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 0, **TEXT},
        vision_config=VISION,
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(folder)


def blip(folder: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "blue", "a", "square", "picture", "of"]
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(words) + "\n")
    tokens = BertTokenizer(vocab=str(vocabulary))
    BlipProcessor(BlipImageProcessorPil(size={"height": 32, "width": 32}), tokens).save_pretrained(folder)
    torch.manual_seed(0)
    text = {"vocab_size": len(tokens), "encoder_hidden_size": 32, "bos_token_id": 2, "pad_token_id": 0, **TEXT}
    config = BlipConfig(text_config=text, vision_config=VISION, projection_dim=16, image_text_hidden_size=16)
    BlipForImageTextRetrieval(config).save_pretrained(folder)


def classifier(folder: Path, labels: int = 2) -> None:
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    torch.manual_seed(0)
    ViTForImageClassification(ViTConfig(num_labels=labels, **VISION)).save_pretrained(folder)


KINDS = {"clip": clip, "blip": blip, "classifier": classifier}
