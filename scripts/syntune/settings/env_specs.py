"""What a config asks of the specs in ``envs/`` where they may be added to: trackers, torchvision."""

from collections.abc import Iterable

from syntune.errors import UserError
from syntune.interpreter import pins

PACKAGES = {"wandb": "wandb==0.31.0"}
"""What each tracker takes, as a spec pins it."""


def require_tracker(tracker: str, environment: str) -> None:
    """Refuse a tracker whose package ``envs/{environment}.yaml`` does not name.

    Raises:
        UserError: says what to add.
    """
    if tracker not in pins(environment):
        raise UserError(
            f"tracker: envs/{environment}.yaml does not name {tracker}; add '- {PACKAGES[tracker]}' to its pip list "
            "(docs/reference/training.md#trackers), or leave tracker out"
        )


def require_equal_torchvision(environments: Iterable[str]) -> None:
    """Refuse environments of which some have torchvision, or another one: it changes how transformers sees images.

    Raises:
        UserError: names two specs and what they pin.
    """
    pinned = {name: pins(name).get("torchvision") for name in environments}
    first, version = next(iter(pinned.items()))
    for name, other in pinned.items():
        if other != version:
            raise UserError(
                f"envs/{first}.yaml pins torchvision {version or 'not at all'} and envs/{name}.yaml "
                f"{other or 'not at all'}: training and answers would see images differently; pin the same in both "
                "(docs/how-to/other-models.md#models-that-need-torchvision)"
            )
