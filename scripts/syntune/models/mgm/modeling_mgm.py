"""MGM (Mini-Gemini) on Gemma: Gemma, CLIP and ConvNeXt from transformers, joined by patch-info mining."""

from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    Cache,
    CLIPVisionModel,
    GemmaModel,
    GenerationMixin,
    PreTrainedModel,
)
from transformers.modeling_outputs import CausalLMOutputWithPast

from syntune.models.cross_entropy import IGNORED, summed_cross_entropy
from syntune.models.mgm.configuration_mgm import MgmConfig
from syntune.models.mgm.expansion import IMAGE_TOKEN, Expanded, expand_images
from syntune.models.mgm.mining import PatchInfoMining
from syntune.models.mgm.vision import MgmConvNextTower, clip_patches, is_trained
from syntune.models.transfer import send

LORA_TARGETS = r"model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"
"""The language model's linear layers, for PEFT's ``target_modules``; the vision towers' are not among them."""


class MgmForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """Gemma that reads images: ``-200`` in ``input_ids`` stands for an image.

    The state dict's names of Gemma, the projector and the adapters on Gemma are the reference's; the others are
    mapped by :mod:`syntune.models.mgm.reference_names`.
    """

    config: MgmConfig
    config_class = MgmConfig
    base_model_prefix = "model"
    input_modalities = ("image", "text")
    accepts_loss_kwargs = True
    supports_gradient_checkpointing = True
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}
    # the mining reads its children's parameters without calling them: what splits parameters must keep it whole
    _no_split_modules = ["GemmaDecoderLayer", "CLIPEncoderLayer", "ConvNextStage", "PatchInfoMining"]
    _skip_keys_device_placement = ["past_key_values"]
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_attention_backend = True
    encodes_without_images = False
    """Whether a training batch without images runs the vision part on a black one, whose tokens go nowhere."""

    def __init__(self, config: MgmConfig) -> None:
        super().__init__(config)
        width, vision = config.text_config.hidden_size, config.vision_config.hidden_size
        self.model = GemmaModel(config.text_config)
        self.vision_tower = CLIPVisionModel(config.vision_config)
        self.vision_tower_aux = MgmConvNextTower(config.vision_aux_config)
        self.mining = PatchInfoMining(vision, sum(config.vision_aux_config.hidden_sizes))
        self.mm_projector = nn.Sequential(nn.Linear(vision, width), nn.GELU(), nn.Linear(width, width))
        self.lm_head = nn.Linear(width, config.text_config.vocab_size, bias=False)
        self.post_init()

    @property
    def vision_towers(self) -> tuple[nn.Module, nn.Module]:
        """CLIP and ConvNeXt; freeze them with ``requires_grad_(False)``."""
        return self.vision_tower, self.vision_tower_aux

    @property
    def vision_connector(self) -> tuple[nn.Module, nn.Module]:
        """What joins the towers to the language model: mining and projector."""
        return self.mining, self.mm_projector

    def get_input_embeddings(self) -> nn.Module:
        """The language model's embedding."""
        return self.model.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the language model's embedding."""
        self.model.embed_tokens = value

    def train(self, mode: bool = True) -> "MgmForConditionalGeneration":
        """Set the mode; a frozen tower stays in evaluation mode, so that its features are deterministic."""
        super().train(mode)
        for tower in self.vision_towers:
            tower.train(mode and is_trained(tower))
        return self

    def encode_images(
        self, images: torch.Tensor, images_aux: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Run the towers; a frozen one keeps nothing for a backward pass.

        Args:
            images: [images, 3, S, S], low resolution.
            images_aux: [images, 3, A, A], the same images at high resolution.

        Returns:
            CLIP's patches [images, patches, C], and the features of ConvNeXt's stages, [images, channels, A / 4, A / 4]
            and smaller.
        """
        clip, convnext = self.vision_towers
        with torch.set_grad_enabled(torch.is_grad_enabled() and is_trained(clip)):
            patches = clip_patches(clip, images.to(clip.dtype), self.config.vision_select_layer)
        with torch.set_grad_enabled(torch.is_grad_enabled() and is_trained(convnext)):
            aux_stages = convnext(images_aux.to(convnext.dtype))
        return patches, aux_stages

    def get_image_features(self, images: torch.Tensor, images_aux: torch.Tensor) -> torch.Tensor:
        """The images' tokens, [images, tokens per image, width], not yet scaled as embeddings are.

        They depend on nothing but the image: a caller may keep them and pass them as ``image_features``.
        """
        patches, aux_stages = self.encode_images(images, images_aux)
        patches = patches.to(self.mining.query_norm.weight.dtype)
        if torch.is_grad_enabled() and not patches.requires_grad:
            # DeepSpeed takes up a leaf module's gradients when that of its input is there, so there must be one
            patches.requires_grad_()
        return self.mm_projector(patches + self.mining(patches, aux_stages))

    def merge_inputs(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        images: torch.Tensor | None = None,
        images_aux: torch.Tensor | None = None,
        image_features: torch.Tensor | None = None,
        padding_side: str = "right",
    ) -> tuple[torch.Tensor, Expanded]:
        """Embed the tokens and put the images' tokens in their places.

        Ids, mask and labels may be on the CPU beside a model on a GPU, and best are: sizes follow from them, and to
        read one back from a GPU is to wait until it has nothing left to do.

        Returns:
            The embeddings [rows, tokens, width], scaled as Gemma expects, and the expanded batch, where the ids are.

        Raises:
            ValueError: there are more or fewer images than places for them.
        """
        device = self.model.embed_tokens.weight.device
        if image_features is None and images is not None and len(images):
            image_features = self.get_image_features(images, images_aux)
        elif image_features is None and self.training and self.encodes_without_images:
            # here, not later: ranks that share parameters gather those of every module in one order
            image_features = self._no_image_features(device)
        expanded = expand_images(
            input_ids,
            attention_mask,
            labels,
            self.config.tokens_per_image,
            self.config.tokenizer_model_max_length,
            padding_side,
        )
        embeddings = self.model.embed_tokens(send(expanded.input_ids, device))
        places = int((input_ids == IMAGE_TOKEN).sum())
        given = 0 if image_features is None else len(image_features)
        if places != given:
            raise ValueError(f"input_ids have places for {places} images, but {given} are given")
        if not places:
            if image_features is not None:  # none, but their making has a gradient: zero
                embeddings = embeddings + image_features.sum().to(embeddings.dtype)
            return embeddings, expanded
        feature_rows = expanded.feature_rows.flatten()
        at_image = (feature_rows >= 0).nonzero().squeeze(1)
        order = send(feature_rows.index_select(0, at_image), device)
        tokens = image_features.flatten(0, 1).index_select(0, order).to(embeddings.dtype)
        tokens = tokens * self.model.embed_tokens.embed_scale.to(embeddings.dtype)
        # by index: the backward pass of a masked scatter would read a size back from the GPU
        merged = embeddings.flatten(0, 1).index_copy(0, send(at_image, device), tokens)
        return merged.view_as(embeddings), expanded

    def _no_image_features(self, device: torch.device) -> torch.Tensor:
        """The tokens of no image, [0, tokens per image, width], made of a black one."""
        sides = (self.config.vision_config.image_size, self.config.image_size_aux)
        return self.get_image_features(*(torch.zeros(1, 3, side, side, device=device) for side in sides))[:0]

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        images: torch.Tensor | None = None,
        images_aux: torch.Tensor | None = None,
        image_features: torch.Tensor | None = None,
        num_items_in_batch: int | torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Predict the next tokens; with ``labels``, also the loss.

        Args:
            input_ids: [rows, tokens], with -200 for an image.
            attention_mask: [rows, tokens], false at padding, on either side.
            position_ids: positions of ``inputs_embeds``, for generation.
            past_key_values: keys and values of earlier tokens, for generation; ``input_ids`` then hold no image.
            inputs_embeds: embeddings with the images in place, instead of ``input_ids``.
            labels: like ``input_ids`` (or ``inputs_embeds``, if those are given); -100 where a token is not supervised.
            images: [images, 3, S, S], in the order of their places in the batch.
            images_aux: [images, 3, A, A], the same at high resolution.
            image_features: what :meth:`get_image_features` gives, instead of ``images`` and ``images_aux``.
            num_items_in_batch: what the summed loss is divided by; by default the supervised tokens here. It lets the
                micro-batches of one optimizer step add up to a mean over all its supervised tokens.
            use_cache: return keys and values; by default outside training.
            logits_to_keep: make logits for this many last positions only; 0: for all.
            **kwargs: passed to Gemma (``output_hidden_states``, packed rows' boundaries, ...).

        Returns:
            ``loss`` and ``logits`` [rows, tokens with the images', vocabulary], right-padded. In training with labels
            ``logits`` is None: the whole of them never exists.
        """
        if inputs_embeds is None and past_key_values is not None and past_key_values.get_seq_length():
            inputs_embeds = self.model.embed_tokens(input_ids)
        elif inputs_embeds is None:
            inputs_embeds, expanded = self.merge_inputs(
                input_ids, attention_mask, labels, images, images_aux, image_features
            )
            attention_mask, labels = send(expanded.attention_mask, inputs_embeds.device), expanded.labels
        outputs = self.model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=not self.training if use_cache is None else use_cache,
            **kwargs,
        )
        hidden = outputs.last_hidden_state
        loss = None
        if labels is not None:
            if num_items_in_batch is None:
                num_items_in_batch = (labels[:, 1:] != IGNORED).sum().clamp(min=1)
            loss = summed_cross_entropy(hidden, labels, self.lm_head) / num_items_in_batch
        in_training = self.training and labels is not None
        return CausalLMOutputWithPast(
            loss=loss,
            logits=None if in_training else self.lm_head(hidden[:, -logits_to_keep:]),
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    @torch.no_grad()
    def generate(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        images: torch.Tensor | None = None,
        images_aux: torch.Tensor | None = None,
        image_features: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Continue the prompts.

        Args:
            input_ids: [rows, tokens], with -200 for an image, padded on either side.
            attention_mask: [rows, tokens], false at padding.
            images: as for :meth:`forward`.
            images_aux: as for :meth:`forward`.
            image_features: as for :meth:`forward`.
            **kwargs: passed to ``GenerationMixin.generate`` (``max_new_tokens``, ``do_sample``, ...).

        Returns:
            The new tokens only, [rows, new tokens], padded on the right after the end of an answer.
        """
        inputs_embeds, expanded = self.merge_inputs(
            input_ids, attention_mask, None, images, images_aux, image_features, padding_side="left"
        )
        attention_mask = send(expanded.attention_mask.long(), inputs_embeds.device)
        return super().generate(inputs_embeds=inputs_embeds, attention_mask=attention_mask, **kwargs)


AutoConfig.register("mgm", MgmConfig)
AutoModelForImageTextToText.register(MgmConfig, MgmForConditionalGeneration)
