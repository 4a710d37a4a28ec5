"""What training and prediction need of a model, whichever family it is of."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from torch import nn

Row = dict[str, torch.Tensor]
"""An encoded conversation or prompt: ``input_ids`` [L], ``labels`` [L] for training, and the images' tensors."""


@dataclass(frozen=True)
class EncodedText:
    """A training row before its images are decoded.

    Attributes:
        ids: the row's ids, cut, one for each image; empty if it was only measured.
        labels: of the cut row; -100 where nothing is supervised.
        images: images of the uncut row.
        length: tokens of the uncut row, images' tokens included.
    """

    ids: list[int]
    labels: list[int]
    images: int
    length: int


@dataclass(frozen=True)
class Generated:
    """A greedy answer.

    Attributes:
        ids: its tokens, up to and without the end token.
        near_tie: whether rounding may have decided a choice, the end's among them.
    """

    ids: list[int]
    near_tie: bool


class Processor(Protocol):
    """From conversations and images to a model's inputs, and back to text."""

    def encode_conversation(self, messages: list[dict[str, str]], images: list[Image.Image]) -> Row:
        """A training row; a row that is too long is cut, labels are -100 where nothing is supervised."""

    def encode_prompt(self, question: str, images: list[Image.Image], like: Row | None = None) -> Row:
        """A question to be answered; ``like`` is another one about the same images, whose tensors may be taken."""

    def encode_text(self, messages: list[dict[str, str]]) -> EncodedText | None:
        """A training row without its images' tensors; None where its tokens depend on the images themselves."""

    def add_images(self, text: EncodedText, images: list[Image.Image]) -> Row:
        """The training row of a text that :meth:`encode_text` gave."""

    def measure_conversation(self, messages: list[dict[str, str]], images: list[Image.Image]) -> EncodedText:
        """Where :meth:`encode_text` gives None: the row's labels and uncut length, without ids."""

    def collate(self, rows: list[Row], padding_side: str = "right") -> Row:
        """A batch of rows."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of generated ids, without control tokens and outer white space."""

    def save_pretrained(self, folder: str | Path) -> None:
        """Write what :meth:`Family.load_processor` reads."""


class Family(Protocol):
    """A family of models: how it is loaded, adapted, fed and asked."""

    name: str
    lora_targets: str
    """Regular expression for PEFT's ``target_modules``: linears of the language model alone."""

    kept_on_cpu: tuple[str, ...]
    """The tensors of a training batch that the model reads on the CPU, also where it trains on a GPU."""

    records_towers: bool
    """Whether :meth:`compile_vision` records the towers, whose parameters must then stay where they are."""

    packs_rows: bool
    """Whether the rows of a training batch are put end to end; else they are padded to the longest."""

    peft_loads: bool
    """Whether plain transformers and PEFT load such a model and an adapter on it, which then holds the connector."""

    def load_model(self, folder: Path, dtype: torch.dtype) -> Any:
        """The model of a full checkpoint, every tensor accounted for."""

    def load_processor(self, folder: Path) -> Processor:
        """The processor beside a full checkpoint."""

    def write_full(self, model: Any, processor: Processor, folder: Path, origin: Path) -> None:
        """Write a full checkpoint in the model's own type, as :meth:`load_model` and :meth:`load_processor` read it.

        Args:
            model: whole, not wrapped.
            processor: of the model.
            folder: an existing folder.
            origin: the folder to name where something does not fit.

        Raises:
            UserError: the model is none that the family could load again.
        """

    def connector(self, model: nn.Module) -> list[nn.Module]:
        """The modules between the vision towers and the language model."""

    def towers(self, model: nn.Module) -> list[nn.Module]:
        """The vision towers."""

    def saved_name(self, name: str) -> str:
        """What the tensor ``name`` is called in ``non_lora_trainables.safetensors``."""

    def own_name(self, saved: str) -> str:
        """The inverse of :meth:`saved_name`."""

    def needs_connector(self, folder: Path) -> bool:
        """Whether an adapter's folder must hold the connector, as what wrote it always trains that, too."""

    def use_attention(self, model: Any, attention: str, device: torch.device, dtype: torch.dtype) -> str:
        """Choose the attention for training ("auto" or a name) and pack rows where the family can; returns its name."""

    def compile_vision(self, model: Any) -> None:
        """Compile the frozen vision part, on a GPU and where the family can."""

    def encode_without_images(self, model: Any, ranks: int) -> None:
        """Under DeepSpeed, let a training batch of text alone run the vision part too, on an image that goes nowhere.

        Ranks that share parameters (ZeRO-3) wait for each other in every module, so all must call the same ones; and
        DeepSpeed lets go of a layer too early whose input needs no gradient.
        """

    def without_dropout(self, model: nn.Module) -> None:
        """Let a model that trains, wrapped or not, compute :meth:`training_loss` without dropout and else as it does.

        ``model.train()`` takes it back.
        """

    def training_loss(self, model: nn.Module, batch: Row, supervised: int) -> torch.Tensor:
        """Cross-entropy summed over the batch's supervised tokens, divided by ``supervised``, those of the whole step.

        ``model`` may be wrapped (PEFT, DeepSpeed, DDP): only its forward is called.
        """

    def encode_images(self, model: nn.Module, rows: list[Row]) -> list[torch.Tensor | None]:
        """Features of each row's images, to be kept and given to :meth:`generate`; None where there are none."""

    def generate(
        self,
        model: Any,
        processor: Processor,
        rows: list[Row],
        features: list[torch.Tensor | None],
        max_new_tokens: int,
        at_once: int,
    ) -> list[Generated]:
        """Greedy answers to at most ``at_once`` prompts.

        Where a family can, an answer depends on ``at_once`` but on no other prompt, in any arithmetic.
        """
