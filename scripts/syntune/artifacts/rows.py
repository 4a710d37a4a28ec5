"""Rows between ingest, synthesis and shards: JSON lines ``{"id", "images", "image_sha256", "text"}``.

Synthesis adds ``"seed_id"``, the seed row that a row came from, and ``"stats"``: ``{name: number or list of numbers}``.
"""

JUICER_IMAGE_MARK = "<__dj__image>"
JUICER_END_MARK = "<|__dj__eoc|>"
"""What stands for an image in a row's text, and what ends it: Data-Juicer's marks."""
