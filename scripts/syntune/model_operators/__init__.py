"""Operators that need a model: scores of images and texts, and new captions."""
