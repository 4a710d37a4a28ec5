"""A row of a dataset's shards: ``id``, ``seed_id``, ``images`` (bytes and path of each) and ``messages``."""

from pathlib import Path

from syntune.artifacts.manifests import part_files
from syntune.settings.holdout_names import QUESTIONS

IMAGE_MARK = "<image>"
"""What stands for an image in a message, as in LLaVA's conversations."""


def shard_files(manifest: Path) -> list[Path]:
    """The shards that a manifest names, in order: of a dataset, beside its card, or of what a dataset holds out.

    Raises:
        UserError: a file is missing or is not the one that the manifest describes.
    """
    return [file for file in part_files(manifest) if file.suffix == ".parquet" and file.name != QUESTIONS]
