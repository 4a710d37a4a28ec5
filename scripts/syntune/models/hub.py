"""Checkpoints from the Hugging Face hub, by repository and pinned revision; offline once they were fetched."""

from pathlib import Path

from syntune.errors import UserError

PATTERNS = ["*.safetensors", "*.bin", "*.json", "*.model", "*.txt", "*.jinja"]
"""What a checkpoint consists of; neither code nor other frameworks' weights are fetched."""


def fetch_checkpoint(repo: str, revision: str) -> Path:
    """The local folder of ``repo`` at commit ``revision``: from the hub's cache, else from the hub.

    The hub is asked first, so that an interrupted download is completed. Where it cannot be reached the cache is taken.
    The cache is huggingface_hub's own (HF_HOME, HF_HUB_CACHE); HF_HUB_OFFLINE=1 forbids the network, and a token for a
    gated repository comes from HF_TOKEN or ``hf auth login``.

    Raises:
        UserError: the hub refuses, or it cannot be reached and the cache has nothing.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=PATTERNS))
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        refusal = _refusal(repo, revision, error)
        try:
            return Path(snapshot_download(repo, revision=revision, allow_patterns=PATTERNS, local_files_only=True))
        except LocalEntryNotFoundError:
            raise refusal from error


def _refusal(repo: str, revision: str, error: Exception) -> UserError:
    """What the hub's answer means and what to do about it."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return UserError(f"{repo}: gated; accept its licence on the hub and log in with 'hf auth login'")
    if isinstance(error, RepositoryNotFoundError):
        return UserError(f"{repo}: no such repository on the hub, or it is private")
    if isinstance(error, HfHubHTTPError):
        return UserError(f"{repo}@{revision[:12]}: the hub answered {error.response.status_code}")
    return UserError(
        f"{repo}@{revision[:12]} is not in the local hub cache and the hub cannot be reached; fetch it on a machine "
        "with network (hf download), or set source: local and a folder"
    )
