"""Settings of the seed data: where real image-text pairs come from."""

from typing import Literal

from pydantic import Field

from syntune.settings.strict import Strict


class SeedSettings(Strict):
    """One set of image-text pairs and how it is read."""

    format: Literal["jsonl", "llava", "parquet"] = Field(
        description="jsonl: Data-Juicer's multimodal JSON lines (images, text); llava: LLaVA conversations, a JSON "
        "list (image, conversations); parquet: columns images (struct of bytes and path) and text, or messages"
    )
    path: str = Field(description="the file of records")
    images: str | None = Field(
        default=None, description="folder that the records' image paths start from; not used by format parquet"
    )
    limit: int | None = Field(
        default=None, ge=1, description="read only this many records from the top; null reads all"
    )
    chunks: int = Field(
        default=1,
        ge=1,
        le=9999,
        description="number of chunks that synthesis is scattered over; fixed, so that results "
        "do not depend on the number of cores (at scale: at least 10,000 rows a chunk)",
    )
    bad_image: Literal["refuse", "drop"] = Field(
        default="refuse", description="a missing, truncated or oversized image: stop, or drop the row and count it"
    )
    max_pixels: int = Field(
        default=50_000_000, ge=1, description="largest image that is decoded, in pixels; above it the image is bad"
    )
    max_bytes: int = Field(
        default=100_000_000, ge=1, description="largest image file that is read, in bytes; above it the image is bad"
    )
