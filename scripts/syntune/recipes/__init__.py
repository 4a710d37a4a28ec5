"""Recipes: what a dataset is made by, read and taken apart before anything runs."""
