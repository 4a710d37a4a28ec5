"""A seed's images, each decoded whole and hashed; those that are known from before are not decoded again."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from syntune.data.formats.records import BAD_IMAGE, LFS_POINTER, MISSING_IMAGE
from syntune.data.image_cache import FileState, ImageCache, Known, Traits
from syntune.errors import UserError
from syntune.files import sha256_bytes
from syntune.images import (
    UPRIGHT,
    format_of,
    has_transparent_pixels,
    open_image,
    orientation_of,
    read_image,
)


class Checked(NamedTuple):
    """What decoding an image found: its hash, path in the rows and traits or, of a bad one, reason and message."""

    sha256: str = ""
    path: str = ""
    reason: str = ""
    message: str = ""
    traits: Traits = Traits()


class _Read(NamedTuple):
    """An image that was looked at now, and what a file's state was before it was read."""

    checked: Checked
    path: Path | None = None
    state: FileState | None = None


class ImageChecks:
    """Checks the images of a batch of records at a time, in threads; a context manager."""

    def __init__(self, cache: Path | None, limits: dict[str, object], folder: Path, rows: Path) -> None:
        """Make ready.

        Args:
            cache: the file of what is known from before; None for none.
            limits: what :func:`open_image` takes besides the image and its name.
            folder: where images that come as bytes are written to, below ``images/``.
            rows: where that folder will lie in the end.
        """
        self._limits = limits
        self._folder = folder
        self._rows = rows
        self._cache = ImageCache(cache, limits)
        self._pool = ThreadPoolExecutor(min(8, len(os.sched_getaffinity(0))))

    def __enter__(self) -> "ImageChecks":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._cache.close()

    def check_files(self, paths: Iterable[Path]) -> dict[Path, Checked]:
        """What each file holds."""
        checked: dict[Path, Checked] = {}
        new = []
        for path in sorted(set(paths)):
            known = self._known(path)
            if known:
                checked[path] = Checked(known.sha256, str(path), traits=known.traits)
            else:
                new.append(path)
        found = self._remember(self._pool.map(self._check_file, new))
        return checked | dict(zip(new, found, strict=True))

    def store(self, images: Iterable[tuple[bytes, str]]) -> list[Checked]:
        """Write each content to ``images/``, named by its hash; messages call it by the second."""
        return self._remember(self._pool.map(lambda pair: self._store(*pair), images))

    def _known(self, path: Path) -> Known | None:
        """What is known of a file from before."""
        try:
            return self._cache.of_file(path, FileState.of(path))
        except (OSError, ValueError):
            return None

    def _remember(self, found: Iterable[_Read]) -> list[Checked]:
        """Add what was decoded to the cache."""
        found = list(found)
        self._cache.add(
            (Known(read.checked.sha256, read.checked.traits), read.path, read.state)
            for read in found
            if read.checked.sha256
        )
        return [read.checked for read in found]

    def _check_file(self, path: Path) -> _Read:
        """Read and decode an image file."""
        try:
            before = FileState.of(path)
            data = read_image(path, self._limits["max_bytes"])
            is_settled = before == FileState.of(path)
        except UserError as error:
            return _Read(Checked(reason=BAD_IMAGE if path.is_file() else MISSING_IMAGE, message=str(error)))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return _Read(Checked(reason=MISSING_IMAGE, message=f"{path}: cannot be read ({reason})"))
        checked = self._check_bytes(data, str(path), str(path))
        return _Read(checked, path, before) if is_settled else _Read(checked)

    def _store(self, data: bytes, name: str) -> _Read:
        """Decode an image that came as bytes and write it."""
        checked = self._check_bytes(data, name, "")
        if checked.reason:
            return _Read(checked)
        sha256 = checked.sha256
        stored = f"images/{sha256[:2]}/{sha256}.{format_of(data)}"
        file = self._folder / stored
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return _Read(checked._replace(path=str(self._rows / stored)))

    def _check_bytes(self, data: bytes, name: str, path: str) -> Checked:
        """Decode an image's bytes whole."""
        if data.startswith(LFS_POINTER):
            message = f"{name}: a pointer of Git LFS, not the image itself; fetch it with git lfs pull"
            return Checked(reason=BAD_IMAGE, message=message)
        sha256 = sha256_bytes(data)
        known = self._cache.of_content(sha256)
        if known is None:
            try:
                known = Known(sha256, _traits(data, open_image(data, name, **self._limits)))
            except UserError as error:
                return Checked(reason=BAD_IMAGE, message=str(error))
        return Checked(sha256, path, traits=known.traits)


def _traits(content: bytes, image: Image.Image) -> Traits:
    """What is counted of an image, given as its file's content and decoded (RGB)."""
    is_plain = all(low == high for low, high in image.getextrema())
    return Traits(orientation_of(content) != UPRIGHT, has_transparent_pixels(content), is_plain)
