"""What an endpoint will be asked and what that will cost, before it is asked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from syntune.formats import count, plural
from syntune.recipes.model_parameters import RecaptionParameters
from syntune.settings.models import EndpointSettings, ModelSettings

_PATCH = 28
"""Side, in pixels, of what vision-language models of today read as one token (Qwen2-VL and later)."""

_CHARACTERS = 3
"""Of a prompt's text for one token, at least, in English."""


@dataclass(frozen=True)
class CallEstimate:
    """Upper bounds, but for models that split images into more tokens.

    Attributes:
        calls: requests, without retries.
        input_tokens: of prompts and images.
        output_tokens: of replies.
        cost: in the currency of the settings' prices; None where no price is set.
    """

    calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None

    def told(self) -> str:
        """One line for a log or a plan."""
        price = "no price is set" if self.cost is None else f"cost about {self.cost:,.2f}"
        return (
            f"at most {plural(self.calls, 'call')}, about {count(self.input_tokens)} input and "
            f"{count(self.output_tokens)} output tokens; {price}"
        )


def estimate(rows: int, parameters: RecaptionParameters, settings: EndpointSettings) -> CallEstimate:
    """What captions for ``rows`` rows take, where no answer is cached.

    A percentile in ``below`` lets that share of the rows through, so only they are counted.
    """
    shares = [float(limit.removesuffix("%")) / 100 for limit in parameters.below.values() if isinstance(limit, str)]
    return estimate_calls(ceil(rows * min(shares, default=1.0)) * parameters.candidates, parameters, settings)


def costs_of_recipe(
    process: Iterable[tuple[str, Mapping[str, Any]]], models: Mapping[str, ModelSettings], rows: int | None
) -> list[str]:
    """A line for each operator of a recipe that asks an endpoint: what ``rows`` rows take; None tells of 1,000."""
    lines = []
    for name, parameters in process:
        if name == "recaption_mapper":
            read = RecaptionParameters.model_validate(parameters)
            endpoint = models[read.model]
            if isinstance(endpoint, EndpointSettings):
                told = estimate(1000 if rows is None else rows, read, endpoint).told()
                lines.append(f"{read.model}: {'per 1,000 rows ' if rows is None else ''}{told}")
    return lines


def estimate_calls(calls: int, parameters: RecaptionParameters, settings: EndpointSettings) -> CallEstimate:
    """What so many calls take."""
    prompt = max(len(text) for text in parameters.prompts) // _CHARACTERS + 1
    inputs = calls * (prompt + ceil(settings.max_image_side / _PATCH) ** 2)
    outputs = calls * parameters.max_new_tokens
    has_price = settings.price_per_million_input_tokens or settings.price_per_million_output_tokens
    cost = settings.cost_of(inputs, outputs) if has_price else None
    return CallEstimate(calls, inputs, outputs, cost)
