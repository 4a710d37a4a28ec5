"""Who answers: the content of a chain of checkpoints, and the code that runs it."""

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from syntune.artifacts.beside import manifest_of
from syntune.artifacts.manifests import part_files, read_manifest
from syntune.errors import UserError
from syntune.files import canonical_json, sha256_bytes
from syntune.sources import file_digests

PACKAGES = ("peft", "pillow", "tokenizers", "torch", "transformers")
"""The packages whose version may change an answer."""

_ROOMS = ("syntune/images.py", "syntune/models/", "syntune/prediction/")


def chain_content(checkpoints: Sequence[Path], manifests: Sequence[Path]) -> str:
    """SHA-256 over the content of every checkpoint of a chain, by their manifests.

    Every file is hashed: another adapter of the same rank has files of the same size.

    Raises:
        UserError: a manifest cannot be read or is another checkpoint's, or a file that it names is not there or is
            another one.
    """
    if len(checkpoints) != len(manifests):
        raise UserError(
            f"{len(checkpoints)} checkpoints, but {len(manifests)} manifests; give each checkpoint's, in their order"
        )
    contents = []
    for checkpoint, path in zip(checkpoints, manifests, strict=True):
        own = manifest_of(checkpoint)
        if path.absolute() != own.absolute():
            raise UserError(f"{path}: not the manifest of the checkpoint {checkpoint}; give {own}")
        part_files(path)
        contents.append(read_manifest(path).content)
    return sha256_bytes(canonical_json(contents).encode())


def engine_content() -> str:
    """SHA-256 over the code and the package versions that turn a question into an answer."""
    code = {path: digest for path, digest in file_digests("predict").items() if path.startswith(_ROOMS)}
    versions = {package: metadata.version(package) for package in PACKAGES}
    return sha256_bytes(canonical_json([code, versions]).encode())
