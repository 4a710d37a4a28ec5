"""Files of tensors: safetensors and PyTorch's, whole or in shards; read by mapping, written shard by shard.

A mapped tensor takes memory only while it is used, so that a checkpoint of any size passes through in little memory.
"""

import json
import pickle
import zipfile
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from syntune.errors import UserError
from syntune.files import read_json, write_json

Tensors = dict[str, torch.Tensor]

INDEX = "model.safetensors.index.json"
_INDEXES = (INDEX, "pytorch_model.bin.index.json")
_SHARD_BYTES = 2 * 2**30


def read_weights(path: Path) -> Tensors:
    """The tensors of a file, or of a checkpoint's folder.

    Raises:
        UserError: there are none, a shard that the index names is missing, or a file does not hold just tensors.
    """
    tensors: Tensors = {}
    for file in weight_files(path) if path.is_dir() else [path]:
        tensors |= read_tensors(file)
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """The files of a checkpoint's tensors, safetensors before pickles; what else lies beside them does not count.

    Raises:
        UserError: there are none, or a shard that the index names is missing.
    """
    for name in _INDEXES:
        if (folder / name).is_file():
            return _shards(folder / name)
        if (whole := folder / name.removesuffix(".index.json")).is_file():
            return [whole]
    raise UserError(f"{folder}: holds no weights ({' or '.join(_INDEXES)}, or one file instead of shards)")


def read_tensors(path: Path) -> Tensors:
    """The tensors of one file: safetensors, or a pickle of nothing but tensors.

    Raises:
        UserError: the file is missing, is no such file, or holds an empty tensor.
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
    return tensors


def write_weights(
    folder: Path,
    tensors: Tensors,
    dtype: torch.dtype,
    shards: list[list[str]] | None = None,
    always_index: bool = False,
) -> None:
    """Write ``model.safetensors``, or shards of it and their index, into ``folder``.

    Args:
        folder: an existing folder.
        tensors: by name.
        dtype: what they are written as.
        shards: the names in each file; by default as many as fit two gibibytes, in the order of ``tensors``.
        always_index: write an index for a single file too.
    """
    shards = shards or plan_shards(tensors, dtype)
    weight_map = {}
    for number, names in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors" if len(shards) > 1 else "model.safetensors"
        save_file({name: _copy(tensors[name], dtype) for name in names}, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(names, file)
    if always_index or len(shards) > 1:
        size = sum(tensor.numel() for tensor in tensors.values()) * dtype.itemsize
        write_json(folder / INDEX, {"metadata": {"total_size": size}, "weight_map": weight_map})


def plan_shards(tensors: Tensors, dtype: torch.dtype) -> list[list[str]]:
    """The names of ``tensors``, in their order, cut into shards of two gibibytes at most."""
    shards: list[list[str]] = []
    filled = _SHARD_BYTES
    for name, tensor in tensors.items():
        size = tensor.numel() * dtype.itemsize
        if filled + size > _SHARD_BYTES:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    return shards


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


def _copy(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """``tensor`` as ``dtype``, laid out row by row."""
    return tensor.detach().to("cpu", dtype).contiguous()


def _shards(index: Path) -> list[Path]:
    """The shards that an index names."""
    try:
        names = sorted(set(read_json(index)["weight_map"].values()))
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index}: not an index of shards") from error
    for name in names:
        if not (index.parent / name).is_file():
            raise UserError(f"{index}: names the shard {name}, which is not beside it; fetch the checkpoint again")
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
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: not a file of tensors alone, so it is not opened ({str(error).splitlines()[0][:120]})"
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise UserError(f"{path}: holds something else than tensors by name")
    return tensors
