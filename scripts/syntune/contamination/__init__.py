"""Contamination: a benchmark's questions that stand in the training data."""
