"""How the pixels of an image are seen: settings that training, answering and recipes share."""

from typing import Literal

from pydantic import Field

from syntune.settings.strict import Strict

Orientation = Literal["apply", "ignore"]
Transparency = Literal["white", "black", "ignore"]


class PixelSettings(Strict):
    """What becomes of an image's orientation tag and of its transparent pixels."""

    orientation: Orientation = Field(
        default="apply",
        description="images with an orientation tag, in training and answering: apply turns them as the tag asks, as "
        "viewers do; ignore leaves them as they are stored, as LLaVA and MGM do",
    )
    transparency: Transparency = Field(
        default="white",
        description="images with transparent pixels, in training and answering: shown on white, as viewers do, or on "
        "black; ignore takes the colours that hide behind them, often black, as LLaVA and MGM do",
    )

    def pixels(self) -> "PixelSettings":
        """These settings alone, of a section that has others too."""
        return PixelSettings(orientation=self.orientation, transparency=self.transparency)


AS_VIEWERS = PixelSettings()
"""Images as viewers show them."""
