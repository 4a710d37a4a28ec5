"""Peak memory of a training on each of its GPUs, part by part, from sizes and settings alone.

What is held all the time follows Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter
Models", 2020, section 3: weights, gradients and AdamW's two moments in float32, divided among GPUs by ZeRO's stage.
What the backward pass needs is counted tensor by tensor, as in Korthikanti et al., "Reducing Activation Recomputation
in Large Transformer Models", 2022, section 4, for the layers that are run here. docs/reference/plan.md tells how far
the predictions were from measurements, and which constants were set by them.
"""

from dataclasses import asdict, dataclass

from syntune.planning.shapes import Shape
from syntune.settings.methods import METHODS
from syntune.settings.runs import TrainedRunSettings

GIB = 2**30

_WORKSPACE = 68 * 2**20
"""cuBLAS's, of a stream; measured."""

_CONTEXT, _CONTEXT_OF_DEEPSPEED = 0.8 * GIB, 0.85 * GIB
"""CUDA's context and the libraries' code, outside of PyTorch's memory, and what DeepSpeed adds; measured."""

_RECORDED_IMAGES = 4
"""That the recording of MGM's towers takes (syntune.models.mgm.compiled_towers)."""

_RECORDING = 0.2 * GIB
"""Work space of the recording for each image, that nothing else can use (docs/background/training-speed.md)."""

_LOGITS_AT_ONCE = 2**27
"""See syntune.models.cross_entropy."""

_NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes of a weight in 4 bits: a scale of one byte for each 64, a scale of these in four bytes for each 256 of them
(Dettmers et al., "QLoRA", 2023, section 3)."""

_WORTH = 1500
"""See syntune.models.eight_bits.linear."""

_BUCKETS = 4 * 2**25 * 2
"""DeepSpeed's, to reduce and gather (syntune.training.zero), in bytes."""

_SUBGROUP = 10**9
"""Parameters that ZeRO-3 updates at a time: DeepSpeed's default."""

_UNUSABLE = 0.05
"""Of what training itself holds: memory that the allocator has, in pieces that fit nothing; measured."""


@dataclass(frozen=True)
class MicroBatch:
    """The heaviest micro-batch.

    Attributes:
        tokens: that are computed: where rows are padded, the padding too.
        rows: how many.
        images: in these.
        supervised: tokens that logits are made for.
    """

    tokens: int
    rows: int
    images: int
    supervised: int


@dataclass(frozen=True)
class Memory:
    """Bytes on each GPU, at the peak.

    Attributes:
        weights: of the base, as it is held.
        trained: adapter and connector, or what else is trained: weights and, under DeepSpeed, their float32 copies.
        gradients: of these.
        optimizer: AdamW's moments.
        activations: what the layers keep for the backward pass, and the largest of what they need beside it.
        features: images, their features, and what the connector keeps.
        logits: and their gradients, where they are made at the peak.
        other: copies of weights in half precision, work space, buckets of DeepSpeed.
        outside: CUDA's context, recorded graphs, and memory that is lost in pieces: not in ``allocated``.
    """

    weights: float
    trained: float
    gradients: float
    optimizer: float
    activations: float
    features: float
    logits: float
    other: float
    outside: float

    @property
    def allocated(self) -> float:
        """What training records as its peak: the tensors of PyTorch."""
        return sum(asdict(self).values()) - self.outside

    @property
    def total(self) -> float:
        """What the card must have."""
        return sum(asdict(self).values())


def peak_memory(shape: Shape, settings: TrainedRunSettings, batch: MicroBatch) -> Memory:
    """The peak of a run's training.

    Args:
        shape: the model's sizes.
        settings: the run's.
        batch: its heaviest micro-batch.
    """
    held = _held(shape, settings, max(1, settings.gpus))
    moments = _moments(shape, settings, batch)
    activations, logits, beside = max(moments, key=sum)
    features = _features(shape, settings, batch)
    working = activations + features + logits + beside
    recorded = _records(shape, settings)
    context = _CONTEXT + (_CONTEXT_OF_DEEPSPEED if settings.zero else 0)
    outside = context + _UNUSABLE * working + (_RECORDED_IMAGES * _RECORDING if recorded else 0)
    outside += _recorded_layers(shape, settings, batch, moments)
    graph = _RECORDED_IMAGES * (shape.kept_per_image + shape.pixels_per_image) + _WORKSPACE if recorded else 0
    return Memory(
        weights=held["weights"],
        trained=held["trained"],
        gradients=held["gradients"],
        optimizer=held["optimizer"],
        activations=activations,
        features=features,
        logits=logits,
        other=_WORKSPACE + graph + beside + held["buckets"],
        outside=outside,
    )


def trained_parameters(shape: Shape, settings: TrainedRunSettings) -> dict[str, int]:
    """How many parameters are trained, by part."""
    writes = METHODS[settings.method].writes
    if writes == "connector":
        return {"connector": shape.connector_parameters}
    if writes == "model":
        parts = {"language model": shape.text.parameters, "connector": shape.connector_parameters}
        return parts | ({"vision towers": shape.tower_parameters} if settings.train_vision else {})
    parts = {"adapter": shape.text.adapter(settings.lora.r)}
    return parts | ({"connector": shape.connector_parameters} if settings.lora.train_connector else {})


def _held(shape: Shape, settings: TrainedRunSettings, ranks: int) -> dict[str, float]:
    """Bytes that are held from the first step to the last, and those of a step's end, by part."""
    size = 2 if settings.precision == "bf16" else 4
    parts = trained_parameters(shape, settings)
    trained = sum(parts.values())
    frozen = shape.parameters - (trained - parts.get("adapter", 0))
    quantised = shape.text.linear_weights if METHODS[settings.method].quantized else 0
    weights = size * (frozen - quantised) + _NF4 * quantised
    if settings.base_precision != "bf16":  # a byte each, and on every GPU, for ZeRO doesn't see them
        weights -= (size - 1) * wide_weights(shape)
    if settings.zero is None:
        return {"weights": weights, "trained": 4 * trained, "gradients": 4 * trained, "optimizer": 8 * trained,
                "buckets": 0}  # fmt: skip
    stage, shared = settings.zero.stage, ranks if settings.zero.stage else 1
    parameters = size * trained
    if stage == 3:
        towers = size * shape.tower_parameters if shape.family == "mgm" else 0  # every GPU keeps them whole
        if settings.zero.offload:
            live = size * _SUBGROUP
            weights, parameters = towers + min(weights - towers, live), min(parameters, live)
        else:
            weights, parameters = towers + (weights - towers) / ranks, parameters / ranks
    gradients = size * trained / shared
    if settings.zero.offload:
        return {"weights": weights, "trained": parameters, "gradients": gradients, "optimizer": 0, "buckets": _BUCKETS}
    updated = min(trained, _SUBGROUP) if stage == 3 else trained  # whose gradients a step makes float32
    return {"weights": weights, "trained": parameters + 4 * trained / shared, "gradients": gradients,
            "optimizer": (8 * trained + 4 * updated) / shared, "buckets": min(_BUCKETS, 4 * trained)}  # fmt: skip


def wide_weights(shape: Shape) -> int:
    """Weights of the language model's linears that ``base_precision`` holds in 8 bits."""
    text = shape.text
    wide = [inner * outer for inner, outer in text.linears if inner * outer / (inner + outer) >= _WORTH]
    return text.layers * sum(wide)


def takes_fused_layers(shape: Shape, settings: TrainedRunSettings) -> bool:
    """Whether Gemma's layers are run with their adapters fused (syntune.training.gemma)."""
    return shape.family == "mgm" and settings.method == "lora" and settings.precision == "bf16"


def records_layers(shape: Shape, settings: TrainedRunSettings) -> bool:
    """Whether they are recorded as CUDA graphs (syntune.training.gemma.graphs)."""
    return takes_fused_layers(shape, settings) and not settings.zero and settings.attention not in ("sdpa", "eager")


def _records(shape: Shape, settings: TrainedRunSettings) -> bool:
    """Whether the towers are recorded."""
    return shape.family == "mgm" and settings.precision == "bf16" and not settings.train_vision


def _recorded_layers(
    shape: Shape, settings: TrainedRunSettings, batch: MicroBatch, moments: list[tuple[float, float, float]]
) -> float:
    """Bytes that recorded layers (syntune.training.gemma.graphs) take beside what training records as its peak.

    Nothing else can use their memory: it is still held while logits are made. One recording is counted; where there is
    room, training makes more.
    """
    if not records_layers(shape, settings):
        return 0.0
    (activations, *_), (_, logits, beside) = moments
    held = activations + logits + beside - max(map(sum, moments))
    inputs = 2 * 2 * batch.tokens * (shape.text.hidden + shape.text.head_dim)  # and outputs, in half precision
    return held + inputs + 4 * shape.text.adapter(settings.lora.r)


def kept_by_layer(shape: Shape, settings: TrainedRunSettings, batch: MicroBatch) -> float:
    """Bytes that a layer keeps for its backward pass."""
    return _layer(shape, settings, batch)[0]


def _layer(shape: Shape, settings: TrainedRunSettings, batch: MicroBatch) -> tuple[float, float]:
    """Bytes that a layer keeps for its backward pass, and the most that it needs beside them."""
    text, tokens = shape.text, batch.tokens
    size = 2 if settings.precision == "bf16" else 4
    drops = settings.lora.dropout > 0
    attention = size * (2 * text.queries + 2 * text.keys)  # q, k, v after rotation, and the output
    if takes_fused_layers(shape, settings):
        rank = settings.lora.r
        block = 2 * 3 * text.hidden + attention + 2 * 4 * rank  # the input, its norm, the sum
        mlp = 2 * (text.hidden + 2 * text.inner + 3 * rank)  # its input, gate and up
        return tokens * (block + mlp), tokens * 2 * ((2 if drops else 1) * text.inner + 2 * text.hidden)
    writes = METHODS[settings.method].writes
    if shape.family == "hf":  # rows are padded, so attention has a mask: keys and values are repeated for all heads
        attention += size * 2 * (text.queries - text.keys)
    norms, gate = 2 * 4 * text.hidden, 3 * size * text.inner  # float32 inputs of norms; gate, its activation, up
    kept, beside = norms + attention + gate, 2 * size * text.inner
    if writes == "model":  # inputs of linears, and norms' outputs in float32
        kept += 2 * 4 * text.hidden + size * (2 * text.hidden + text.inner)
        beside = 3 * size * text.inner
    elif writes == "adapter":  # a copy of each linear's input and, of a byte, its dropout's mask; then the narrow side
        inputs = sum(inputs for inputs, _ in text.linears)
        kept += (size + (1 if drops else 0)) * inputs + size * settings.lora.r * len(text.linears)
        beside = (2 if METHODS[settings.method].quantized else 14) * text.inner  # PEFT's float32 copies, backward
    mask = size * batch.tokens**2 / batch.rows if shape.family == "hf" else 0
    return tokens * kept + mask, tokens * beside


def _moments(shape: Shape, settings: TrainedRunSettings, batch: MicroBatch) -> list[tuple[float, float, float]]:
    """Activations, logits and other bytes at the moments when memory may be fullest."""
    text, size = shape.text, 2 if settings.precision == "bf16" else 4
    kept, beside = _layer(shape, settings, batch)
    outer = 2 * 4 * batch.tokens * text.hidden  # the last norm's
    between = size * batch.tokens * text.hidden
    if settings.gradient_checkpointing:
        at_loss, at_layer = text.layers * between + outer, text.layers * between + kept + beside + outer
    else:
        at_loss, at_layer = text.layers * kept + outer, text.layers * kept + beside + outer
    casts = _casts(shape, settings)
    return [(at_layer, 0.0, casts), (at_loss, *_loss(shape, settings, batch, casts))]


def _casts(shape: Shape, settings: TrainedRunSettings) -> float:
    """Half-precision copies of trained float32 linears, which autocast keeps to the end of the forward pass."""
    if settings.precision == "fp32" or settings.zero is not None:
        return 0.0
    trained = trained_parameters(shape, settings)
    return 2.0 * sum(
        shape.text.linear_weights if part == "language model" else number for part, number in trained.items()
    )


def _loss(shape: Shape, settings: TrainedRunSettings, batch: MicroBatch, casts: float) -> tuple[float, float]:
    """Bytes of logits and all that is made of them, and other bytes, when the loss is computed."""
    text, size = shape.text, 2 if settings.precision == "bf16" else 4
    if shape.family == "hf":  # all at once: as they come, in float32, their logarithms and two gradients
        head = size * text.embedding if METHODS[settings.method].writes == "model" and settings.zero is None else 0
        return 12.0 * batch.supervised * text.vocabulary, casts + head
    at_once = min(batch.supervised, max(1, _LOGITS_AT_ONCE // text.vocabulary))
    logits = 2.0 * size * at_once * text.vocabulary
    if METHODS[settings.method].writes != "model":
        return logits, casts
    return logits, casts + (4 + size + (size if settings.zero is None else 0)) * text.embedding


def _features(shape: Shape, settings: TrainedRunSettings, batch: MicroBatch) -> float:
    """Bytes of images and features, and of what connector and, where it has gradients, the tower keep."""
    size = 2 if settings.precision == "bf16" else 4
    width, hidden = shape.tower.hidden, shape.text.hidden
    kept = float(shape.pixels_per_image)
    is_mgm = shape.family == "mgm"
    trains = "connector" in trained_parameters(shape, settings)
    if trains:
        kept += size / 2 * shape.kept_per_image
        kept += size * shape.tokens_per_image * (5 * width + 7 * shape.mined_width + 2 * hidden)
    if not is_mgm and (settings.gradient_checkpointing or settings.train_vision):
        # transformers lets gradients reach every part's first layer, also a frozen tower's
        kept += size * shape.tower.layers * shape.tower.tokens * width
    return batch.images * kept
