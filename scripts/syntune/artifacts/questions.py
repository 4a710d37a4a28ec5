"""How files name a benchmark's question."""

QuestionId = int | str
"""A question's id, unique in its benchmark; a number or a text, as the benchmark has it."""
