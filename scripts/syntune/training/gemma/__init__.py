"""Gemma's decoder layers, fused with their adapters."""
