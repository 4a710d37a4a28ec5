"""The slices of a prediction file, put together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from syntune.benchmarks.inputs import listed, read_json_lines
from syntune.benchmarks.protocol import Protocol
from syntune.errors import UserError

_ADVICE = "delete the slices' files and run snakemake again"


def gather(protocol: Protocol, slices: Sequence[Path]) -> list[dict[str, Any]]:
    """The lines of all slices, in the benchmark's order.

    Raises:
        UserError: a question is answered by none of them or more than once, or an answer is to no question: they were
            made for another number of slices, or of other questions.
    """
    ids = [question.id for question in protocol.questions()]
    known, answered = set(ids), {}
    for path in slices:
        for where, line in read_json_lines(path):
            id = line.get("question_id") if isinstance(line, dict) else None
            if id not in known:
                raise UserError(f"{where}: answers question {id!r}, which is not asked; {_ADVICE}")
            if id in answered:
                raise UserError(f"{where}: question {id!r} has an answer already; {_ADVICE}")
            answered[id] = line
    missing = [id for id in ids if id not in answered]
    if missing:
        raise UserError(
            f"benchmark {protocol.name}: {len(missing)} of {len(ids)} questions are in none of the {len(slices)} "
            f"slices ({listed(missing)}); {_ADVICE}"
        )
    return [answered[id] for id in ids]
