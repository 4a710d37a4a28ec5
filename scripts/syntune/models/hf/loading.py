"""A folder's processor, loaded without what only videos need."""

from functools import cache
from pathlib import Path

from transformers import AutoConfig, AutoProcessor, PreTrainedConfig, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING, processor_class_from_name
from transformers.utils import is_torchvision_available

from syntune.errors import UserError, one_line
from syntune.files import read_json

TORCHVISION = "torchvision==0.28.0"
"""The release for the torch of ``envs/``. It is in none of them: PyPI's build fits PyPI's build of torch alone."""


def load_config(folder: Path) -> PreTrainedConfig:
    """The config of a checkpoint.

    Raises:
        UserError: it is missing, or of a model that this version of transformers does not have.
    """
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder}: no config of a model that transformers knows ({one_line(error)})") from error


def load_processor(folder: Path) -> ProcessorMixin:
    """The processor of a checkpoint, as its own class; none of the folder's code is run.

    Video processors need torchvision. Where that is not installed, the processor is loaded without its video part.

    Raises:
        UserError: a file is missing or another package is needed.
    """
    kind = None
    try:
        kind = _processor_class(folder)
        if kind is not None and _has_video(kind) and not is_torchvision_available():
            return _without_video(kind).from_pretrained(folder, local_files_only=True)
        loaded = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        raise _refusal(folder, kind, error) from error
    if not isinstance(loaded, ProcessorMixin):
        raise UserError(f"{folder}: has a {type(loaded).__name__}, but no processor of images and text together")
    return loaded


def _refusal(folder: Path, kind: type[ProcessorMixin] | None, error: Exception) -> UserError:
    """What a processor lacks: torchvision, where it says so or misses its part for videos, or what it complains of."""
    misses_video = isinstance(error, TypeError | AttributeError) and kind is not None and _has_video(kind)
    if is_torchvision_available() or not (misses_video or "torchvision" in str(error).lower()):
        return UserError(f"{folder}: its processor cannot be loaded ({one_line(error)})")
    name = kind.__name__ if kind is not None else "processor"
    return UserError(
        f"{folder}: its {name} cannot be loaded without torchvision, which no environment here has: add {TORCHVISION} "
        f"to the specs in envs/, as docs/how-to/other-models.md says ({one_line(error, 80)})"
    )


def _has_video(kind: type[ProcessorMixin]) -> bool:
    """Whether a processor has a part for videos."""
    return "video_processor" in kind.get_attributes()


def _processor_class(folder: Path) -> type[ProcessorMixin] | None:
    """The class that a folder's files name; None: AutoProcessor finds another way."""
    for file in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        name = read_json(folder / file).get("processor_class") if (folder / file).is_file() else None
        if name:
            return processor_class_from_name(name)
    return PROCESSOR_MAPPING.get(type(load_config(folder)), None)


@cache
def _without_video(kind: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """``kind`` for images and text alone."""

    class ImageProcessorOnly(kind):
        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in kind.get_attributes() if name != "video_processor"]

    ImageProcessorOnly.__name__ = kind.__name__
    return ImageProcessorOnly
