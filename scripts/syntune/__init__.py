"""The library that Syntune's commands share; one folder a stage, in the order of the data."""
