"""The slices of a prediction file, put together."""

from collections.abc import Sequence
from pathlib import Path

from syntune.artifacts.predictions import Prediction
from syntune.artifacts.questions import QuestionId
from syntune.artifacts.reading import read_json_lines
from syntune.artifacts.remaking import remake
from syntune.benchmarks.names import listed
from syntune.benchmarks.protocol import Protocol
from syntune.errors import UserError


def gather(protocol: Protocol, files: Sequence[Path]) -> list[Prediction]:
    """The lines of all slices, in the benchmark's order.

    Args:
        protocol: the benchmark.
        files: a prediction file for each slice.

    Raises:
        UserError: a question is answered by none of them or more than once, or an answer is to no question: they were
            made for another number of slices, or of other questions.
    """
    advice = f"delete {files[0].with_name(protocol.name)}.[0-9]*.jsonl and run snakemake again"
    ids = [question.id for question in protocol.questions()]
    known = set(ids)
    answered: dict[QuestionId, Prediction] = {}
    for path in files:
        for where, line in read_json_lines(path, Prediction, remake(path)):
            id = line.question_id
            if id not in known:
                raise UserError(f"{where}: answers question {id!r}, which is not asked; {advice}")
            if id in answered:
                raise UserError(f"{where}: question {id!r} has an answer already; {advice}")
            answered[id] = line
    missing = [id for id in ids if id not in answered]
    if missing:
        raise UserError(
            f"benchmark {protocol.name}: {len(missing)} of {len(ids)} questions are in none of the {len(files)} "
            f"slices ({listed(missing)}); {advice}"
        )
    return [answered[id] for id in ids]
