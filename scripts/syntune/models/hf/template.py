"""A processor's chat template, with what stands before an answer the same in a prompt and in a row to train on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from transformers import ProcessorMixin

from syntune.models.hf.messages import Message

_QUESTION, _ANSWER = "Question", "Probe"


@dataclass(frozen=True)
class Openings:
    """What a template writes between a question and an answer.

    Attributes:
        asked: all before it.
        written: in a chat that holds the answer.
        opened: in a prompt for an answer.
    """

    asked: str = ""
    written: str = ""
    opened: str = ""

    @property
    def differ_in_words(self) -> bool:
        """Whether one has words that the other has not: a prompt that opens a thought, a chat without any."""
        return self.written.split() != self.opened.split()


class Template:
    """Renders chats as text, in which an image is one token.

    A prompt's tokens must begin those of the row that answers it. Some templates write an answer otherwise than they
    open one. Where the two differ in words, a prompt gets the words of a written answer: no thoughts are trained, and
    so a prompt must not ask for any. Where they differ in spaces (LLaVA-OneVision), a written answer gets those of the
    prompt, which the model knows.
    """

    def __init__(self, processor: ProcessorMixin) -> None:
        self._processor = processor
        self._tokenizer = processor.tokenizer

    def text(self, chat: Sequence[Message], opens_answer: bool) -> str:
        """A chat as text; ``opens_answer`` adds what stands before an answer."""
        text = self._render(chat, opens_answer)
        if self.openings.differ_in_words:
            # a last space is not a token of its own once a word follows
            return text.removesuffix(self.openings.opened) + self.openings.written.rstrip(" ") if opens_answer else text
        return text.replace(self.openings.written, self.openings.opened) if self._differ_in_spaces else text

    def ids(self, text: str) -> list[int]:
        """The tokens of a text."""
        # as the processor does it: a template that writes the first token needs none of the tokenizer's
        begun = self._tokenizer.bos_token is not None and text.startswith(self._tokenizer.bos_token)
        return self._tokenizer(text, add_special_tokens=not begun)["input_ids"]

    @cached_property
    def openings(self) -> Openings:
        """What stands before an answer, found by rendering one; nothing where the template rewrites the question."""
        chat = [
            {"role": role, "content": [{"type": "text", "text": text}]}
            for role, text in (("user", _QUESTION), ("assistant", _ANSWER))
        ]
        asked, opened = self._render(chat[:1], False), self._render(chat[:1], True)
        written, answer, _ = self._render(chat, False).partition(_ANSWER)
        if not (answer and opened.startswith(asked) and written.startswith(asked)):
            return Openings()
        return Openings(asked, written.removeprefix(asked), opened.removeprefix(asked))

    @cached_property
    def _differ_in_spaces(self) -> bool:
        """Whether the tokens of a prompt do not begin those of its answer, though the words do."""
        found = self.openings
        opened, written = self.ids(found.asked + found.opened), self.ids(found.asked + found.written + _ANSWER)
        return opened != written[: len(opened)]

    def _render(self, chat: Sequence[Message], opens_answer: bool) -> str:
        """What the template itself makes of a chat."""
        return self._processor.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=opens_answer)
