"""Datasets of the Hugging Face hub, at a pinned commit; offline once they were fetched."""

from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from syntune.errors import UserError
from syntune.settings.seed_files import IMAGE_SUFFIXES, SUFFIXES, HubPath

PATTERNS = sorted({f"*{ending}" for endings in SUFFIXES.values() for ending in endings}) + [
    *(f"*{ending}" for ending in IMAGE_SUFFIXES),
    "*.arrow",
    "*.txt",
]
"""What is fetched of a repository where no pattern says it: records and pictures, no code."""


def fetch(address: HubPath) -> Path:
    """The local path, or pattern, of what ``address`` names: from the hub's cache, else from the hub.

    The cache is huggingface_hub's own (HF_HOME, HF_HUB_CACHE); HF_HUB_OFFLINE=1 forbids the network, and a token for a
    gated dataset comes from HF_TOKEN or ``hf auth login``. A commit's files never change: those in the cache are taken
    without a word to the hub, and whether they are all is known from the listing that is kept with them.

    Raises:
        UserError: the hub refuses, it cannot be reached and the cache has nothing, or not all.
    """
    patterns = PATTERNS if address.pattern is None else [address.pattern, f"{address.pattern}/*"]
    wanted = {
        "repo_id": address.repo,
        "revision": address.commit,
        "repo_type": "dataset",
        "allow_patterns": patterns,
    }
    try:
        snapshot = Path(huggingface_hub.snapshot_download(**wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise _refusal(address, error) from error
    return snapshot / address.pattern if address.pattern else snapshot


def _refusal(address: HubPath, error: Exception) -> UserError:
    """What the hub's answer means and what to do about it."""
    if isinstance(error, GatedRepoError):
        return UserError(f"{address.repo}: gated; accept its terms on the hub and log in with 'hf auth login'")
    if isinstance(error, RepositoryNotFoundError):
        return UserError(f"{address.repo}: no such dataset on the hub, or it is private")
    at = f"{address.repo}@{address.commit[:12]}"
    if isinstance(error, HfHubHTTPError):
        return UserError(f"{at}: the hub answered {error.response.status_code}")
    return UserError(
        f"{at} is not whole in the local hub cache and the hub cannot be reached; fetch it on a machine with network "
        "(hf download --repo-type dataset), or set path to a folder"
    )
