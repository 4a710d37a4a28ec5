"""Prediction: a run's answers to a benchmark's questions."""
