"""From conversations and images to MGM's inputs, in Gemma's chat form."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from syntune.artifacts.shards import IMAGE_MARK
from syntune.errors import UserError, one_line
from syntune.files import read_json, write_json
from syntune.models.cross_entropy import IGNORED
from syntune.models.family import EncodedText
from syntune.models.mgm.configuration_mgm import MgmConfig
from syntune.models.mgm.expansion import IMAGE_TOKEN
from syntune.models.mgm.image_processing_mgm import MgmImageProcessor
from syntune.models.mgm.tokenizer import SPECIAL_IDS, TURN_END, TURN_START, read_tokenizer

PROCESSOR_FILE, IMAGE_PROCESSOR_FILE = "processor_config.json", "preprocessor_config.json"


class MgmProcessor:
    """Tokenizer and image processor together.

    A conversation is one <bos> and, for each pair of turns,

        <start_of_turn>user\\n{question}<end_of_turn>\\n<start_of_turn>model\\n{answer}<end_of_turn>\\n<eos>

    of which answer, <end_of_turn>, the line break and <eos> are supervised. The control tokens are put in by id: a
    message that spells one out, or an answer that spells <image> out, is read as text.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        image_processor: MgmImageProcessor,
        tokens_per_image: int,
        max_length: int = 2048,
    ) -> None:
        """Join the parts.

        Args:
            tokenizer: with the four special ids of Gemma, and <start_of_turn> and <end_of_turn> as single tokens.
            image_processor: makes the two tensors of an image.
            tokens_per_image: how many tokens an image takes in the sequence.
            max_length: longest conversation, in tokens, each image counted with all its tokens.

        Raises:
            UserError: the tokenizer's special tokens are not the model's.
        """
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.tokens_per_image = tokens_per_image
        self.max_length = max_length
        for token, expected in SPECIAL_IDS.items():
            if self._token_id(token) != expected:
                raise UserError(f"tokenizer: {token} must have id {expected}, but has {self._token_id(token)}")
        self._turn_start, self._turn_end = self._token_id(TURN_START), self._token_id(TURN_END)

    @classmethod
    def for_config(cls, config: MgmConfig, tokenizer: PreTrainedTokenizerFast) -> "MgmProcessor":
        """The processor that fits a model."""
        if len(tokenizer) > config.text_config.vocab_size:
            raise UserError(
                f"tokenizer: {len(tokenizer)} tokens do not fit the model's vocabulary of "
                f"{config.text_config.vocab_size}"
            )
        images = MgmImageProcessor(config.vision_config.image_size, config.image_size_aux, config.image_aspect_ratio)
        return cls(tokenizer, images, config.tokens_per_image, config.tokenizer_model_max_length)

    def encode_text(self, messages: list[dict[str, str]]) -> EncodedText:
        """A training row's text, in which each image has one place.

        ``<image>`` in a question is moved to the question's front, on a line of its own. A first message of the
        assistant's is left out. The row is cut so that it takes ``max_length`` tokens at most with its images' tokens.

        Args:
            messages: ``{"role": "user" or "assistant", "content": text}``, in turn.

        Raises:
            UserError: the turns do not alternate.
        """
        ids, labels = [SPECIAL_IDS["<bos>"]], [IGNORED]
        opening, end = len(self._text("model\n")), [self._turn_end, *self._text("\n"), SPECIAL_IDS["<eos>"]]
        for question, answer in _rounds(messages):
            asked, answered = self._question(question), self._text(f"model\n{answer}")
            ids += [*asked, *answered, *end]
            # counted, as the reference does: an answer's leading line break merges with the template's into one token
            labels += [*[IGNORED] * (len(asked) + opening), *answered[opening:], *end]
        kept = self._fitting(ids)
        return EncodedText(ids[:kept], labels[:kept], ids.count(IMAGE_TOKEN), self._length(ids))

    def encode_conversation(self, messages: list[dict[str, str]], images: list[Image.Image]) -> dict[str, torch.Tensor]:
        """A training row: :meth:`encode_text` and :meth:`add_images`."""
        return self.add_images(self.encode_text(messages), images)

    def add_images(self, text: EncodedText, images: list[Image.Image]) -> dict[str, torch.Tensor]:
        """A training row of a text and its images.

        Args:
            text: as :meth:`encode_text` gives it.
            images: one for each ``<image>``, in their order.

        Returns:
            ``input_ids`` [L] with -200 for an image, ``labels`` [L] with -100 where nothing is supervised (everywhere,
            if the cut leaves no answer), ``images`` [n, 3, S, S] and ``images_aux`` [n, 3, A, A].

        Raises:
            UserError: marks and images differ in number.
        """
        if text.images != len(images):
            raise UserError(f"{text.images} {IMAGE_MARK} marks, but {len(images)} images")
        return {
            "input_ids": torch.tensor(text.ids),
            "labels": torch.tensor(text.labels),
            **self.image_processor(images[: text.ids.count(IMAGE_TOKEN)]),
        }

    def encode_prompt(
        self, question: str, images: list[Image.Image], like: dict[str, torch.Tensor] | None = None
    ) -> dict[str, torch.Tensor]:
        """A question to be answered.

        Args:
            question: the user's turn; its images stand at the front, whether it holds ``<image>`` or not.
            images: the question's images.
            like: what this gave for another question about the same images, whose tensors are taken.

        Returns:
            ``input_ids`` [L], ``images`` and ``images_aux``, as :meth:`encode_conversation`.

        Raises:
            UserError: marks and images differ in number, or the prompt is longer than ``max_length``.
        """
        if IMAGE_MARK in question:
            question = _images_first(question)
        elif images:
            question = f"{IMAGE_MARK * len(images)}\n{question}"
        ids = [SPECIAL_IDS["<bos>"], *self._question(question), *self._text("model\n")]
        if self._fitting(ids) < len(ids):
            raise UserError(f"the prompt is longer than {self.max_length} tokens: {question[:60]!r}...")
        if ids.count(IMAGE_TOKEN) != len(images):
            raise UserError(f"{ids.count(IMAGE_TOKEN)} {IMAGE_MARK} marks, but {len(images)} images")
        pixels = self.image_processor(images) if like is None else like
        return {**pixels, "input_ids": torch.tensor(ids)}

    def collate(self, rows: list[dict[str, torch.Tensor]], padding_side: str = "right") -> dict[str, torch.Tensor]:
        """A batch of encoded rows.

        Args:
            rows: as :meth:`encode_conversation` or :meth:`encode_prompt` give them.
            padding_side: "right" for training, "left" for generation.

        Returns:
            ``input_ids``, ``attention_mask`` and, if the rows have them, ``labels`` [rows, tokens]; ``images`` and
            ``images_aux`` of all rows, one after another.
        """
        lengths = [torch.ones(len(row["input_ids"]), dtype=torch.long) for row in rows]
        batch = {
            "input_ids": _pad([row["input_ids"] for row in rows], SPECIAL_IDS["<pad>"], padding_side),
            "attention_mask": _pad(lengths, 0, padding_side),
            "images": torch.cat([row["images"] for row in rows]),
            "images_aux": torch.cat([row["images_aux"] for row in rows]),
        }
        if "labels" in rows[0]:
            batch["labels"] = _pad([row["labels"] for row in rows], IGNORED, padding_side)
        return batch

    def decode(self, ids: torch.Tensor | list[int]) -> str:
        """The text of generated ``ids``, without control tokens and outer white space."""
        control = {*SPECIAL_IDS.values(), self._turn_start, self._turn_end}
        return self.tokenizer.decode([int(token) for token in ids if int(token) not in control]).strip()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the tokenizer, the image processor and this processor's own settings."""
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)
        own = {"tokens_per_image": self.tokens_per_image, "max_length": self.max_length}
        write_json(Path(folder) / PROCESSOR_FILE, {"processor_class": type(self).__name__, **own})

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "MgmProcessor":
        """Read what :meth:`save_pretrained` wrote.

        Raises:
            UserError: a file is missing or damaged.
        """
        folder = Path(folder)
        own = _read_sizes(folder / PROCESSOR_FILE, "tokens_per_image", "max_length")
        _read_sizes(folder / IMAGE_PROCESSOR_FILE, "image_size", "image_size_aux")
        return cls(
            read_tokenizer(folder),
            MgmImageProcessor.from_pretrained(folder, local_files_only=True),
            own["tokens_per_image"],
            own["max_length"],
        )

    def _token_id(self, token: str) -> int:
        """The id of a token that must be in the vocabulary."""
        found = self.tokenizer.get_vocab().get(token)
        if found is None:
            raise UserError(f"tokenizer: {token} is not a token of it, but the chat form needs it")
        return found

    def _text(self, text: str) -> list[int]:
        """The ids of ``text``, in which control tokens are text."""
        return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    def _question(self, question: str) -> list[int]:
        """The ids of a user's turn and of what opens the answer's."""
        ids = [self._turn_start]
        for index, part in enumerate(f"user\n{question}".split(IMAGE_MARK)):
            ids += [IMAGE_TOKEN] * (index > 0) + self._text(part)
        return [*ids, self._turn_end, *self._text("\n"), self._turn_start]

    def _fitting(self, ids: list[int]) -> int:
        """How many of ``ids`` begin within ``max_length`` tokens, images counted with all of theirs."""
        taken = 0
        for index, token in enumerate(ids):
            if taken >= self.max_length:
                return index
            taken += self.tokens_per_image if token == IMAGE_TOKEN else 1
        return len(ids)

    def _length(self, ids: list[int]) -> int:
        """Tokens of ``ids`` with all of the images'."""
        return len(ids) + ids.count(IMAGE_TOKEN) * (self.tokens_per_image - 1)


def _read_sizes(path: Path, *keys: str) -> dict[str, Any]:
    """A processor's file of settings, in which ``keys`` are whole numbers above 0."""
    advice = "copy it from the folder that the checkpoint came from"
    try:
        fields = read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({one_line(error, 120)}); {advice}") from error
    for key in keys:
        value = fields.get(key) if isinstance(fields, dict) else None
        if type(value) is not int or value < 1:
            raise UserError(f"{path}: {key}: must be a whole number above 0, but is {value!r}; {advice}")
    return fields


def _rounds(messages: list[dict[str, str]]) -> list[tuple[str, str]]:
    """Pairs of question and answer."""
    if messages and messages[0]["role"] == "assistant":
        messages = messages[1:]
    if not messages or len(messages) % 2:
        raise UserError("a conversation needs pairs of a user's and an assistant's message")
    for index, message in enumerate(messages):
        expected = ("user", "assistant")[index % 2]
        if message["role"] != expected:
            raise UserError(f"message {index}: role {message['role']!r} where {expected!r} should be")
    contents = [message["content"] for message in messages]
    return [(_images_first(question), answer) for question, answer in zip(contents[::2], contents[1::2], strict=True)]


def _images_first(content: str) -> str:
    """Move the image marks to the front, on a line of their own."""
    marks = content.count(IMAGE_MARK)
    if not marks:
        return content
    return f"{IMAGE_MARK * marks}\n{content.replace(IMAGE_MARK, '').strip()}".strip()


def _pad(columns: list[Any], value: int, padding_side: str) -> torch.Tensor:
    """Stack sequences of different lengths."""
    return pad_sequence(columns, batch_first=True, padding_value=value, padding_side=padding_side)
