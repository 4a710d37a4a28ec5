"""The rows of a dataset that a model can learn from, found in one pass over their files."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from syntune.artifacts.manifests import part_files
from syntune.data.conversations import fault_of, pair_turns, to_messages
from syntune.data.ordering import key_hash
from syntune.data.row_table import Place


def candidates(
    manifest: Path, drop: Callable[[str, str, str], None], prefix: str = ""
) -> Iterator[tuple[Place, list[str]]]:
    """Yield the rows of a manifest's parts that a model can learn from, each with the hashes of its images.

    They are ordered by a hash of their ids, and the first of them are taken first.
    ``drop`` is told of the others: the reason, the seed row's id, and the row's with ``prefix`` in front.
    """
    for file in part_files(manifest):
        with file.open("rb") as lines:
            offset = 0
            for line in lines:
                row = json.loads(line)
                messages, _ = pair_turns(to_messages(row["text"], "prompt"))
                fault = fault_of(messages, len(row["images"]))
                seed_id = row.get("seed_id", row["id"])
                if fault:
                    drop(fault, seed_id, prefix + row["id"])
                else:
                    yield Place(key_hash("keep", row["id"]), row["id"], seed_id, file, offset), row["image_sha256"]
                offset += len(line)
