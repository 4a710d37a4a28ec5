"""The data page: a look at one dataset, from its seed to its shards."""
