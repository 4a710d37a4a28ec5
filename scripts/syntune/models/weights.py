"""Files of tensors: safetensors and PyTorch's, one or several; read by mapping, written one by one.

A mapped tensor takes memory only while it is used, so that a checkpoint of any size passes through in little memory.
"""

import json
import pickle
import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import load_file, save_file

from syntune.errors import UserError, one_line
from syntune.files import read_json, write_json

Tensors = dict[str, torch.Tensor]

INDEX = "model.safetensors.index.json"
_INDEXES = (INDEX, "pytorch_model.bin.index.json")
_FILE_BYTES = 2 * 2**30


def read_weights(path: Path) -> Tensors:
    """The tensors of a file, or of a checkpoint's folder.

    Raises:
        UserError: there are none, a file that the index names is missing, or a file does not hold just tensors.
    """
    tensors: Tensors = {}
    for file in weight_files(path) if path.is_dir() else [path]:
        tensors |= read_tensors(file)
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """The files of a checkpoint's tensors, safetensors before pickles; what else lies beside them does not count.

    Raises:
        UserError: there are none, or one that the index names is missing.
    """
    for name in _INDEXES:
        if (folder / name).is_file():
            return _indexed(folder / name)
        if (whole := folder / name.removesuffix(".index.json")).is_file():
            return [whole]
    raise UserError(f"{folder}: holds no weights ({' or '.join(_INDEXES)}, or one file without an index)")


def read_tensors(path: Path) -> Tensors:
    """The tensors of one file: safetensors, or a pickle of nothing but tensors.

    Raises:
        UserError: the file is missing, is no such file, or holds a tensor that is empty or has NaN or Inf in it.
    """
    if not path.is_file():
        raise UserError(f"{path}: does not exist")
    tensors = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    empty = sorted(name for name, tensor in tensors.items() if not tensor.numel())
    if empty:
        raise UserError(
            f"{path}: {_count(empty)} empty (first {empty[0]}): it was saved from a ZeRO-3 run without "
            "gathering the parameters; save it again with them gathered"
        )
    for name, tensor in tensors.items():
        if not (_is_finite(tensor) or name.endswith("mask")):  # an attention mask is -inf where nothing is seen
            raise UserError(f"{path}: {name} holds NaN or Inf: the file is damaged or its training diverged")
    return tensors


def write_weights(
    folder: Path,
    tensors: Tensors,
    dtype: torch.dtype,
    together: Collection[str] = (),
    always_index: bool = False,
) -> None:
    """Write ``model.safetensors``, or several numbered files and their index, into ``folder``.

    A file holds two gibibytes at most, in the order of ``tensors``; a larger tensor has one to itself.

    Args:
        folder: an existing folder.
        tensors: by name.
        dtype: what they are written as.
        together: names of tensors that share a file, the last one, whatever its size.
        always_index: write an index for a single file too.
    """
    # planned on the meta device: the sizes are those of ``dtype``, and nothing is copied before its file is written
    planned = {
        name: torch.empty_like(tensor, dtype=dtype, device="meta")
        for name, tensor in tensors.items()
        if name not in together
    }
    split = split_torch_state_dict_into_shards(planned, max_shard_size=_FILE_BYTES)
    contents = [*split.filename_to_tensors.values(), *([list(together)] if together else [])]
    weight_map = {}
    for number, names in enumerate(contents, start=1):
        file = f"model-{number:05d}-of-{len(contents):05d}.safetensors" if len(contents) > 1 else "model.safetensors"
        save_file({name: _copy(tensors[name], dtype) for name in names}, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(names, file)
    if always_index or len(contents) > 1:
        size = sum(tensor.numel() for tensor in tensors.values()) * dtype.itemsize
        write_json(folder / INDEX, {"metadata": {"total_size": size}, "weight_map": weight_map})


def check_tensors(path: Path, tensors: Tensors, wanted: dict[str, torch.Size]) -> None:
    """Refuse a set of tensors that is not, name by name and shape by shape, the wanted one."""
    refuse(
        path,
        {
            "missing": sorted(wanted.keys() - tensors.keys()),
            "unexpected": sorted(tensors.keys() - wanted.keys()),
            "empty": sorted(name for name, tensor in tensors.items() if not tensor.numel()),
            "of another shape": [
                f"{name}: {list(tensors[name].shape)}, not {list(wanted[name])}"
                for name in sorted(tensors.keys() & wanted.keys())
                if tensors[name].shape != wanted[name]
            ],
        },
    )


def refuse(path: Path, faults: dict[str, list[str]]) -> None:
    """One line for all that does not fit, if anything does not."""
    found = [f"{_count(names)} {fault} (first {names[0]})" for fault, names in faults.items() if names]
    if found:
        raise UserError(f"{path}: {'; '.join(found)}: it does not fit this model")


def _count(names: Iterable[str]) -> str:
    """How many tensors there are, in words."""
    number = len(list(names))
    return "1 tensor is" if number == 1 else f"{number} tensors are"


def _is_finite(tensor: torch.Tensor) -> bool:
    """Whether a tensor has neither NaN nor Inf: they show in its sum, which reads it once and copies nothing."""
    if not tensor.is_floating_point():
        return True
    if tensor.element_size() == 1:  # float8 has no sum
        return bool(tensor.float().isfinite().all())
    return bool(tensor.sum(dtype=torch.float32).isfinite() or tensor.isfinite().all())


def _copy(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """``tensor`` as ``dtype``, laid out row by row."""
    return tensor.detach().to("cpu", dtype).contiguous()


def _indexed(index: Path) -> list[Path]:
    """The weight files that an index names."""
    try:
        names = sorted(set(read_json(index)["weight_map"].values()))
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index}: not an index of weight files") from error
    for name in names:
        if not (index.parent / name).is_file():
            raise UserError(f"{index}: names the weight file {name}, which is not there; fetch the checkpoint again")
    return [index.parent / name for name in names]


def _read_safetensors(path: Path) -> Tensors:
    """The tensors of a safetensors file."""
    try:
        return load_file(path)
    except Exception as error:  # safetensors' own errors have no common base
        raise UserError(f"{path}: not a readable safetensors file ({error})") from error


def _read_pickle(path: Path) -> Tensors:
    """The tensors of a file of ``torch.save``; no other object is ever made from it."""
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        said = one_line(error, 120)
        raise UserError(f"{path}: not a file of tensors alone, so it is not opened ({said})") from error
    except Exception as error:  # what a file that was half copied leads to has no common base
        said = one_line(error, 120) or type(error).__name__
        raise UserError(f"{path}: damaged or half copied ({said}); fetch it again") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise UserError(f"{path}: holds something else than tensors by name")
    return tensors
