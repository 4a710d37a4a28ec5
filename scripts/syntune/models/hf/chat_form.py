"""Conversations in the form of a processor's chat template."""

from collections.abc import Sequence

from transformers import BatchFeature, ProcessorMixin

from syntune.errors import UserError
from syntune.models.hf.messages import Message, images_of
from syntune.models.hf.template import Template


class ChatForm:
    """Renders chats by the template, and finds the answers in them.

    Where an answer begins and ends is found by rendering the chat up to there: the shorter chat's tokens must begin the
    longer one's. That is done on text, in which an image is one token; the images themselves are processed once.
    """

    def __init__(self, processor: ProcessorMixin) -> None:
        self._processor = processor
        self._tokenizer = processor.tokenizer
        self._template = Template(processor)
        template = processor.chat_template
        written = template if isinstance(template, str) else template["default"]
        self.control_tokens = {
            token.content
            for token in self._tokenizer.added_tokens_decoder.values()
            if token.special or (token.content.strip() and token.content in written)
        }

    def inputs(self, chat: Sequence[Message], opens_answer: bool) -> BatchFeature:
        """The model's inputs for one chat, a batch of one; ``opens_answer`` adds what stands before an answer."""
        return self._processor.apply_chat_template(
            list(chat),
            chat_template="{{ rendered }}",
            rendered=self._template.text(chat, opens_answer),
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )

    def answers(self, chat: Sequence[Message], inputs: BatchFeature) -> list[tuple[int, int]]:
        """Where the answers are in ``inputs(chat)``: from their first token, past their last.

        An answer runs up to the next question, so what the template ends it with belongs to it. Images move the answers
        behind them: by all that they take, if all stand before; else to where the answer is found in the tokens,
        with the template's words before it.

        Raises:
            UserError: the template changes earlier turns when later ones follow, so that no place can be told.
        """
        ids, text = inputs["input_ids"][0].tolist(), self._text_ids(chat, opens_answer=False)
        images, growth, found = len(images_of(chat)), 0, []
        for index in range(1, len(chat), 2):
            asked = _shared(self._text_ids(chat[:index], opens_answer=False), text)
            opened = self._text_ids(chat[:index], opens_answer=True)
            answered = self._text_ids(chat[: index + 1], opens_answer=False)
            start, end = _shared(opened, text), _shared(answered, text)
            before = len(images_of(chat[:index]))
            if before == images:
                growth = len(ids) - len(text)
            elif before:
                growth = _moved(text[asked:end], ids, asked, at_least=growth)
            # a template's last space becomes one token with the next turn's first word: it stays out of the answer
            lost = self._tokenizer.decode(answered[end:]).strip()
            moved = ids[start + growth : end + growth]
            if start < len(opened) or start >= end or lost or moved != text[start:end]:
                raise UserError(
                    f"message {index} ({chat[index]['content'][0]['text'][:40]!r}): where it begins and ends cannot be "
                    f"told, as the chat template {self._fault(chat)}"
                )
            found.append((start + growth, end + growth))
        return found

    def _text_ids(self, chat: Sequence[Message], opens_answer: bool) -> list[int]:
        """The tokens of the rendered text, in which an image is one token."""
        return self._template.ids(self._template.text(chat, opens_answer))

    def _fault(self, chat: Sequence[Message]) -> str:
        """What a template does that a chat cannot be followed through, and what to do about it."""
        if len(chat) > 2:
            return "writes turns differently when others follow; give rows of one question"
        found = self._template.openings
        if found.asked:
            return (
                f"writes {found.written!r} before it and {found.opened!r} in a prompt; make them alike in the template"
            )
        return "writes a question differently when its answer follows; mend the template"


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences begin with in common."""
    pairs = zip(first, second, strict=False)
    return next((index for index, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))


def _moved(part: Sequence[int], ids: Sequence[int], place: int, at_least: int) -> int:
    """How far behind ``place`` the tokens ``part`` are in ``ids``; ``at_least`` if they are not there."""
    shifts = range(at_least, len(ids) - place - len(part) + 1)
    return next((shift for shift in shifts if ids[place + shift : place + shift + len(part)] == part), at_least)
