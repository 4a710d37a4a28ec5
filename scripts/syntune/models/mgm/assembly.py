"""A whole MGM, put together from tensors under our names and written as one checkpoint."""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from syntune.errors import UserError
from syntune.models.mgm.configuration_mgm import MgmConfig
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.processing_mgm import MgmProcessor
from syntune.models.weights import Tensors, check_tensors, write_weights

EMBEDDING, OUTPUT = "model.embed_tokens.weight", "lm_head.weight"


@dataclass(frozen=True)
class Assembly:
    """What an MGM consists of.

    Attributes:
        config: its sizes.
        tensors: its weights by our names, of any type.
        tokenizer: Gemma's.
        origin: the file or folder to name where a tensor does not fit.
    """

    config: MgmConfig
    tensors: Tensors
    tokenizer: PreTrainedTokenizerFast
    origin: Path

    @property
    def dtype(self) -> torch.dtype:
        """The type of the language model's weights."""
        return self.tensors[EMBEDDING].dtype


def write_assembly(assembly: Assembly, folder: Path, dtype: torch.dtype) -> None:
    """Write a checkpoint in this project's layout, every tensor accounted for.

    Raises:
        UserError: a tensor is missing, unexpected or of another shape, the output layer is not the embedding, or the
            tokenizer is not the model's.
    """
    with torch.device("meta"):
        model = MgmForConditionalGeneration(assembly.config)
    tensors = without_output(assembly.tensors, assembly.origin)
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items() if name != OUTPUT}
    check_tensors(assembly.origin, tensors, wanted)
    processor = MgmProcessor.for_config(assembly.config, assembly.tokenizer)
    assembly.config.architectures = [type(model).__name__]
    assembly.config.dtype = dtype
    assembly.config.save_pretrained(folder)
    if model.can_generate():
        model.generation_config.save_pretrained(folder)
    write_weights(folder, {name: tensors[name] for name in wanted}, dtype)
    processor.save_pretrained(folder)


def without_output(tensors: Tensors, origin: Path) -> Tensors:
    """``tensors`` without the output layer, which must be the embedding."""
    output = tensors.get(OUTPUT)
    if output is not None and EMBEDDING in tensors and not torch.equal(output, tensors[EMBEDDING]):
        raise UserError(f"{origin}: {OUTPUT} differs from {EMBEDDING}; in Gemma they are one, so it is not a Gemma")
    return {name: tensor for name, tensor in tensors.items() if name != OUTPUT}
