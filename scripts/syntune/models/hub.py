"""Checkpoints from the Hugging Face hub, by repository and pinned revision; offline once they were fetched."""

import re
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from syntune.errors import UserError
from syntune.files import read_json

PATTERNS = ["*.safetensors", "*.bin", "*.json", "*.model", "*.txt", "*.jinja"]
"""What a checkpoint consists of; neither code nor other frameworks' weights are fetched."""

_NUMBERED = re.compile(r"-\d+-of-\d+\.")


def fetch_checkpoint(repo: str, revision: str) -> Path:
    """The local folder of ``repo`` at commit ``revision``: from the hub's cache, else from the hub.

    A commit's files never change, so a whole one in the cache is taken without a word to the hub. What a download left
    unfinished is completed; where the hub cannot be reached it is taken as it is.
    The cache is huggingface_hub's own (HF_HOME, HF_HUB_CACHE); HF_HUB_OFFLINE=1 forbids the network, and a token for a
    gated repository comes from HF_TOKEN or ``hf auth login``.

    Raises:
        UserError: the hub refuses, or it cannot be reached and the cache has nothing.
    """
    wanted = {"repo_id": repo, "revision": revision, "allow_patterns": PATTERNS}
    try:
        cached = Path(huggingface_hub.snapshot_download(**wanted, local_files_only=True))
    except LocalEntryNotFoundError:
        cached = None
    if cached and _is_whole(cached):
        return cached
    try:
        return Path(huggingface_hub.snapshot_download(**wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        if cached:
            return cached
        raise _refusal(repo, revision, error) from error


def _is_whole(snapshot: Path) -> bool:
    """Whether a snapshot surely lacks nothing; the cache has no list of a repository's files, so doubt means no.

    It must have weights, every file of them, a config and a tokenizer, and no download of its repository may be
    unfinished.
    """
    if any((snapshot.parent.parent / "blobs").glob("*.incomplete")):
        return False
    names = {file.name for file in snapshot.iterdir() if file.is_file()}  # not a link whose blob is gone
    weights = {name for name in names if name.endswith((".safetensors", ".bin")) and name != "training_args.bin"}
    named = {file for index in names if index.endswith(".index.json") for file in _indexed(snapshot / index)}
    numbered = {name for name in weights if _NUMBERED.search(name)}
    return bool(
        weights
        and numbered <= named <= weights
        and any(name.endswith("config.json") for name in names)
        and any(name.startswith("tokenizer") for name in names)
    )


def _indexed(index: Path) -> set[str]:
    """The files that an index of weights names; one that cannot be read names a file that is not there."""
    try:
        return set(read_json(index)["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {""}


def _refusal(repo: str, revision: str, error: Exception) -> UserError:
    """What the hub's answer means and what to do about it."""
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
