"""Rows of tokens that go on, a few tokens at a time: greedy choices after prompts whose keys and values are there."""

import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from syntune.models.cached_attention import attention_to_cache
from syntune.models.margins import choose
from syntune.models.mgm.gemma_layers import run_layers
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.recording import Recording

_PROMPT_TOKENS = 32
"""Of each row, that a GPU takes at a time."""

_SLOTS = 128
"""The number of slots is a multiple of this, so that it seldom has to grow."""


class Continuation:
    """A batch of rows, whose keys and values lie in slots, one a position.

    On a GPU all work has a fixed shape, whichever rows there are: missing rows are made up, and prompts come in equal
    parts. So the same kernels do the same work for a row whatever stands beside it, and each shape is recorded once.
    """

    def __init__(self, model: MgmForConditionalGeneration, rows: int) -> None:
        """``rows`` is how many there are at a time: on a GPU always, elsewhere at most."""
        self.model, self.rows = model, rows
        self._device = model.lm_head.weight.device
        self._on_gpu = self._device.type == "cuda"
        self._cache: torch.Tensor | None = None  # [layers, 2, rows, slots, key heads, head size]
        self._recordings: dict[int, Recording] = {}  # by tokens of a row

    @torch.no_grad()
    def answer(
        self, prefixes: list[torch.Tensor], rests: list[torch.Tensor], max_new_tokens: int
    ) -> tuple[list[list[int]], list[bool]]:
        """Greedy choices for each row, with the end token and what follows it, and whether one was a near tie.

        Args:
            prefixes: keys and values of what stands before, [layers, 2, tokens, key heads, head size], of one length.
            rests: ids of what comes after it, on the CPU.
            max_new_tokens: most choices of a row.
        """
        given, before = len(rests), prefixes[0].shape[2]
        made_up = self.rows - given if self._on_gpu else 0
        rests = [*rests, *(rests[0][:1] for _ in range(made_up))]
        self._begin(prefixes, max(map(len, rests)))
        lengths = torch.tensor([len(rest) for rest in rests])
        ids, near_tie = self._read(rests, lengths, before)
        positions = (before + lengths).to(self._device)
        last = before + int(lengths.max())
        ended = torch.arange(len(rests), device=self._device) >= given
        end, new = self.model.config.text_config.eos_token_id, [ids]
        only = torch.zeros_like(ids)
        while len(new) < max_new_tokens:
            ended = ended | (ids == end)
            if ended.all():
                break
            ids, is_close = self._advance(ids[:, None], positions, only, last + 1)
            near_tie = near_tie | (is_close & ~ended)
            new.append(ids)
            positions, last = positions + 1, last + 1
        return torch.stack(new, dim=1)[:given].tolist(), near_tie[:given].tolist()

    def _begin(self, prefixes: list[torch.Tensor], longest: int) -> None:
        """Put the prefixes into the rows' slots, with room for the longest of the prompts and a short answer."""
        layers, _, tokens, heads, size = prefixes[0].shape
        if self._cache is None:
            self._cache = prefixes[0].new_zeros(layers, 2, self.rows, 0, heads, size)
        self._reserve(tokens + longest + 2 * _PROMPT_TOKENS)
        for row, prefix in enumerate(prefixes):
            self._cache[:, :, row, :tokens] = prefix

    def _reserve(self, slots: int) -> None:
        """See to it that there are so many slots; what is recorded reads and writes the old ones."""
        more = slots - self._cache.shape[3]
        if more > 0:
            self._recordings.clear()
            self._cache = functional.pad(self._cache, (0, 0, 0, 0, 0, more + -slots % _SLOTS))

    def _read(self, rests: list[torch.Tensor], lengths: torch.Tensor, before: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The first choice after each prompt, and whether it is a near tie, both [rows]."""
        longest = int(lengths.max())
        at_once = _PROMPT_TOKENS if self._on_gpu else longest
        padded = pad_sequence(rests, batch_first=True)
        padded = functional.pad(padded, (0, -longest % at_once))
        ids = torch.zeros_like(lengths, device=self._device)
        near_tie = ids.bool()
        for first in range(0, longest, at_once):
            lasts = lengths - 1 - first
            is_here = ((lasts >= 0) & (lasts < at_once)).to(self._device)
            chosen, is_close = self._advance(
                padded[:, first : first + at_once],
                torch.full_like(lengths, before + first),
                lasts.clamp(0, at_once - 1),
                before + first + at_once,
            )
            ids, near_tie = ids.where(~is_here, chosen), near_tie.where(~is_here, is_close)
        return ids, near_tie

    def _advance(
        self, ids: torch.Tensor, starts: torch.Tensor, lasts: torch.Tensor, slots: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """:meth:`_step` with room for so many slots, on a GPU replayed."""
        self._reserve(slots)
        if not self._on_gpu:
            return self._step(ids, starts, lasts)
        tokens = ids.shape[1]
        if tokens not in self._recordings:
            inputs = (tensor.to(self._device, copy=True) for tensor in (ids, starts, lasts))
            beside = next(iter(self._recordings.values()), None)
            self._recordings[tokens] = Recording(self._step, *inputs, beside=beside)
        chosen, is_close = self._recordings[tokens].replay(ids, starts, lasts)
        return chosen.clone(), is_close.clone()

    def _step(self, ids: torch.Tensor, starts: torch.Tensor, lasts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read tokens and choose what follows one of them.

        Args:
            ids: [rows, tokens].
            starts: position of each row's first token, [rows].
            lasts: after which of a row's tokens to choose, [rows].

        Returns:
            The choice and whether it is a near tie, both [rows].
        """
        model, every = self.model, torch.arange(len(ids), device=self._device)
        positions = starts[:, None] + torch.arange(ids.shape[1], device=self._device)
        embeddings = model.model.embed_tokens(ids)
        text, slots = model.config.text_config, self._cache.shape[3]
        group = text.num_attention_heads // text.num_key_value_heads
        over_cache = attention_to_cache(starts, ids.shape[1], slots, group, embeddings.dtype)

        def attend(layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
            keys, values = self._cache[layer, :, : len(ids)]
            keys[every[:, None], positions] = key
            values[every[:, None], positions] = value
            return over_cache(query, keys, values)

        hidden = run_layers(model.model, embeddings, positions, attend)
        return choose(model.lm_head(hidden[every, lasts]))
