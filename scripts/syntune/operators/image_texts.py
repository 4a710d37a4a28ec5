"""The text in a picture, read by PP-OCR: lines, and the blocks that people read as one."""

from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from syntune.images import open_image

_FAINT = 0.3
"""Detections above this score count as text that may be there: no question's answer may depend on their absence."""


class Box(NamedTuple):
    """Pixels from the left and from the top."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Of the box."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Of the box."""
        return self.bottom - self.top

    def around(self, other: "Box") -> "Box":
        """The smallest box that holds both."""
        return Box(*map(min, self[:2], other[:2]), *map(max, self[2:], other[2:]))


class Line(NamedTuple):
    """A line of text."""

    text: str
    score: float
    """The recogniser's mean confidence, 0 to 1."""
    box: Box
    letter_height: float
    """Pixels across the line, however it lies."""
    level: bool
    """Whether it is no vertical line, and rises or falls by less than one in five."""


class Page(NamedTuple):
    """A picture's size in pixels and the lines that were found in it, in reading order."""

    width: int
    height: int
    lines: list[Line]


class Block(NamedTuple):
    """Lines that are read as one text."""

    lines: list[Line]

    @property
    def text(self) -> str:
        """The lines after each other."""
        return " ".join(line.text for line in self.lines)

    @property
    def box(self) -> Box:
        """Around the lines."""
        box = self.lines[0].box
        for line in self.lines[1:]:
            box = box.around(line.box)
        return box

    @property
    def letter_height(self) -> float:
        """The lines' mean height in pixels."""
        return sum(line.letter_height for line in self.lines) / len(self.lines)


@lru_cache(maxsize=1000)
def read_page(path: str, side: int) -> Page:
    """All text of a picture, however uncertain; seeds ask much about one picture, so it is remembered.

    Args:
        path: the picture's file.
        side: it is enlarged for detection until its shorter side has so many pixels.
    """
    image = open_image(Path(path), path, max_pixels=None)
    found = _reader(side)(np.asarray(image)[:, :, ::-1])
    lines = []
    if found.txts:
        for text, score, corners in zip(found.txts, found.scores, found.boxes, strict=True):
            lines.append(_line(text.strip(), float(score), corners))
    return Page(*image.size, lines)


def _line(text: str, score: float, corners: np.ndarray) -> Line:
    """A line from its four corners, clockwise from the upper left one; ``(4, 2)`` pixels."""
    box = Box(*(round(float(edge)) for edge in (*corners.min(axis=0), *corners.max(axis=0))))
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    width, height = float(np.hypot(*across)), float(np.hypot(*down))
    if height > 1.5 * width:  # PP-OCR turns such a line by a quarter before it reads it
        return Line(text, round(score, 4), box, width, level=False)
    return Line(text, round(score, 4), box, height, level=bool(abs(across[1]) <= abs(across[0]) / 5))


@cache
def _reader(side: int) -> Any:
    """PP-OCR on one thread, with the weights that lie inside the package: nothing is downloaded."""
    import rapidocr

    weights = Path(rapidocr.__file__).parent / "models"
    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.text_score": 0.0,
            "Global.use_cls": False,
            "Det.model_path": str(weights / "PP-OCRv6_det_small.onnx"),
            "Rec.model_path": str(weights / "PP-OCRv6_rec_small.onnx"),
            "Det.limit_side_len": side,
            "Det.box_thresh": _FAINT,
            # results must not depend on the number of cores
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def blocks_of(lines: list[Line]) -> list[Block]:
    """Lines put together that stand below or beside each other, close and in letters of one size."""
    blocks: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (line.box.top, line.box.left)):
        near = [block for block in blocks if any(_belong(other.box, line.box) for other in block)]
        merged = [other for block in near for other in block] + [line]
        blocks = [block for block in blocks if block not in near] + [merged]
    return [Block(_in_reading_order(block)) for block in blocks]


def _belong(one: Box, other: Box) -> bool:
    """Whether two lines are parts of one text."""
    low, high = sorted((one.height, other.height))
    if high > 1.5 * low:
        return False
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    below = across >= 0.5 * min(one.width, other.width) and -0.8 * low <= down <= 0.4 * low
    beside = down >= 0.6 * low and -1.2 * low <= across <= 0.2 * low
    return below or beside


def _in_reading_order(lines: list[Line]) -> list[Line]:
    """From top to bottom, and from left to right where lines stand side by side."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.box.top + line.box.bottom):
        last = rows[-1][-1].box if rows else None
        middle = (line.box.top + line.box.bottom) / 2
        if last and last.top < middle < last.bottom:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.box.left)]
