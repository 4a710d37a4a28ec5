"""Data-Juicer operators of this project, one file each."""
