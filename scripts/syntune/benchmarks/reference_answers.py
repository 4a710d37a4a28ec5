"""Answers in the format of the reference's own evaluation scripts, for tools that read it."""

from collections.abc import Sequence
from pathlib import Path

from syntune.benchmarks.protocol import Protocol, Question
from syntune.files import canonical_json, sha256_bytes, write_jsonl


def write_reference_answers(
    protocol: Protocol, questions: Sequence[Question], texts: Sequence[str], run: str, path: Path
) -> None:
    """Write one line for each question; ``answer_id``, random in the reference, is a hash of the line here."""
    rows = []
    for question, text in zip(questions, texts, strict=True):
        row = {**protocol.reference_answer(question, text), "model_id": run, "metadata": {}}
        rows.append({**row, "answer_id": sha256_bytes(canonical_json([question.id, row]).encode())[:22]})
    write_jsonl(path, rows)
