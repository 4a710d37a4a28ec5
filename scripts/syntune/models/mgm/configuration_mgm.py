"""Configuration of MGM (Mini-Gemini) on a Gemma language model."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import CLIPVisionConfig, ConvNextConfig, GemmaConfig, PretrainedConfig
from transformers.configuration_utils import SubConfigSpec

from syntune.errors import UserError

CLIP_LARGE = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
}
"""OpenAI's CLIP ViT-L/14 at 336 pixels."""

CONVNEXT_LARGE = {"hidden_sizes": [192, 384, 768, 1536], "depths": [3, 3, 27, 3]}
"""OpenCLIP's ConvNeXt-L."""

GEMMA_2B = {
    "hidden_size": 2048,
    "intermediate_size": 16384,
    "num_hidden_layers": 18,
    "num_attention_heads": 8,
    "num_key_value_heads": 1,
    "head_dim": 256,
}

_TEXT_FIELDS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "rms_norm_eps",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "attention_bias",
)

_ONLY_VALUES = {
    "model_type": "mgm_gemma",
    "mm_projector_type": "mlp2x_gelu",
    "mm_vision_select_feature": "patch",
    "mm_use_im_start_end": False,
    "mm_use_im_patch_token": False,
    "image_grid": 1,
    "image_global": False,
}
"""Fields of the reference's config that take part in the arithmetic, with the one value that is supported."""


@strict
class MgmConfig(PretrainedConfig):
    """The sizes of an MGM: language model, two vision towers, and how they are joined. The defaults are MGM-2B's.

    Attributes:
        text_config: Gemma.
        vision_config: CLIP, the low-resolution tower; its ``image_size`` is the side of ``images``, in pixels.
        vision_aux_config: ConvNeXt, the high-resolution tower.
        image_size_aux: side of ``images_aux``, in pixels.
        image_aspect_ratio: "pad" pads an image to a square, "square" crops its centre.
        vision_select_layer: the hidden state of CLIP that is used, as an index from the end (-1: the last layer's).
        tokenizer_model_max_length: longest sequence, in tokens, each image counted with all its tokens.
        erf_gelu: Gemma's MLP uses the exact GELU, as the reference's pinned transformers does where its config says
            "gelu", instead of Gemma's own tanh approximation.
    """

    model_type = "mgm"
    sub_configs_defaults = {
        "text_config": SubConfigSpec(config_class=GemmaConfig, init_kwargs=GEMMA_2B),
        "vision_config": SubConfigSpec(config_class=CLIPVisionConfig, init_kwargs=CLIP_LARGE),
        "vision_aux_config": SubConfigSpec(config_class=ConvNextConfig, init_kwargs=CONVNEXT_LARGE),
    }

    text_config: dict | PretrainedConfig | None = None
    vision_config: dict | PretrainedConfig | None = None
    vision_aux_config: dict | PretrainedConfig | None = None
    image_size_aux: int = 768
    image_aspect_ratio: Literal["pad", "square"] = "pad"
    vision_select_layer: int = -2
    tokenizer_model_max_length: int = 2048
    erf_gelu: bool = False
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        """Build the parts' configs and check that they fit each other."""
        # GemmaConfig takes "gelu" for a legacy spelling of the approximation, so it is set after that class has read it
        if isinstance(self.text_config, dict):
            self.text_config = {key: value for key, value in self.text_config.items() if key != "hidden_act"}
        super().__post_init__(**kwargs)
        self.text_config.hidden_act = "gelu" if self.erf_gelu else "gelu_pytorch_tanh"
        if self.aux_grid % self.patch_grid:
            raise ValueError(
                f"the stage-0 grid of vision_aux_config ({self.aux_grid} a side) is not a multiple of the patch grid "
                f"of vision_config ({self.patch_grid} a side)"
            )

    @property
    def patch_grid(self) -> int:
        """Patches of the low-resolution image, a side."""
        return self.vision_config.image_size // self.vision_config.patch_size

    @property
    def aux_grid(self) -> int:
        """Positions of the high-resolution tower's first stage, a side."""
        return self.image_size_aux // self.vision_aux_config.patch_size

    @property
    def tokens_per_image(self) -> int:
        """Tokens that an image takes in the sequence."""
        return self.patch_grid**2

    @classmethod
    def from_reference(
        cls, reference: dict[str, Any], vision_config: dict | None = None, vision_aux_config: dict | None = None
    ) -> "MgmConfig":
        """Read the fields of a reference checkpoint's ``config.json``.

        Args:
            reference: the file's content. It names the towers by path only.
            vision_config: CLIP's sizes; by default ViT-L/14 at 336 pixels.
            vision_aux_config: ConvNeXt's sizes; by default ConvNeXt-L.

        Raises:
            UserError: the checkpoint is of a variant that is not supported, or its sizes contradict the towers'.
        """
        for key, value in _ONLY_VALUES.items():
            if reference.get(key, value) != value:
                raise UserError(f"config.json: {key}: {reference[key]!r} is not supported, only {value!r}")
        aspect = reference.get("image_aspect_ratio", "square")
        if aspect not in ("pad", "square"):
            raise UserError(f"config.json: image_aspect_ratio: {aspect!r} is not supported, only 'pad' and 'square'")
        text = {key: reference[key] for key in _TEXT_FIELDS if key in reference}
        config = cls(
            text_config={**text, "rope_parameters": _rope(reference.get("rope_theta", 10_000.0))},
            vision_config=vision_config or CLIP_LARGE,
            vision_aux_config=vision_aux_config or CONVNEXT_LARGE,
            image_size_aux=reference.get("image_size_aux", 768),
            image_aspect_ratio=aspect,
            vision_select_layer=reference.get("mm_vision_select_layer", -2),
            tokenizer_model_max_length=reference.get("tokenizer_model_max_length", 2048),
            erf_gelu=reference.get("hidden_act") == "gelu",
        )
        for key, value in config.to_reference().items():
            if key in ("mm_hidden_size", "mm_hidden_size_aux") and reference.get(key, value) != value:
                raise UserError(f"config.json: {key}: {reference[key]} contradicts the vision tower's {value}")
        return config

    def to_reference(self) -> dict[str, Any]:
        """The fields of a reference checkpoint's ``config.json``."""
        return {
            **_ONLY_VALUES,
            **{key: getattr(self.text_config, key) for key in _TEXT_FIELDS},
            "architectures": ["MGMGemmaForCausalLM"],
            "hidden_act": self.text_config.hidden_act,
            "rope_theta": self.text_config.rope_parameters["rope_theta"],
            "tie_word_embeddings": True,
            "use_mm_proj": True,
            "mm_vision_tower": "openai/clip-vit-large-patch14-336",
            "mm_vision_tower_aux": "openclip-convnext-large-d-320-laion2B-s29B-b131K-ft-soup",
            "mm_hidden_size": self.vision_config.hidden_size,
            "mm_hidden_size_aux": sum(self.vision_aux_config.hidden_sizes),
            "mm_vision_select_layer": self.vision_select_layer,
            "optimize_vision_tower": False,
            "optimize_vision_tower_aux": False,
            "image_size_aux": self.image_size_aux,
            "image_aspect_ratio": self.image_aspect_ratio,
            "tokenizer_model_max_length": self.tokenizer_model_max_length,
            "tokenizer_padding_side": "right",
        }


def _rope(theta: float) -> dict[str, Any]:
    """Plain rotary embeddings of base ``theta``."""
    return {"rope_type": "default", "rope_theta": theta}
