"""Lineage: a Parquet table of what each operator did to each row; rows that it left as they are have no entry."""

import pyarrow as pa

LINEAGE = pa.schema(
    {
        "seed_id": pa.string(),  # the seed row that it began with
        "row_id": pa.string(),  # the row itself, which synthesis may have made from that seed row
        "operator": pa.string(),
        "event": pa.string(),  # dropped, changed or added
        "score": pa.string(),  # the statistic that decided, where one did
        "value": pa.float64(),  # the row's own
        "limit": pa.string(),  # what it was held against: "min_score 0.28 (25%)", or the reason in words
    }
)
"""The table's columns."""
