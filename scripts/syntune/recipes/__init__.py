"""Recipes: Data-Juicer's YAML, read and cut into the stages that the workflow runs."""
