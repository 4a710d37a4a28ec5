"""The page of a benchmark's answers: every question with each run's answer, to be searched and filtered."""
