"""The shards of a prediction file, put together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from syntune.benchmarks.inputs import listed
from syntune.benchmarks.protocol import Protocol
from syntune.errors import UserError
from syntune.files import read_jsonl


def gather(protocol: Protocol, shards: Sequence[Path]) -> list[dict[str, Any]]:
    """The lines of all shards, in the benchmark's order.

    Raises:
        UserError: a question is answered by none of them: they were made for another number of shards.
    """
    answered = {line["question_id"]: line for path in shards for line in read_jsonl(path)}
    ids = [question.id for question in protocol.questions()]
    missing = [id for id in ids if id not in answered]
    if missing:
        raise UserError(
            f"benchmark {protocol.name}: {len(missing)} of {len(ids)} questions are in none of the {len(shards)} "
            f"shards ({listed(missing)}); delete the shards' files and run snakemake again"
        )
    return [answered[id] for id in ids]
