"""The names of the files that hold a dataset's held-out rows; a module of its own, for many rules' code reads them."""

SHARD = "shard-00000-of-00001.parquet"
QUESTIONS = "questions.parquet"
"""Of a dataset's held-out rows: the rows, and their questions as benchmarks read them."""
