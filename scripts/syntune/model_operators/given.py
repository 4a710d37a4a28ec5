"""The models that a job was given, and what makes their answers theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from syntune.artifacts.beside import manifest_of
from syntune.artifacts.manifests import part_files, read_manifest
from syntune.errors import UserError
from syntune.files import canonical_json, sha256_bytes
from syntune.recipes.model_parameters import ModelParameters
from syntune.settings.models import EndpointSettings, ModelSettings
from syntune.settings.strict import Strict
from syntune.sources import file_digests

_PACKAGES = ("pillow", "tokenizers", "torch", "transformers")
"""The packages whose version may change a score or a caption."""


class Given(Strict):
    """A model as the command is told of it: its settings and, unless it is an endpoint, its prepared folder."""

    settings: ModelSettings
    folder: Path | None = None


@dataclass(frozen=True)
class NamedModel:
    """A model of the config.

    Attributes:
        name: its key in ``models``.
        settings: of the config.
        folder: ``results/models/{name}``; None for an endpoint.
    """

    name: str
    settings: ModelSettings
    folder: Path | None

    @property
    def is_endpoint(self) -> bool:
        """Whether it is asked over the network."""
        return isinstance(self.settings, EndpointSettings)

    def content(self) -> str:
        """The hash of its weights, by its manifest; for an endpoint, its address and the model's name there."""
        if isinstance(self.settings, EndpointSettings):
            return f"{self.settings.base_url} {self.settings.model}"
        return read_manifest(self._manifest()).content

    def checked_folder(self) -> Path:
        """Its folder, every file checked against the manifest: to be called before it is loaded."""
        part_files(self._manifest())
        return self.folder

    def _manifest(self) -> Path:
        """The manifest beside its folder."""
        if self.folder is None:
            raise UserError(f"models.{self.name}: its prepared folder was not given; run it through snakemake")
        return manifest_of(self.folder)


def check_given(operators: Sequence[tuple[str, ModelParameters]], models: Mapping[str, NamedModel]) -> None:
    """Refuse a job that lacks a model."""
    for name, parameters in operators:
        for parameter, model in parameters.named_models().items():
            if model not in models:
                raise UserError(
                    f"{name}: {parameter}: the model '{model}' was not given; add models.{model} to the config"
                )


def engine_content(*rooms: str) -> str:
    """SHA-256 over the package versions, and the code below ``rooms``, that turn an image into a score or a caption."""
    digests = file_digests("synthesize_with_models")
    code = {path: digest for path, digest in digests.items() if path.startswith(("syntune/images.py", *rooms))}
    versions = {package: metadata.version(package) for package in _PACKAGES}
    return sha256_bytes(canonical_json([code, versions]).encode())
