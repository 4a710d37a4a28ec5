"""A models stage on one chunk: each operator in turn scores the rows, or gives them new captions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from syntune.artifacts.lineage import CHANGED, Event, LineageWriter
from syntune.artifacts.schema import sealed
from syntune.errors import UserError
from syntune.files import atomic_file, read_jsonl, sha256_file, write_json, write_jsonl
from syntune.model_operators.endpoint import EndpointCaptioner
from syntune.model_operators.given import NamedModel
from syntune.model_operators.items import Item, images_of, item_of
from syntune.model_operators.local_captioner import LocalCaptioner
from syntune.model_operators.recaption import SIMILARITY, Recaptioned, recaption
from syntune.model_operators.replies import Captioner
from syntune.model_operators.scores import Scores
from syntune.model_operators.sidecar import OF_TEXTS, write_scores
from syntune.model_operators.texts import texts_with_images
from syntune.recipes.model_parameters import ModelParameters, RecaptionParameters
from syntune.recipes.percentiles import Percentile, limit_text
from syntune.settings.pixels import AS_VIEWERS, PixelSettings

Operators = Sequence[tuple[str, ModelParameters]]


class ModelsStage:
    """The operators of a stage with the models that they name."""

    def __init__(
        self,
        operators: Operators,
        models: Mapping[str, NamedModel],
        percentiles: dict[str, Percentile],
        *,
        cache: Path,
        device: torch.device,
        threads: int,
        pixels: PixelSettings = AS_VIEWERS,
    ) -> None:
        """Take what the stage works with.

        Args:
            operators: name and parameters.
            models: those that the operators name.
            percentiles: the thresholds of the first operator that are percentiles, by parameter.
            cache: the folder of what models found before.
            device: where models run.
            threads: threads that decode images.
            pixels: how images are seen.
        """
        self._operators, self._models, self._percentiles = operators, models, percentiles
        self._cache, self._device, self._threads, self._pixels = cache, device, threads, pixels

    def run(self, chunk: Path, *, output: Path, report: Path, lineage: Path, scores: Path) -> None:
        """Write the chunk's rows with their statistics, a report, the lineage of what changed, and the scores.

        Raises:
            UserError: a model, an image or a statistic is not as an operator needs it.
        """
        rows = list(read_jsonl(chunk))
        for row in rows:
            row.setdefault("seed_id", row["id"])
            row.setdefault("stats", {})
        steps, details, events, stats = [], [], [], []
        for place, (name, parameters) in enumerate(self._operators):
            if isinstance(parameters, RecaptionParameters):
                found = self._percentiles if place == 0 else {}
                told = self._recaption(rows, parameters, in_numbers(parameters, found))
                details.append({"operator": name, **told.as_report()})
                steps.append({"operator": name, "rows_in": len(rows), "added": 0, "dropped": 0, "rows_out": len(rows)})
                events += _events(rows, name, parameters, found, told)
                stats += [SIMILARITY] if parameters.keep_if_better else []
            else:
                self._score(rows, name, parameters)
                details.append({"operator": name, "scored": len(rows)})
                stats.append(parameters.stat)
        write_jsonl(output, rows)
        write_scores(scores, rows, list(dict.fromkeys(stats)))
        with atomic_file(lineage) as temporary, LineageWriter(temporary) as writer:
            writer.tell(events)
        counts = {"rows_in": len(rows), "rows_out": len(rows), "rows_sha256": sha256_file(output)}
        write_json(report, sealed({**counts, "steps": steps, "models": details}))

    def _score(self, rows: Sequence[dict[str, Any]], name: str, parameters: ModelParameters) -> None:
        """Give each row the statistic of a filter."""
        ((parameter, kind),) = parameters.models.items()
        pairs = {key: getattr(parameters, key) for key in _OF_PAIRS if hasattr(parameters, key)}
        scores = self._scores(name, parameter, kind, parameters, **pairs)
        items_of = _with_texts if parameters.stat in OF_TEXTS else images_of
        items = [items_of(row, self._pixels) for row in rows]
        values = iter(scores.of([item for some in items for item in some]))
        for row, some in zip(rows, items, strict=True):
            row["stats"][parameters.stat] = [next(values) for _ in some]

    def _recaption(
        self, rows: Sequence[dict[str, Any]], parameters: RecaptionParameters, below: dict[str, float]
    ) -> Recaptioned:
        """Give rows new captions."""
        scores = None
        if parameters.keep_if_better:
            scores = self._scores("recaption_mapper", "keep_if_better", "clip", parameters)
        model = self._models[parameters.model]
        return recaption(
            rows,
            parameters,
            below,
            self._captioner(model, parameters),
            scores,
            model.settings,
            self._cache,
            self._pixels,
        )

    def _captioner(self, model: NamedModel, parameters: RecaptionParameters) -> Captioner:
        """Who is asked for captions."""
        if model.is_endpoint:
            return EndpointCaptioner(model.name, model.settings, max_new_tokens=parameters.max_new_tokens)
        return LocalCaptioner(
            model,
            max_new_tokens=parameters.max_new_tokens,
            batch_size=parameters.batch_size,
            device=self._device,
            threads=self._threads,
        )

    def _scores(self, name: str, parameter: str, kind: str, parameters: ModelParameters, **more: Any) -> Scores:
        """The scores of the model that a parameter names."""
        return Scores(
            self._models[getattr(parameters, parameter)],
            kind,
            f"{name}: {parameter}",
            cache=self._cache,
            device=self._device,
            threads=self._threads,
            batch_size=parameters.batch_size,
            **more,
        )


_OF_PAIRS = ("horizontal_flip", "vertical_flip", "reduce_mode")


def _with_texts(row: dict[str, Any], pixels: PixelSettings) -> list[Item]:
    """Each text of a row with its images."""
    items = [
        item_of(row, text, pixels, slice(places.start, places.stop)) for text, places in texts_with_images(row["text"])
    ]
    return [item for item in items if item.paths]


def _events(
    rows: Sequence[dict[str, Any]],
    name: str,
    parameters: RecaptionParameters,
    found: dict[str, Percentile],
    told: Recaptioned,
) -> list[Event]:
    """The lineage of rows whose text was replaced."""
    numbers = in_numbers(parameters, found)
    limit = ", ".join(limit_text(f"below.{stat}", number, found) for stat, number in numbers.items())
    score = SIMILARITY if parameters.keep_if_better else None
    return [
        Event(row["seed_id"], row["id"], name, CHANGED, score, told.changed[row["id"]], limit or None)
        for row in rows
        if row["id"] in told.changed
    ]


def in_numbers(parameters: RecaptionParameters, found: Mapping[str, Percentile]) -> dict[str, float]:
    """The numbers of ``below``."""
    numbers = {}
    for parameter, (stat, threshold) in parameters.limits().items():
        if isinstance(threshold, str) and parameter not in found:
            raise UserError(f"recaption_mapper: {parameter}: the percentile {threshold} was not computed before")
        numbers[stat] = found[parameter].value if isinstance(threshold, str) else threshold
    return numbers
