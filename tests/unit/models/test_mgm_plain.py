"""Models of other sizes against the same arithmetic written out in float64, without a library's layers."""

import math

import pytest
import torch
from torch.nn.functional import conv2d, gelu, interpolate, layer_norm, linear

from syntune.models.mgm.configuration_mgm import MgmConfig
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.reference_names import to_reference_names

SIZES = {
    # a 3 x 3 grid, with pixels left over at both resolutions
    "odd": {
        "text_config": {"hidden_size": 36, "intermediate_size": 50, "num_hidden_layers": 2},
        "heads": (3, 3, 10),
        "vision_config": {"hidden_size": 24, "num_attention_heads": 3, "image_size": 45, "patch_size": 14},
        "hidden_sizes": [6, 10, 4],
        "image_size_aux": 99,
        "vision_select_layer": -3,
        "erf_gelu": True,
    },
    # grouped heads, windows of one position, the last layer
    "narrow": {
        "text_config": {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 3},
        "heads": (4, 2, 6),
        "vision_config": {"hidden_size": 16, "num_attention_heads": 2, "image_size": 32, "patch_size": 8},
        "hidden_sizes": [4, 8],
        "image_size_aux": 16,
        "vision_select_layer": -1,
        "erf_gelu": False,
    },
}


def build(name, max_length):
    """A model with random weights, none of them at a special value."""
    sizes = SIZES[name]
    heads, kv_heads, head_dim = sizes["heads"]
    config = MgmConfig(
        text_config={
            **sizes["text_config"],
            "vocab_size": 90,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "head_dim": head_dim,
        },
        vision_config={**sizes["vision_config"], "intermediate_size": 30, "num_hidden_layers": 4},
        vision_aux_config={"hidden_sizes": sizes["hidden_sizes"], "depths": [1, 2, 1][: len(sizes["hidden_sizes"])]}
        | {"num_stages": len(sizes["hidden_sizes"])},
        image_size_aux=sizes["image_size_aux"],
        vision_select_layer=sizes["vision_select_layer"],
        erf_gelu=sizes["erf_gelu"],
        tokenizer_model_max_length=max_length,
    )
    model = MgmForConditionalGeneration(config).eval()
    generator = torch.Generator().manual_seed(len(name))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.25)
    return model


def batch(config, generator):
    """Rows with one, none and two images, padded to one length; the last is cut after expansion."""
    rows = [[2, 7, -200, 9, 11, 12], [2, 30, 31, 32, 33], [2, -200, -200, 40, 41, 42, 43, 44, 45, 46, 47]]
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    labels = torch.where((ids > 8) & (torch.rand(ids.shape, generator=generator) < 0.8), ids, -100)
    low, high = config.vision_config.image_size, config.image_size_aux
    images = torch.randn(3, 3, low, low, generator=generator), torch.randn(3, 3, high, high, generator=generator)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels, "images": images[0], "images_aux": images[1]}


def plain_norm(weights, name, x, eps):
    return layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)


def plain_linear(weights, name, x):
    return linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))


def plain_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(-2, -3)


def plain_clip(w, config, image):
    """One image [3, S, S] to [patches, C]."""
    clip, prefix = config.vision_config, "model.vision_tower.vision_tower.vision_model"
    patches = conv2d(image[None], w[f"{prefix}.embeddings.patch_embedding.weight"], stride=clip.patch_size)[0]
    x = torch.cat([w[f"{prefix}.embeddings.class_embedding"][None], patches.flatten(1).T])
    x = plain_norm(w, f"{prefix}.pre_layrnorm", x + w[f"{prefix}.embeddings.position_embedding.weight"], 1e-5)
    for index in range(clip.num_hidden_layers + 1 + config.vision_select_layer):
        layer = f"{prefix}.encoder.layers.{index}"
        y = plain_norm(w, f"{layer}.layer_norm1", x, 1e-5)
        q, k, v = (
            plain_heads(plain_linear(w, f"{layer}.self_attn.{n}_proj", y), clip.num_attention_heads) for n in "qkv"
        )
        y = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1) @ v
        x = x + plain_linear(w, f"{layer}.self_attn.out_proj", y.transpose(0, 1).flatten(1))
        y = plain_linear(w, f"{layer}.mlp.fc1", plain_norm(w, f"{layer}.layer_norm2", x, 1e-5))
        x = x + plain_linear(w, f"{layer}.mlp.fc2", y * torch.sigmoid(1.702 * y))
    return x[1:]


def plain_convnext(w, config, image):
    """One image [3, A, A] to [D, side, side]."""
    prefix = "model.vision_tower_aux"

    def channel_norm(name, x):
        return plain_norm(w, name, x.movedim(1, -1), 1e-6).movedim(-1, 1)

    def convolve(name, x, **kwargs):
        return conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], **kwargs)

    x = channel_norm(f"{prefix}.vision_stem.1", convolve(f"{prefix}.vision_stem.0", image[None], stride=4))
    stages = []
    for index, depth in enumerate(config.vision_aux_config.depths):
        stage = f"{prefix}.vision_stages.{index}"
        if index:
            x = convolve(f"{stage}.downsample.1", channel_norm(f"{stage}.downsample.0", x), stride=2)
        for number in range(depth):
            block = f"{stage}.blocks.{number}"
            y = convolve(f"{block}.conv_dw", x, padding=3, groups=x.shape[1])
            y = plain_norm(w, f"{block}.norm", y.movedim(1, -1), 1e-6)
            y = plain_linear(w, f"{block}.mlp.fc2", gelu(plain_linear(w, f"{block}.mlp.fc1", y)))
            x = x + (w[f"{block}.gamma"] * y).movedim(-1, 1)
        stages.append(interpolate(x, stages[0].shape[-2:], mode="bilinear") if stages else x)
    return torch.cat(stages, 1)[0]


def plain_image_tokens(w, config, image, image_aux):
    """One image's tokens [patches, width], by the paper's definition: keys and values of every position."""
    patches, features = plain_clip(w, config, image), plain_convnext(w, config, image_aux)
    grid = math.isqrt(len(patches))
    side = features.shape[-1] // grid

    def project(name, x):
        return plain_linear(
            w, f"model.vlm_uni_{name}_projector.1", plain_norm(w, f"model.vlm_uni_{name}_projector.0", x, 1e-5)
        )

    tokens = []
    for index, patch in enumerate(patches):
        row, column = divmod(index, grid)
        window = features[:, row * side : (row + 1) * side, column * side : (column + 1) * side].flatten(1).T
        scores = project("aux", window) @ project("query", patch) / math.sqrt(len(patch))
        tokens.append(patch + scores.softmax(0) @ project("val", window))
    hidden = gelu(plain_linear(w, "model.mm_projector.0", torch.stack(tokens)))
    return plain_linear(w, "model.mm_projector.2", hidden)


def plain_gemma(w, config, x):
    """Embeddings [tokens, width], not scaled, to logits."""
    text = config.text_config

    def norm(name, x):
        return x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt() * (1 + w[f"{name}.weight"])

    def rotate(x):
        angle = torch.arange(x.shape[1])[:, None] / 10_000 ** (
            torch.arange(0, text.head_dim, 2).double() / text.head_dim
        )
        first, second = x.chunk(2, -1)
        return torch.cat([first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()], -1)

    x = x * math.sqrt(text.hidden_size)
    later = torch.ones(len(x), len(x), dtype=torch.bool).triu(1)
    for index in range(text.num_hidden_layers):
        layer = f"model.layers.{index}"
        y = norm(f"{layer}.input_layernorm", x)
        q, k, v = (
            plain_linear(w, f"{layer}.self_attn.{n}_proj", y).unflatten(-1, (-1, text.head_dim)).transpose(0, 1)
            for n in "qkv"
        )
        k, v = (t.repeat_interleave(len(q) // len(k), 0) for t in (rotate(k), v))
        scores = (rotate(q) @ k.transpose(-1, -2) / math.sqrt(text.head_dim)).masked_fill(later, -torch.inf)
        x = x + plain_linear(w, f"{layer}.self_attn.o_proj", (scores.softmax(-1) @ v).transpose(0, 1).flatten(1))
        y = norm(f"{layer}.post_attention_layernorm", x)
        gate = gelu(plain_linear(w, f"{layer}.mlp.gate_proj", y), approximate="none" if config.erf_gelu else "tanh")
        x = x + plain_linear(w, f"{layer}.mlp.down_proj", gate * plain_linear(w, f"{layer}.mlp.up_proj", y))
    return norm("model.norm", x) @ w["model.embed_tokens.weight"].T


def plain_forward(w, config, inputs):
    """Each row's logits, and the loss over all of them."""
    pairs = iter(zip(inputs["images"].double(), inputs["images_aux"].double(), strict=True))
    logits, losses = [], []
    for ids, mask, labels in zip(inputs["input_ids"], inputs["attention_mask"], inputs["labels"], strict=True):
        pieces, targets = [], []
        for token, label in zip(ids[mask.bool()].tolist(), labels[mask.bool()].tolist(), strict=True):
            piece = (
                plain_image_tokens(w, config, *next(pairs))
                if token == -200
                else w["model.embed_tokens.weight"][[token]]
            )
            pieces.append(piece)
            targets += [-100] * len(piece) if token == -200 else [label]
        limit = config.tokenizer_model_max_length
        logits.append(plain_gemma(w, config, torch.cat(pieces)[:limit]))
        for position, target in enumerate(targets[1:limit]):
            if target != -100:
                losses.append(-logits[-1][position].log_softmax(0)[target])
    return logits, torch.stack(losses).mean()


@pytest.mark.parametrize("name", SIZES)
def test_outputs_and_gradients(name):
    generator = torch.Generator().manual_seed(7)
    places = 9 if name == "odd" else 16
    model = build(name, max_length=2 * places + 7)
    inputs = batch(model.config, generator)
    weights = to_reference_names(
        {key: value.detach().double().requires_grad_() for key, value in model.named_parameters()}
    )
    wanted_logits, wanted_loss = plain_forward(weights, model.config, inputs)
    wanted_loss.backward()

    output = model(**inputs)
    for found, wanted in zip(output.logits, wanted_logits, strict=True):
        torch.testing.assert_close(found[: len(wanted)].double(), wanted, rtol=1e-3, atol=1e-3)
    assert output.loss.item() == pytest.approx(wanted_loss.item(), rel=1e-5)
    assert [len(row) for row in wanted_logits] == [places + 5, 5, 2 * places + 7]

    model.train()(**inputs).loss.backward()
    for key, parameter in to_reference_names(dict(model.named_parameters())).items():
        # a gradient that is zero by the arithmetic (a key's bias, an unused layer's) may be absent on either side
        found, wanted = (torch.zeros(1) if p.grad is None else p.grad for p in (parameter, weights[key]))
        assert (found - wanted).norm() <= 1e-3 * wanted.norm() + 1e-5, key
