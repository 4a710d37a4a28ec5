"""Preprocessing of images for MGM, with Pillow and NumPy: the reference's values bit for bit."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from transformers.image_processing_base import ImageProcessingMixin
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

PADDING_COLOR = tuple(int(255 * mean) for mean in OPENAI_CLIP_MEAN)


class MgmImageProcessor(ImageProcessingMixin):
    """Turns an image into the low- and the high-resolution tensor.

    Attributes:
        image_size: side of the low-resolution tensor, in pixels.
        image_size_aux: side of the high-resolution tensor, in pixels.
        image_aspect_ratio: "pad" pads an image to a square first, "square" crops its centre.
    """

    model_input_names = ["images", "images_aux"]

    def __init__(
        self, image_size: int = 336, image_size_aux: int = 768, image_aspect_ratio: str = "pad", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.image_size = image_size
        self.image_size_aux = image_size_aux
        self.image_aspect_ratio = image_aspect_ratio

    def __call__(self, images: list[Image.Image]) -> dict[str, torch.Tensor]:
        """``images`` [n, 3, image_size, image_size] and ``images_aux`` [n, 3, image_size_aux, image_size_aux], float32.

        The low resolution is made from the high one, as the reference does, never from the image itself.
        """
        if not images:
            return {name: torch.zeros(0, 3, size, size) for name, size in self._sizes()}
        images_aux = torch.stack([self._high_resolution(image.convert("RGB")) for image in images])
        # channel by channel: torch's rounding of a whole image depends on the number of threads, a channel's does not
        channels = images_aux.flatten(0, 1).unsqueeze(1)
        low = functional.interpolate(channels, size=(self.image_size,) * 2, mode="bilinear", align_corners=False)
        return {"images": low.view(len(images), 3, *low.shape[-2:]), "images_aux": images_aux}

    def _sizes(self) -> tuple[tuple[str, int], ...]:
        """Each tensor's name and side."""
        return ("images", self.image_size), ("images_aux", self.image_size_aux)

    def _high_resolution(self, image: Image.Image) -> torch.Tensor:
        """Square, resize, crop and normalise one RGB image."""
        if self.image_aspect_ratio == "pad":
            image = _pad_to_square(image)
        pixels = np.asarray(_resize_and_crop(image, self.image_size_aux))
        channels = [values[pixels[..., channel]] for channel, values in enumerate(_NORMALISED)]
        return torch.from_numpy(np.stack(channels))


def _normalised() -> np.ndarray:
    """[3, 256]: what each channel's pixel values become, rounded where transformers rounds."""
    scaled = (np.arange(256) * (1 / 255)).astype(np.float32)
    return (scaled - np.float32(OPENAI_CLIP_MEAN)[:, None]) / np.float32(OPENAI_CLIP_STD)[:, None]


_NORMALISED = _normalised()


def _pad_to_square(image: Image.Image) -> Image.Image:
    """Put the image in the middle of a square of CLIP's mean colour."""
    side = max(image.size)
    square = Image.new("RGB", (side, side), PADDING_COLOR)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _resize_and_crop(image: Image.Image, side: int) -> Image.Image:
    """Resize the shorter side to ``side``, bicubic, and keep the square in the middle."""
    short = min(image.size)
    width, height = (side if length == short else int(side * length / short) for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + side, top + side))
