"""Replies of a captioner, and what is wanted of one."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from syntune.model_operators.items import Item

CUT, EMPTY = "cut reply", "empty reply"


class Reply(NamedTuple):
    """What a captioner said to one prompt.

    Attributes:
        text: as the model wrote it.
        failure: why there is no text that can be used; None where there is.
        input_tokens: of prompt and image, as an endpoint counts them; 0 for a local model.
        output_tokens: of the reply.
        is_final: whether asking again would give the same; what an endpoint failed to do may work another time.
    """

    text: str
    failure: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    is_final: bool = True


class Captioner(Protocol):
    """Whoever writes captions."""

    def way(self) -> dict[str, object]:
        """All that a reply depends on besides prompt and image."""

    def replies(self, asked: Sequence[Item]) -> Iterator[dict[str, Reply]]:
        """Yield replies by the items' keys, some at a time; an item's text is the prompt, its one image the image.

        Raises:
            UserError: nothing can be had of it at all.
        """
