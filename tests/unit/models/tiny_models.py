"""Models of other families, as small as they can be, as folders that transformers would load from the hub."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GenerationConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "initializer_range": 0.1,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}

# the templates of the models' checkpoints, without what they hold for videos and tools
LLAVA_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] + ' ' }}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
QWEN_TEMPLATE = (
    "{% for message in messages %}{% if loop.first %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMOLVLM_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}{{ '<image>' }}"
    "{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def tokenizer(special, bos, eos, adds_bos=False):
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(["a USER: with a warm ASSISTANT: is blue"] * 2, trainer)
    if adds_bos:
        made.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, special.index(bos))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token=bos, eos_token=eos, pad_token=special[0])


def llava(folder):
    tokens = tokenizer(["<pad>", "<s>", "</s>", "<image>"], "<s>", "</s>", adds_bos=True)
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    LlavaProcessor(
        images,
        tokens,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    ).save_pretrained(folder)
    config = LlavaConfig(
        text_config={"model_type": "llama", "vocab_size": len(tokens), "bos_token_id": 1, "eos_token_id": 2, **TEXT},
        vision_config={"model_type": "clip_vision_model", "projection_dim": 16, **VISION},
        image_token_id=3,
        pad_token_id=0,
    )
    return LlavaForConditionalGeneration(config), [2]


def qwen(folder):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
    tokens = tokenizer([*special, "<|video_pad|>"], None, "<|im_end|>")
    tokens.save_pretrained(folder)
    # as on the hub: parts in their own files, and a processor that asks for a video processor
    Qwen2VLImageProcessorPil(
        patch_size=8, merge_size=2, size={"shortest_edge": 16 * 16, "longest_edge": 48 * 48}
    ).save_pretrained(folder)
    images = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(images | {"processor_class": "Qwen2_5_VLProcessor"}))
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": QWEN_TEMPLATE}))
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokens),
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
            **TEXT,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "patch_size": 8,
            "out_hidden_size": 64,
            "window_size": 32,
            "fullatt_block_indexes": [1],
            "initializer_range": 0.1,
        },
        image_token_id=5,
        video_token_id=6,
        vision_start_token_id=3,
        vision_end_token_id=4,
    )
    return Qwen2_5_VLForConditionalGeneration(config), [2, 0]


def smolvlm(folder):
    special = ["<|endoftext|>", "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>"]
    special += ["<global-img>", *(f"<row_{row}_col_{column}>" for row in range(1, 4) for column in range(1, 4))]
    tokens = tokenizer(special, "<|im_start|>", "<end_of_utterance>")
    images = Idefics3ImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    Idefics3Processor(images, tokens, image_seq_len=4, chat_template=SMOLVLM_TEMPLATE).save_pretrained(folder)
    config = Idefics3Config(
        text_config={"model_type": "llama", "vocab_size": len(tokens), "pad_token_id": 0, **TEXT},
        vision_config=VISION,
        scale_factor=2,
        image_token_id=4,
    )
    return Idefics3ForConditionalGeneration(config), [2]


def paligemma(folder):
    tokens = tokenizer(["<pad>", "<eos>", "<bos>", "<image>"], "<bos>", "<eos>")
    images = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    images.image_seq_length = 16
    PaliGemmaProcessor(images, tokens).save_pretrained(folder)
    config = PaliGemmaConfig(
        text_config={"model_type": "gemma", "vocab_size": len(tokens), "bos_token_id": 2, "eos_token_id": 1, **TEXT},
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **VISION},
        image_token_id=3,
        projection_dim=64,
        hidden_size=64,
        tie_word_embeddings=False,  # tied, an untrained model says its last token again and again
    )
    return PaliGemmaForConditionalGeneration(config), [1]


KINDS = {"llava": llava, "qwen": qwen, "smolvlm": smolvlm, "paligemma": paligemma}


def write_model(kind: str, folder: Path) -> None:
    """A model of random weights and its processor."""
    folder.mkdir()
    torch.manual_seed(0)
    model, ends = KINDS[kind](folder)
    # a checkpoint's own way of generating, which a benchmark must not follow
    model.generation_config = GenerationConfig(do_sample=True, top_k=5, repetition_penalty=1.5, eos_token_id=ends)
    model.save_pretrained(folder)
