"""A small conda, backed by uv."""
