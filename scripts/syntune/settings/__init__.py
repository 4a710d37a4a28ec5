"""The settings: one tree of pydantic classes, each key with a description, a default and a unit."""
