"""Data: seeds in, Data-Juicer synthesis, Parquet shards out."""
