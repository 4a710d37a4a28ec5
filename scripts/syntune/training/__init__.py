"""Training: a run, from its rows to its checkpoint."""
