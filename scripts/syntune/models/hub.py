"""Checkpoints from the Hugging Face hub, by repository and pinned revision; offline once they were fetched."""

from pathlib import Path

from syntune.errors import UserError

PATTERNS = ["*.safetensors", "*.bin", "*.json", "*.model", "*.txt", "*.jinja"]
"""What a checkpoint consists of; neither code nor other frameworks' weights are fetched."""


def fetch_checkpoint(repo: str, revision: str) -> Path:
    """The local folder of ``repo`` at commit ``revision``: from the hub's cache, else from the hub.

    The cache is huggingface_hub's own (HF_HOME, HF_HUB_CACHE); HF_HUB_OFFLINE=1 forbids the network, and a token for a
    gated repository comes from HF_TOKEN or ``hf auth login``.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=PATTERNS, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=PATTERNS))
    except GatedRepoError as error:
        raise UserError(f"{repo}: gated; accept its licence on the hub and log in with 'hf auth login'") from error
    except RepositoryNotFoundError as error:
        raise UserError(f"{repo}: no such repository on the hub, or it is private") from error
    except LocalEntryNotFoundError as error:
        raise UserError(
            f"{repo}@{revision[:12]} is not in the local hub cache and the hub cannot be reached; fetch it on a "
            "machine with network (hf download), or set source: local and a folder"
        ) from error
    except HfHubHTTPError as error:
        raise UserError(f"{repo}@{revision[:12]}: the hub answered {error.response.status_code}") from error
