"""The files that stages leave for each other: one schema a kind of file, shared by writers and readers."""
