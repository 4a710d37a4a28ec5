"""Trackers of trainings: packages that no environment has unless they are asked for."""

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
