"""From conversations and images to the inputs of any model, by its own processor."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import BatchFeature, GenerationConfig, PreTrainedConfig

from syntune.artifacts.shards import IMAGE_MARK
from syntune.errors import UserError, one_line
from syntune.models.cross_entropy import IGNORED
from syntune.models.family import EncodedText, Row
from syntune.models.hf.chat_form import ChatForm
from syntune.models.hf.loading import load_processor
from syntune.models.hf.messages import Message, as_chat, images_of
from syntune.models.hf.prefix_form import PrefixForm, takes_suffix

PROCESSOR_FILES = ("*.json", "*.jinja", "*.txt", "*.model", "additional_chat_templates")
MODEL_FILES = ("config.json", "generation_config.json", "*.index.json", "adapter_config.json")
"""Files of these names are the model's, not the processor's."""


class HfProcessor:
    """A processor of transformers', with labels.

    A row's tensors are the processor's, whatever they are: those with a value for each token lose the dimension of the
    batch of one, the others belong to the images and keep theirs.
    """

    def __init__(self, folder: Path, config: PreTrainedConfig) -> None:
        """Load the processor of a checkpoint.

        Args:
            folder: the checkpoint.
            config: its config.

        Raises:
            UserError: the processor cannot be loaded, or has no chat template.
        """
        self._folder, self._config = folder, config
        self._processor = load_processor(folder)
        self.tokenizer = self._processor.tokenizer
        self._processor.chat_template = self._processor.chat_template or self.tokenizer.chat_template
        if takes_suffix(self._processor):
            self._form = PrefixForm(self._processor)
        elif self._processor.chat_template:
            self._form = ChatForm(self._processor)
        else:
            raise UserError(f"{folder}: its processor has no chat template; put one beside it as chat_template.jinja")
        self.end_ids = _end_ids(folder, config, self.tokenizer.eos_token_id)
        self.pad_id = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else self.end_ids[0]
        longest = getattr(config.get_text_config(), "max_position_embeddings", None)
        self.max_length = min(longest or self.tokenizer.model_max_length, self.tokenizer.model_max_length)

    def __reduce__(self) -> tuple:
        """Another process loads it anew: its class may have been made here, without a video part."""
        return _loaded, (self._folder, self._config, self.max_length)

    def encode_conversation(self, messages: Sequence[dict[str, str]], images: Sequence[Image.Image]) -> Row:
        """A training row.

        Answers are supervised with what the template ends them with; where that is no end token, one follows the last
        answer. A row that takes more than ``max_length`` tokens is cut. Images are never cut: where the last of them,
        with its question, does not fit, nothing is supervised.

        Args:
            messages: ``{"role": "user" or "assistant", "content": text}``, in turn; ``<image>`` stands for an image.
            images: one for each ``<image>``, in their order.

        Returns:
            ``input_ids`` and ``labels`` [L], with -100 where nothing is supervised, and the processor's other tensors.

        Raises:
            UserError: the turns do not alternate, marks and images differ in number, or the form cannot hold the row.
        """
        return self._cut(*self._labelled(messages, images))

    def encode_prompt(self, question: str, images: Sequence[Image.Image], like: Row | None = None) -> Row:
        """A question to be answered.

        Args:
            question: the user's turn; without ``<image>`` in it, its images stand at the front.
            images: the question's images.
            like: not used: text and images go through such a processor together.

        Returns:
            ``input_ids`` [L] and the processor's other tensors, as :meth:`encode_conversation`.

        Raises:
            UserError: marks and images differ in number, or the prompt is longer than ``max_length``.
        """
        if IMAGE_MARK not in question:
            question = IMAGE_MARK * len(images) + question
        row = _row(self._inputs(self._chat([{"role": "user", "content": question}], images), opens_answer=True))
        row.pop("labels", None)
        if len(row["input_ids"]) > self.max_length:
            raise UserError(f"the prompt is longer than {self.max_length} tokens: {question[:60]!r}...")
        return row

    def encode_text(self, messages: Sequence[dict[str, str]]) -> None:
        """None: how many tokens an image takes is known when the processor has seen it, and not before."""

    def add_images(self, text: EncodedText, images: Sequence[Image.Image]) -> Row:
        """Never reached: there is no text without images here."""
        raise NotImplementedError

    def measure_conversation(self, messages: Sequence[dict[str, str]], images: Sequence[Image.Image]) -> EncodedText:
        """A training row's labels and uncut length, without ids; the processor has to see the images for it."""
        uncut, needed = self._labelled(messages, images)
        length = len(uncut["input_ids"])
        return EncodedText([], self._cut(uncut, needed)["labels"].tolist(), len(images), length)

    def collate(self, rows: Sequence[Row], padding_side: str = "right") -> Row:
        """A batch of encoded rows.

        Args:
            rows: as :meth:`encode_conversation` or :meth:`encode_prompt` give them, with images or without.
            padding_side: "right" for training, "left" for generation.

        Returns:
            [rows, tokens] for what has a value for each token; the images' tensors of all rows one after another,
            those of different sizes padded with zeros.
        """
        padding = {"input_ids": self.pad_id, "labels": IGNORED}
        batch = {}
        for name in dict.fromkeys(name for row in rows for name in row):
            having = [row for row in rows if name in row]
            if not _is_sequence(having[0], name):
                batch[name] = _stack([row[name] for row in having])
                continue
            # what only rows with images say of their tokens is zero for the others
            columns = [row[name] if name in row else torch.zeros_like(row["input_ids"]) for row in rows]
            batch[name] = pad_sequence(columns, True, padding.get(name, 0), padding_side)
        return batch

    def decode(self, ids: Iterable[int]) -> str:
        """The text of generated ``ids``, without control tokens and outer white space."""
        return self.tokenizer.decode([int(token) for token in ids], skip_special_tokens=True).strip()

    def save_pretrained(self, folder: str | Path) -> None:
        """Copy the processor's files, as they are."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in PROCESSOR_FILES:
            for file in self._folder.glob(pattern):
                if file.is_dir():
                    shutil.copytree(file, folder / file.name, dirs_exist_ok=True)
                elif not any(file.match(name) for name in MODEL_FILES):
                    shutil.copyfile(file, folder / file.name)

    def _labelled(self, messages: Sequence[dict[str, str]], images: Sequence[Image.Image]) -> tuple[Row, int]:
        """An uncut row, and how many of its tokens the last image with its question needs."""
        chat = self._chat(messages, images)
        if not chat or len(chat) % 2:
            raise UserError("a conversation needs pairs of a user's and an assistant's message")
        inputs = self._inputs(chat, opens_answer=False)
        row, answers = _row(inputs), self._form.answers(chat, inputs)
        row["labels"] = torch.full_like(row["input_ids"], IGNORED)
        for start, end in answers:
            row["labels"][start:end] = row["input_ids"][start:end]
        if not torch.isin(row["labels"][answers[-1][0] :], torch.tensor(self.end_ids)).any():
            row = _append(row, self.end_ids[0])
        with_images = [index // 2 for index in range(0, len(chat), 2) if images_of(chat[index : index + 1])]
        return row, answers[with_images[-1]][0] if with_images else 0

    def _cut(self, row: Row, needed: int) -> Row:
        """``row`` within ``max_length``; unsupervised where its images, which need ``needed`` tokens, do not fit."""
        if needed > self.max_length:
            return row | {"labels": torch.full_like(row["labels"], IGNORED)}
        return {name: values[: self.max_length] if _is_sequence(row, name) else values for name, values in row.items()}

    def _chat(self, messages: Sequence[dict[str, str]], images: Sequence[Image.Image]) -> list[Message]:
        """The messages with their images."""
        return as_chat(messages, images, self._form.control_tokens)

    def _inputs(self, chat: Sequence[Message], opens_answer: bool) -> BatchFeature:
        """What the processor makes of a chat; what it refuses is the row's mistake."""
        try:
            return self._form.inputs(chat, opens_answer)
        except UserError:
            raise
        # templates raise Jinja's errors, processors many kinds
        except Exception as error:
            raise UserError(f"the model's processor refuses it ({one_line(error)})") from error


def _loaded(folder: Path, config: PreTrainedConfig, max_length: int) -> HfProcessor:
    """A processor with this ``max_length``."""
    processor = HfProcessor(folder, config)
    processor.max_length = max_length
    return processor


def _row(inputs: BatchFeature) -> Row:
    """A batch of one as a row: the tensors with a value for each token lose the batch's dimension."""
    shape = inputs["input_ids"].shape
    told = [name for name, values in inputs.items() if values.dim() > 2 and values.shape[:2] == shape]
    if told:
        raise UserError(f"this model is not supported: {told[0]} tells each token which images it sees")
    return {name: values[0] if values.shape == shape else values for name, values in inputs.items()}


def _is_sequence(row: Row, name: str) -> bool:
    """Whether a row's tensor has a value for each token."""
    return row[name].shape == row["input_ids"].shape


def _append(row: Row, end: int) -> Row:
    """``row`` with one more supervised token, of the kind of the last."""
    longer = {
        name: torch.cat([values, values[-1:]]) if _is_sequence(row, name) else values for name, values in row.items()
    }
    longer["input_ids"][-1] = longer["labels"][-1] = end
    return longer


def _stack(columns: Sequence[torch.Tensor]) -> torch.Tensor:
    """Join along the first dimension, the others padded with zeros to the largest."""
    sizes = [max(sizes) for sizes in zip(*(column.shape[1:] for column in columns), strict=True)]
    padded = []
    for column in columns:
        missing = [size - own for size, own in zip(sizes, column.shape[1:], strict=True)]
        # pad() counts dimensions from the last, a pair of before and after for each
        padded.append(functional.pad(column, [pad for size in reversed(missing) for pad in (0, size)]))
    return torch.cat(padded)


def _end_ids(folder: Path, config: PreTrainedConfig, tokenizers: int | None) -> list[int]:
    """The tokens that end an answer: of the generation config, else of the model's config, else of the tokenizer."""
    generation = folder / "generation_config.json"
    kept = [
        GenerationConfig.from_pretrained(folder).eos_token_id if generation.is_file() else None,
        getattr(config.get_text_config(), "eos_token_id", None),
        tokenizers,
    ]
    found = next((ids for ids in kept if ids is not None), None)
    if found is None:
        raise UserError(f"{folder}: neither its configs nor its tokenizer name an end token (eos_token_id)")
    return found if isinstance(found, list) else [found]
