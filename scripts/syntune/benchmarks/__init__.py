"""Benchmarks: questions and prompts, metrics, error bars and comparisons."""
