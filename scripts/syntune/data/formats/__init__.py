"""Seeds in: each file reads one format into rows, and every row is read by the same rules into a record."""
