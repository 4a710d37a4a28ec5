"""Scores of items by one model, computed once for each content."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import ImageOps

from syntune.artifacts.store import Store
from syntune.errors import UserError
from syntune.model_operators.given import NamedModel, engine_content
from syntune.model_operators.items import Item, decoded
from syntune.model_operators.scoring import SCORES
from syntune.models.scorers import Scorer, load_scorer

log = logging.getLogger(__name__)

_DIGITS = 6
"""Decimals of a score: what differs with a batch's size lies below."""

_ROOMS = ("syntune/models/scorers.py", "syntune/models/aesthetics.py", "syntune/model_operators/scoring.py")

_REDUCED = {"avg": lambda values: sum(values) / len(values), "max": max, "min": min}


class Scores:
    """One model's scores, one for each item; the model is loaded when the first item is new."""

    def __init__(
        self,
        model: NamedModel,
        kind: str,
        where: str,
        *,
        cache: Path,
        device: torch.device,
        threads: int,
        batch_size: int,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        reduce_mode: str = "avg",
    ) -> None:
        """Prepare.

        Args:
            model: the scorer.
            kind: what it must be: ``clip``, ``blip``, ``classifier`` or ``aesthetics``.
            where: operator and parameter, for messages.
            cache: the folder of all stores.
            device: where the model runs.
            threads: threads that decode images.
            batch_size: items at a time.
            horizontal_flip: mirror images first.
            vertical_flip: turn images upside down first.
            reduce_mode: the score of a text with several images: ``avg``, ``max`` or ``min``.
        """
        self._model, self._kind, self._where = model, kind, where
        self._cache, self._device, self._threads, self._batch_size = cache, device, threads, batch_size
        self._flips = [horizontal_flip and ImageOps.mirror, vertical_flip and ImageOps.flip]
        self._reduce = _REDUCED[reduce_mode]
        self._way = {
            "scores": kind,
            "model": model.content(),
            "engine": engine_content(*_ROOMS),
            "horizontal_flip": horizontal_flip,
            "vertical_flip": vertical_flip,
            "reduce_mode": reduce_mode,
        }
        self._scorer: Scorer | None = None

    def of(self, items: Sequence[Item]) -> list[float]:
        """The score of each item; equal items are scored once.

        Raises:
            UserError: the model is of another kind, an image cannot be read, or a score is not a number.
        """
        with Store(self._cache, self._way, {item.key for item in items}) as store:
            new = list({item.key: item for item in items if store.get(item.key) is None}.values())
            log.info("%s: %d scores, %d of them known before", self._where, len(items), len(items) - len(new))
            for batch in decoded(new, self._batch_size, self._threads):
                images = [[self._flipped(image) for image in some] for _, some in batch]
                values = SCORES[self._kind](self._loaded(), images, [item.text or "" for item, _ in batch])
                store.add({item.key: [self._value(item, some)] for (item, _), some in zip(batch, values, strict=True)})
            return [store.get(item.key)[0] for item in items]

    def _flipped(self, image):
        """An image as the operator's flips have it."""
        for flip in self._flips:
            image = flip(image) if flip else image
        return image

    def _value(self, item: Item, scores: list[float]) -> float:
        """An item's one score."""
        value = self._reduce(scores)
        if not math.isfinite(value):
            raise UserError(f"{self._where}: models.{self._model.name} gives row {item.row} the score {value}")
        return round(value, _DIGITS)

    def _loaded(self) -> Scorer:
        """The model."""
        if self._scorer is None:
            self._scorer = load_scorer(self._model.checked_folder(), self._device)
            if self._scorer.kind != self._kind:
                raise UserError(
                    f"{self._where}: models.{self._model.name} holds a model of kind {self._scorer.kind}, but the "
                    f"operator needs one of kind {self._kind}"
                )
            if self._kind == "classifier":
                labels = self._scorer.model.config.id2label
                log.info("%s: the score is the probability of class 1, %r", self._where, labels.get(1))
        return self._scorer
