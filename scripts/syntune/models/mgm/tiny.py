"""A tiny MGM that trains within minutes on a CPU."""

from syntune.models.mgm.configuration_mgm import MgmConfig


def tiny_config(
    vocab_size: int, hidden_size: int = 96, num_hidden_layers: int = 3, max_length: int = 2048
) -> MgmConfig:
    """Sizes for images of about 64 x 64 pixels: 16 tokens an image, both resolutions 64, windows of 4 x 4.

    Args:
        vocab_size: tokens of the vocabulary.
        hidden_size: width of the language model, a multiple of 16.
        num_hidden_layers: depth of the language model.
        max_length: longest sequence, in tokens, images' tokens included.
    """
    return MgmConfig(
        text_config={
            "vocab_size": vocab_size,
            "hidden_size": hidden_size,
            "intermediate_size": 2 * hidden_size,
            "num_hidden_layers": num_hidden_layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": hidden_size // 4,
            "max_position_embeddings": max_length,
            # the default suits widths of thousands: a narrow model takes long to begin to see with it. A larger one
            # makes the tied output layer sure of the token before, so that the first loss lies far above ln(vocabulary)
            "initializer_range": 0.6 * hidden_size**-0.5,
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": 64,
            "patch_size": 16,
        },
        # random weights: a layer scale near zero, as a trained tower starts from, would hide the stages
        vision_aux_config={"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "layer_scale_init_value": 1.0},
        image_size_aux=64,
        tokenizer_model_max_length=max_length,
    )
