"""What the front-end says, on stderr: Snakemake shows it when an environment cannot be made."""

import sys


class CondaUvError(Exception):
    """Something that the user can put right, in one line."""


def say(message: str) -> None:
    """Print one line."""
    print(f"conda (uv front-end): {message}", file=sys.stderr, flush=True)
