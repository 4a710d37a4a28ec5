"""Settings of the seed data: where real image-text pairs come from."""

from typing import Any, Literal

from pydantic import Field, field_validator

from syntune.settings.strict import Strict

SeedFormat = Literal["auto", "jsonl", "llava", "messages", "parquet", "webdataset", "image_folder", "saved"]


class SeedSettings(Strict):
    """One set of image-text pairs and how it is read."""

    format: SeedFormat = Field(
        default="auto",
        description="auto: found by the files' names and content; jsonl, llava, messages: JSON lines or a JSON list "
        "of records; parquet: rows with the images inside or their paths; webdataset: tar files; image_folder: "
        "pictures with metadata.csv, metadata.jsonl or a .txt beside each; saved: a Hugging Face dataset saved to disk",
    )
    path: str | list[str] = Field(
        description="the file of records, a folder, a pattern such as data/*.parquet, or a list of these; or, as "
        "owner/name@commit or owner/name@commit/PATTERN, a dataset of the Hugging Face hub at a full commit hash",
    )
    images: str | None = Field(
        default=None,
        description="folder that the records' image paths start from and must lie in; null takes the records' own; "
        "also owner/name@commit/FOLDER of the hub",
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
    bad_record: Literal["refuse", "drop"] = Field(
        default="refuse",
        description="a record that cannot be read: stop once all are listed, or drop them, count them by reason and "
        "list them in results/seed/{seed}.quarantine.jsonl",
    )
    repeated_ids: Literal["refuse", "number"] = Field(
        default="refuse",
        description="an id that was used before: treat the record as bad, or number it (id-2, id-3, ...)",
    )
    bad_image: Literal["refuse", "drop"] = Field(
        default="refuse",
        description="a missing, truncated or oversized image: stop, or drop the row, in the same way",
    )
    max_pixels: int = Field(
        default=50_000_000, ge=1, description="largest image that is decoded, in pixels; above it the image is bad"
    )
    watch_images: bool = Field(
        default=True,
        description="look at size and time of each image file at every call of snakemake, so that a changed image is "
        "read again (about 0.5 s for 100,000 files on a local disk); false for slow file systems",
    )

    @field_validator("path", mode="before")
    @classmethod
    def _is_path_or_paths(cls, value: Any) -> Any:
        """Say it in one line: pydantic would name each kind of the union."""
        paths = value if isinstance(value, list) else [value]
        if not paths or not all(isinstance(path, str) and path for path in paths):
            raise ValueError("must be a path, or a list of paths")
        return value

    @property
    def paths(self) -> list[str]:
        """``path``, as a list."""
        return self.path if isinstance(self.path, list) else [self.path]

    max_bytes: int = Field(
        default=100_000_000, ge=1, description="largest image file that is read, in bytes; above it the image is bad"
    )
