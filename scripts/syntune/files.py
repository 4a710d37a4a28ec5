"""Files that appear whole or not at all, and their content hashes."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from syntune.temporary import temporary_directory, temporary_file

T = TypeVar("T")


def _umask() -> int:
    """The process's umask (readable only by setting it)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def fsync(path: Path) -> None:
    """Flush a file or folder entry to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it there only if the block ends well."""
    path = Path(path)
    with temporary_file(path) as temporary:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        fsync(temporary)
        os.replace(temporary, path)
        fsync(path.parent)


@contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; put it in ``path``'s place only if the block ends well."""
    path = Path(path)
    with temporary_directory(path) as temporary:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        for file in temporary.rglob("*"):
            if file.is_file():
                file.chmod(0o666 & ~_umask())  # some writers keep what they write to their user
            fsync(file)
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
        fsync(path.parent)


def sha256_bytes(data: bytes) -> str:
    """Hex SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Hex SHA-256 of a file's content, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes_of(folder: Path, besides: str) -> dict[str, str]:
    """Hex SHA-256 of each file in a folder, by its path there; the file ``besides`` is left out."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != besides)
    hashes = side_by_side(sha256_file, files)
    return {file.relative_to(folder).as_posix(): sha256 for file, sha256 in zip(files, hashes, strict=True)}


def side_by_side(function: Callable[..., T], *arguments: Iterable[Any]) -> list[T]:
    """What ``map`` gives, as many calls at a time as this process has cores; for work that lets other threads run."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(function, *arguments))


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, atomically."""
    with atomic_file(path) as temporary:
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file that Syntune wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_jsonl(path: str | Path, rows: Iterator[dict] | list[dict]) -> int:
    """Write ``rows`` as JSON lines, atomically; returns their number."""
    count = 0
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    return count


def read_jsonl(path: str | Path) -> Iterator[dict]:
    """Yield the rows of a JSON-lines file that Syntune wrote."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def link_file(source: str | Path, target: str | Path) -> None:
    """Make ``target`` the same file, in place of what is there; a copy where the file system has no hard links."""
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def keep_newest(folder: Path, number: int) -> None:
    """Remove all but so many of the folders in ``folder``, those last changed or touched; hidden ones are let be."""
    with suppress(FileNotFoundError):
        kept = [path for path in folder.iterdir() if not path.name.startswith(".")]
        for old in sorted(kept, key=lambda path: -path.stat().st_mtime_ns)[number:]:
            shutil.rmtree(old)
