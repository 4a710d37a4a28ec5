"""The sizes of a model, from its ``config.json`` alone: what its parts hold, and what an image costs them."""

from dataclasses import dataclass
from typing import Any

from syntune.errors import UserError


@dataclass(frozen=True)
class Decoder:
    """A language model of Llama's kind: gated MLP, rotary positions, two norms a layer.

    Attributes:
        layers: how many.
        hidden: width.
        inner: width of the MLP.
        heads: of queries.
        kv_heads: of keys and values.
        head_dim: width of a head.
        vocabulary: tokens.
        tied: the output layer is the embedding.
        biased: q, k and v have a bias.
    """

    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    biased: bool = False

    @property
    def queries(self) -> int:
        """Width of all queries."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all keys."""
        return self.kv_heads * self.head_dim

    @property
    def linears(self) -> list[tuple[int, int]]:
        """Inputs and outputs of a layer's linears: q, k, v, o, gate, up, down."""
        attention = [(self.hidden, self.queries), (self.hidden, self.keys), (self.hidden, self.keys)]
        mlp = [(self.hidden, self.inner), (self.hidden, self.inner), (self.inner, self.hidden)]
        return [*attention, (self.queries, self.hidden), *mlp]

    @property
    def linear_weights(self) -> int:
        """Of all layers, without biases."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.linears)

    @property
    def embedding(self) -> int:
        """Of the table of tokens."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All of them."""
        biases = self.queries + 2 * self.keys if self.biased else 0
        small = self.layers * (2 * self.hidden + biases) + self.hidden
        return self.linear_weights + small + self.embedding * (1 if self.tied else 2)

    def adapter(self, rank: int) -> int:
        """LoRA's parameters on all of these linears."""
        return self.layers * rank * sum(inputs + outputs for inputs, outputs in self.linears)


@dataclass(frozen=True)
class Tower:
    """A vision transformer.

    Attributes:
        layers: that are run.
        hidden: width.
        inner: width of the MLP.
        tokens: patches of an image, before any are merged.
        gated: the MLP has three linears, not two.
    """

    layers: int
    hidden: int
    inner: int
    tokens: int
    gated: bool = False

    @property
    def weights(self) -> int:
        """Of the layers' linears."""
        return self.layers * (4 * self.hidden**2 + (3 if self.gated else 2) * self.hidden * self.inner)


@dataclass(frozen=True)
class Shape:
    """A model's sizes.

    Attributes:
        family: "mgm" or "hf".
        kind: the config's ``model_type``.
        text: the language model.
        tower: the vision transformer.
        tower_parameters: of all vision towers.
        connector_parameters: of what joins them to the language model.
        tokens_per_image: in the sequence.
        vision_flops: forward, of an image.
        kept_per_image: bytes of an image's features in half precision, kept for the connector's backward pass.
        mined_width: channels of the high-resolution features that MGM's mining reads; else 0.
        pixels_per_image: bytes of its pixels, as they are sent.
    """

    family: str
    kind: str
    text: Decoder
    tower: Tower
    tower_parameters: int
    connector_parameters: int
    tokens_per_image: int
    vision_flops: float
    kept_per_image: int
    pixels_per_image: int
    mined_width: int = 0

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.text.parameters + self.tower_parameters + self.connector_parameters


def shape_of(config: dict[str, Any], where: str) -> Shape:
    """The sizes that a checkpoint's config tells.

    Args:
        config: the content of ``config.json``: this project's MGM, the reference's, or a model of transformers.
        where: the file, for messages.

    Raises:
        UserError: it is of no kind whose sizes are known here.
    """
    kind = config.get("model_type")
    try:
        if kind in ("mgm", "mgm_gemma"):
            return _mgm(config)
        if isinstance(config.get("text_config"), dict) and isinstance(config.get("vision_config"), dict):
            return _hf(config)
    except KeyError as error:
        raise UserError(f"{where}: {error.args[0]} is missing, without which its memory cannot be told") from error
    raise UserError(f"{where}: the sizes of a {kind!r} cannot be told: it has no text_config and vision_config")


MGM_2B: dict[str, Any] = {"model_type": "mgm"}
"""The config of MGM-2B: its sizes are the defaults below."""

_GEMMA_2B = {
    "hidden_size": 2048, "intermediate_size": 16384, "num_hidden_layers": 18, "num_attention_heads": 8,
    "num_key_value_heads": 1, "head_dim": 256, "vocab_size": 256000,
}  # fmt: skip
_CLIP = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "image_size": 336, "patch_size": 14}
_CONVNEXT = {"hidden_sizes": [192, 384, 768, 1536], "depths": [3, 3, 27, 3]}


def _mgm(config: dict[str, Any]) -> Shape:
    """Gemma, CLIP and ConvNeXt, joined by mining and a projector of two linears."""
    flat = config["model_type"] == "mgm_gemma"  # the reference's: the language model's sizes stand at the top
    text = _decoder(_GEMMA_2B | (config if flat else config.get("text_config") or {}), tied=True)
    clip = _CLIP | (config.get("vision_config") or {})
    convnext = _CONVNEXT | (config.get("vision_aux_config") or {})
    width, inner, layers = clip["hidden_size"], clip["intermediate_size"], clip["num_hidden_layers"]
    patches = (clip["image_size"] // clip["patch_size"]) ** 2
    run = layers + 1 + config.get("vision_select_layer", config.get("mm_vision_select_layer", -2))
    tower = Tower(run, width, inner, patches + 1)
    layer = 4 * (width * width + width) + 2 * width * inner + inner + width + 4 * width
    clip_size = layers * layer + width * (1 + 3 * clip["patch_size"] ** 2 + patches + 1 + 4)
    side = config.get("image_size_aux", 768)
    channels = convnext["hidden_sizes"]
    wide = sum(channels)
    maps = [size * (side // 4 >> stage) ** 2 for stage, size in enumerate(channels)]
    mining = 2 * width + width**2 + width + 2 * (2 * wide + wide * width + width)
    projector = width * text.hidden + text.hidden + text.hidden**2 + text.hidden
    return Shape(
        family="mgm",
        kind="mgm",
        text=text,
        tower=tower,
        tower_parameters=clip_size + _convnext_size(channels, convnext["depths"]),
        connector_parameters=mining + projector,
        tokens_per_image=patches,
        vision_flops=2 * tower.weights * tower.tokens + _convnext_flops(channels, convnext["depths"], side),
        kept_per_image=2 * sum(maps),
        pixels_per_image=4 * 3 * (side**2 + clip["image_size"] ** 2),
        mined_width=wide,
    )


def _convnext_size(channels: list[int], depths: list[int]) -> int:
    """ConvNeXt without its head: stem, blocks, and what halves the resolution between stages."""
    blocks = sum(depth * (8 * size**2 + 58 * size) for depth, size in zip(depths, channels, strict=True))
    between = sum(
        2 * size + 4 * size * following + following for size, following in zip(channels, channels[1:], strict=False)
    )
    return 51 * channels[0] + blocks + between


def _convnext_flops(channels: list[int], depths: list[int], side: int) -> float:
    """Forward, of an image of ``side`` pixels a side."""
    return sum(
        2.0 * (side // 4 >> stage) ** 2 * depth * (8 * size**2 + 49 * size)
        for stage, (size, depth) in enumerate(zip(channels, depths, strict=True))
    )


def _decoder(text: dict[str, Any], tied: bool) -> Decoder:
    """The language model of a text config."""
    heads, hidden = text["num_attention_heads"], text["hidden_size"]
    return Decoder(
        layers=text["num_hidden_layers"],
        hidden=hidden,
        inner=text["intermediate_size"],
        heads=heads,
        kv_heads=text.get("num_key_value_heads") or heads,
        head_dim=text.get("head_dim") or hidden // heads,
        vocabulary=text["vocab_size"],
        tied=tied,
        biased=bool(text.get("attention_bias")) or str(text.get("model_type", "")).startswith("qwen2"),
    )


def _hf(config: dict[str, Any]) -> Shape:
    """A model of transformers: a vision transformer, a connector of few linears, a decoder."""
    kind, given, vision = config["model_type"], dict(config["text_config"]), config["vision_config"]
    if any("expert" in key for key in given):
        raise UserError(f"the memory of a mixture of experts ({kind}) cannot be told")
    if "qwen2" in kind:
        given.setdefault("model_type", "qwen2")
    tied = config.get("tie_word_embeddings", given.get("tie_word_embeddings", kind == "paligemma"))
    text = _decoder(given, bool(tied))
    width = vision.get("hidden_size") or vision["embed_dim"]
    layers = vision.get("num_hidden_layers") or vision["depth"]
    inner = vision.get("intermediate_size") or 4 * width
    gated = "qwen2_5" in kind
    patch = vision.get("patch_size", 14)
    side = vision.get("image_size", 28 * 32)
    merged, frames = _merged(config), 2 if kind.startswith("qwen") else 1
    patches = (side // patch) ** 2
    tower = Tower(layers, width, inner, patches, gated)
    layer = 4 * width**2 + 4 * width + (3 if gated else 2) * width * inner + (2 if gated else 1) * inner + width
    norms = 2 * width if gated else 4 * width
    positions = 0 if kind.startswith("qwen") else patches * width
    stem = 3 * patch**2 * frames * width + positions
    return Shape(
        family="hf",
        kind=kind,
        text=text,
        tower=tower,
        tower_parameters=layers * (layer + norms) + stem,
        connector_parameters=_connector(kind, width, merged, text.hidden),
        tokens_per_image=patches // merged,
        vision_flops=2.0 * tower.weights * patches,
        kept_per_image=2 * patches * width,
        pixels_per_image=4 * 3 * frames * side**2,
    )


def _merged(config: dict[str, Any]) -> int:
    """Patches that become one token."""
    vision = config["vision_config"]
    if "spatial_merge_size" in vision or config["model_type"].startswith("qwen"):
        return vision.get("spatial_merge_size", 2) ** 2
    return config.get("scale_factor", 1) ** 2


def _connector(kind: str, vision: int, merged: int, hidden: int) -> int:
    """Parameters between vision and language, of the kinds whose connector is known; else as LLaVA's."""
    if kind.startswith("qwen"):
        wide = vision * merged
        return vision + wide * wide + wide + wide * hidden + hidden
    if kind in ("idefics3", "smolvlm"):
        return vision * merged * hidden
    if kind == "paligemma":
        return vision * hidden + hidden
    return vision * hidden + hidden + hidden**2 + hidden
