"""New captions for rows of one image, and which of them replace the old ones."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syntune.artifacts.store import Store
from syntune.errors import UserError
from syntune.formats import plural
from syntune.model_operators.items import Item, item_of
from syntune.model_operators.replies import EMPTY, Captioner, Reply
from syntune.model_operators.scores import Scores
from syntune.model_operators.texts import caption_text, cleaned, is_caption, texts_with_images
from syntune.recipes.endpoint_cost import estimate_calls
from syntune.recipes.model_parameters import RecaptionParameters
from syntune.settings.models import EndpointSettings, ModelSettings
from syntune.settings.pixels import AS_VIEWERS, PixelSettings

log = logging.getLogger(__name__)

SIMILARITY = "image_text_similarity"

_FEW = 10
"""Below so many rows a share of unusable replies says little; an endpoint that answers nothing is an error anyway."""

_OF_IMAGES = ("image_", "aspect_ratios", "face_")
_OF_TEXTS = ("image_text_",)
"""Beginnings of the names of statistics that a new text leaves as they are, and of exceptions."""


@dataclass
class Recaptioned:
    """What became of the rows.

    Attributes:
        asked: rows that new captions were asked for.
        changed: the new similarity of each row whose text was replaced (None where none was computed), by id.
        kept: rows that kept their text, by reason.
        replies: replies that were no candidates, by reason.
        input_tokens: of all replies, whenever they were given.
        output_tokens: the same.
        cost: in the settings' currency.
    """

    asked: int = 0
    changed: dict[str, float | None] = field(default_factory=dict)
    kept: Counter[str] = field(default_factory=Counter)
    replies: Counter[str] = field(default_factory=Counter)
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    def as_report(self) -> dict[str, Any]:
        """For the chunk's report."""
        return {
            "asked": self.asked,
            "changed": len(self.changed),
            "kept": dict(sorted(self.kept.items())),
            "unusable_replies": dict(sorted(self.replies.items())),
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost": round(self.cost, 6),
        }


def recaption(
    rows: Sequence[dict[str, Any]],
    parameters: RecaptionParameters,
    below: dict[str, float],
    captioner: Captioner,
    scores: Scores | None,
    settings: ModelSettings,
    cache: Path,
    pixels: PixelSettings = AS_VIEWERS,
) -> Recaptioned:
    """Replace the texts of rows in place.

    Args:
        rows: of a chunk.
        parameters: of the operator.
        below: the numbers of ``parameters.below``.
        captioner: who is asked.
        scores: the similarity that decides; None: the first candidate is taken.
        settings: of the captioner, for prices.
        cache: the folder of all stores.
        pixels: how images are seen.

    Raises:
        UserError: a statistic is not there, or too many rows get no candidate.
    """
    told = Recaptioned()
    chosen = _chosen(rows, below, told)
    told.asked = len(chosen)
    prompts = parameters.prompts[: parameters.candidates]
    asked = [[item_of(row, prompt, pixels) for prompt in prompts] for row in chosen]
    replies = _replies([item for items in asked for item in items], captioner, parameters, settings, cache)
    _count_tokens(replies, settings, told)
    candidates = [_candidates([replies[item.key] for item in items], parameters, told) for items in asked]
    _check_failures(candidates, parameters, told)
    similarities = _similarities(chosen, candidates, scores, pixels)
    for row, texts in zip(chosen, candidates, strict=True):
        if not texts:
            told.kept["no usable reply"] += 1
        elif scores is None:
            _replace(row, texts[0], None, told)
        else:
            found = {text: similarities[item_of(row, text, pixels).key] for text in (*texts, _caption(row))}
            best = max(texts, key=found.__getitem__)
            similarity = found[best]
            if similarity > found[_caption(row)]:
                _replace(row, best, similarity, told)
            else:
                told.kept["new caption is not better"] += 1
    log.info(
        "recaption_mapper: %s asked for, %d changed, kept: %s; %d input and %d output tokens, cost %.4g",
        plural(told.asked, "row"), len(told.changed), dict(told.kept), told.input_tokens, told.output_tokens, told.cost,
    )  # fmt: skip
    return told


def _chosen(rows: Sequence[dict[str, Any]], below: dict[str, float], told: Recaptioned) -> list[dict[str, Any]]:
    """The rows to be captioned anew; of a statistic of several numbers, the highest counts."""
    chosen = []
    for row in rows:
        values = {stat: _highest(row, stat) for stat in below}
        if not is_caption(row["text"], len(row["images"])):
            told.kept["no caption of one image"] += 1
        elif all(values[stat] < limit for stat, limit in below.items()):
            chosen.append(row)
        else:
            told.kept["not below the limit"] += 1
    return chosen


def _highest(row: dict[str, Any], stat: str) -> float:
    """The highest value of a row's statistic; infinite where it is empty."""
    if stat not in row.get("stats", {}):
        raise UserError(
            f"recaption_mapper: below: row {row['id']} has no statistic {stat}; put the filter that computes it before "
            "recaption_mapper, with nothing between them that changes texts"
        )
    value = row["stats"][stat]
    return max(value, default=float("inf")) if isinstance(value, list) else value


def _caption(row: dict[str, Any]) -> str:
    """A row's caption as it is."""
    ((text, _),) = texts_with_images(row["text"])
    return text


def _replies(
    items: Sequence[Item], captioner: Captioner, parameters: RecaptionParameters, settings: ModelSettings, cache: Path
) -> dict[str, Reply]:
    """The reply to each item, by key; what was said before is not asked again."""
    with Store(cache, captioner.way(), {item.key for item in items}) as store:
        new = list({item.key: item for item in items if store.get(item.key) is None}.values())
        log.info("recaption_mapper: %d captions, %d of them given before", len(items), len(items) - len(new))
        if isinstance(settings, EndpointSettings):
            log.info("models.%s: %s", parameters.model, estimate_calls(len(new), parameters, settings).told())
        fleeting: dict[str, Reply] = {}
        for replies in captioner.replies(new):
            fleeting |= {key: reply for key, reply in replies.items() if not reply.is_final}
            if final := {key: list(reply) for key, reply in replies.items() if reply.is_final}:
                store.add(final)
        return {item.key: fleeting.get(item.key) or Reply(*store.get(item.key)) for item in items}


def _count_tokens(replies: dict[str, Reply], settings: ModelSettings, told: Recaptioned) -> None:
    """Add up tokens and cost."""
    told.input_tokens = sum(reply.input_tokens for reply in replies.values())
    told.output_tokens = sum(reply.output_tokens for reply in replies.values())
    if isinstance(settings, EndpointSettings):
        told.cost = settings.cost_of(told.input_tokens, told.output_tokens)


def _candidates(replies: Sequence[Reply], parameters: RecaptionParameters, told: Recaptioned) -> list[str]:
    """The captions among a row's replies."""
    captions = []
    for reply in replies:
        caption = cleaned(reply.text)
        failure = reply.failure or (None if caption else EMPTY)
        if not failure and parameters.max_words and len(caption.split()) > parameters.max_words:
            failure = f"more than {parameters.max_words} words"
        if failure:
            told.replies[failure] += 1
        else:
            captions.append(caption)
    return captions


def _check_failures(candidates: Sequence[list[str]], parameters: RecaptionParameters, told: Recaptioned) -> None:
    """Refuse a chunk for which the model gave too little."""
    failed = sum(not texts for texts in candidates)
    if len(candidates) >= _FEW and failed > parameters.max_failed_share * len(candidates):
        reasons = ", ".join(f"{count} {reason}" for reason, count in told.replies.most_common())
        raise UserError(
            f"recaption_mapper: models.{parameters.model} gave no usable caption for {failed} of {len(candidates)} "
            f"rows ({reasons}), more than max_failed_share {parameters.max_failed_share:g}; change prompt, "
            "max_new_tokens or max_words, or raise the share"
        )


def _similarities(
    rows: Sequence[dict[str, Any]], candidates: Sequence[list[str]], scores: Scores | None, pixels: PixelSettings
) -> dict[str, float]:
    """The similarity of each row's caption and of its candidates, by the items' keys."""
    if scores is None:
        return {}
    items = [
        item_of(row, text, pixels)
        for row, texts in zip(rows, candidates, strict=True)
        for text in ([_caption(row), *texts] if texts else [])
    ]
    return {item.key: value for item, value in zip(items, scores.of(items), strict=True)}


def _replace(row: dict[str, Any], caption: str, similarity: float | None, told: Recaptioned) -> None:
    """Give a row its new caption; statistics of the old one go."""
    row["text"] = caption_text(caption)
    stats = {
        name: value
        for name, value in row.get("stats", {}).items()
        if name.startswith(_OF_IMAGES) and not name.startswith(_OF_TEXTS)
    }
    row["stats"] = stats | ({} if similarity is None else {SIMILARITY: [similarity]})
    told.changed[row["id"]] = similarity
