"""What a config will cost, before any of it is run: rows and disk, memory, time, GPU hours."""
