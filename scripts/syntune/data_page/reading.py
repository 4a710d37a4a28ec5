"""Reading what the page is made of, in passes over manifests, lineage, rows and shards.

In memory are counts, samples of scores, and the few rows that are shown: the page's cost grows with the time to read a
dataset once, its size doesn't grow at all.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from heapq import nsmallest
from pathlib import Path
from typing import Any

from pyarrow import ArrowException, array, compute, dataset
from pyarrow.parquet import ParquetFile

from syntune.artifacts.manifests import Manifest, part_files, read_manifest
from syntune.artifacts.remaking import remake
from syntune.artifacts.shards import IMAGE_MARK, shard_files
from syntune.data_page.records import DataRecords, Dropped, FlowStep
from syntune.data_page.scores import ScoreSample
from syntune.data_page.twins import TwinSearch
from syntune.errors import UserError, one_line
from syntune.files import read_jsonl, sha256_bytes

SAMPLES = 8
"""Seed rows that are shown, whatever became of them; as many again that an operator changed or added to."""

EXAMPLES = 6
"""Rows that are shown of those that an operator dropped."""

_TEXT_ROWS = 20_000
"""Rows whose words are counted; the shards' order is random, so the first ones are a sample."""

_WORD = re.compile(r"[^\W\d_]{2,}")

_COMMON = """
    a about all an and are as at be but by can do does for from has have he her his how i if in into is it its not of on
    one or she so that the their them there these they this to was were what when where which who will with you your
"""

COMMON = frozenset(_COMMON.split())
"""English words that say nothing of a text's subject."""


def read_data_records(shards_manifest: Path, rows_manifest: Path, seed_manifest: Path, lineage: Path) -> DataRecords:
    """Read all that there is to tell of a dataset.

    Args:
        shards_manifest: the dataset's.
        rows_manifest: of its rows before sharding: its synthesis, or its seed where it has no recipe.
        seed_manifest: of the seed that it is made from; the seed's quarantine lies beside it.
        lineage: the dataset's.

    Raises:
        UserError: a file is missing or is not the one that its manifest describes.
    """
    shards, rows, seed = map(read_manifest, (shards_manifest, rows_manifest, seed_manifest))
    records = DataRecords(shards, rows, seed, _steps(seed, rows, shards))
    for stage, manifest in {manifest.stage: manifest for manifest in (seed, rows, shards)}.items():
        records.drops += [(stage, reason, count) for reason, count in sorted(manifest.dropped.items())]
    _read_lineage(records, lineage)
    seed_files = part_files(seed_manifest)
    records.samples = [
        name for _, name in nsmallest(SAMPLES, ((_rank(row["id"]), row["id"]) for row in _rows(seed_files)))
    ]
    shown = {row.seed_id for rows in records.dropped.values() for row in rows} | {*records.samples, *records.changed}
    named = [row.duplicate_of for rows in records.dropped.values() for row in rows if row.duplicate_of]
    twins = {*named, *(name.split("#")[0] for name in named)}  # a twin may be gone later: then its seed row is shown
    for row in _rows(seed_files):
        if row["id"] in shown or row["id"] in twins:
            records.seed_rows[row["id"]] = row
    unpaired = [
        row
        for name, rows in records.dropped.items()
        for row in rows
        if name.endswith("_deduplicator") and not row.duplicate_of and row.seed_id in records.seed_rows
    ]
    search = TwinSearch({row.row_id: records.seed_rows[row.seed_id] | {"id": row.row_id} for row in unpaired})
    _read_made(records, part_files(rows_manifest), shown | twins, search)
    _pair_up(records, unpaired, search.twins())
    _read_final(records, shard_files(shards_manifest))
    _read_events(records, lineage)
    _read_quarantine(records, seed_manifest.with_name(f"{seed.name}.quarantine.jsonl"))
    return records


def _rank(row_id: str) -> str:
    """A hash to choose rows by."""
    return sha256_bytes(f"page/{row_id}".encode())


def _rows(files: list[Path]) -> Iterator[dict[str, Any]]:
    """The rows of JSON-lines files."""
    for file in files:
        yield from read_jsonl(file)


def _steps(seed: Manifest, rows: Manifest, shards: Manifest) -> list[FlowStep]:
    """The way of the rows: ingestion, each operator, what is mixed in, sharding."""
    steps = [_step("seed", "ingest", seed)]
    if rows.stage != seed.stage:
        for one in rows.details.get("operators", []):
            figures = {key: one[key] for key in ("rows_in", "added", "dropped", "rows_out")}
            steps.append(FlowStep("recipe", one["operator"], **figures))
    mixed = (shards.rows_in or 0) - steps[-1].rows_out
    if mixed > 0:
        steps.append(FlowStep("mix", "rows mixed in", steps[-1].rows_out, mixed, 0, shards.rows_in or 0))
    return [*steps, _step("shards", "shard", shards)]


def _step(stage: str, name: str, manifest: Manifest) -> FlowStep:
    """A whole stage as one step."""
    dropped = sum(manifest.dropped.values())
    return FlowStep(stage, name, manifest.rows_in or 0, manifest.added, dropped, manifest.rows_out or 0)


def _read_lineage(records: DataRecords, lineage: Path) -> None:
    """Count events and choose, by a hash of their ids, the rows to show."""
    changed: Counter[str] = Counter()
    chosen: dict[str, list[tuple[str, Dropped]]] = {}
    altered: dict[str, str] = {}
    for entry in _entries(lineage):
        operator = entry["operator"]
        if records.is_mixed_in(entry["row_id"]):
            continue
        changed[operator] += entry["event"] == "changed"
        if entry["event"] != "dropped":
            altered[entry["seed_id"]] = _rank(entry["seed_id"])
            if len(altered) > 50 * SAMPLES:
                altered = dict(nsmallest(SAMPLES, altered.items(), key=lambda item: item[1]))
            continue
        row = Dropped(*(entry[name] for name in ("seed_id", "row_id", "score", "value", "limit")))
        waiting = chosen.setdefault(operator, [])
        waiting.append((_rank(row.row_id), row))
        if len(waiting) > 50 * EXAMPLES:
            chosen[operator] = nsmallest(EXAMPLES, waiting, key=lambda item: item[0])
        if row.score and row.value is not None:
            sample = records.scores.setdefault((operator, row.score), ScoreSample())
            sample.add(row.row_id, [row.value], kept=False)
            sample.add_limit(row.limit)
        limits = records.limits.setdefault(operator, Counter())
        if not row.duplicate_of and (row.limit in limits or len(limits) < 20):
            limits[row.limit or ""] += 1
    for operator, waiting in chosen.items():
        records.dropped[operator] = [row for _, row in nsmallest(EXAMPLES, waiting, key=lambda item: item[0])]
    records.changed = [name for name, _ in nsmallest(SAMPLES, altered.items(), key=lambda item: item[1])]
    calls = Counter(step.name for step in records.steps)
    for step in records.steps:
        step.changed, step.calls = changed[step.name], calls[step.name]


def _entries(lineage: Path) -> Iterator[dict[str, Any]]:
    """A lineage's entries."""
    try:
        with ParquetFile(lineage, page_checksum_verification=True) as file:
            for batch in file.iter_batches(20_000):
                yield from batch.to_pylist()
    except (OSError, ArrowException) as error:
        raise UserError(f"{lineage}: damaged ({one_line(error)}); {remake(lineage)}") from error


def _pair_up(records: DataRecords, dropped: list[Dropped], twins: dict[str, dict[str, Any]]) -> None:
    """Set beside each dropped near-duplicate the kept row that is most like it."""
    for row in dropped:
        if twin := twins.get(row.row_id):
            row.duplicate_of, row.is_guess = twin["id"], True
            records.made_rows[twin["id"]] = twin


def _read_made(records: DataRecords, files: list[Path], shown: set[str], search: TwinSearch) -> None:
    """The scores of the rows that were kept, and the rows before sharding of those that are shown."""
    by_name: dict[str, list[ScoreSample]] = {}
    for (_, name), sample in records.scores.items():
        by_name.setdefault(name, []).append(sample)
    for row in _rows(files):
        search.see(row)
        if row["id"] in shown or row.get("seed_id", row["id"]) in shown:
            records.made_rows[row["id"]] = row
        for name, value in row.get("stats", {}).items():
            if name not in by_name:
                by_name[name] = [records.scores.setdefault(("", name), ScoreSample())]
            values = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int | float)]
            for sample in by_name[name]:
                sample.add(row["id"], values, kept=True)


def _read_final(records: DataRecords, files: list[Path]) -> None:
    """The final rows of the seed rows that are shown, and the words of the first rows."""
    wanted = array([*records.samples, *records.changed])
    columns = ["id", "seed_id", "messages"]
    scanner = dataset.dataset(files).scanner(columns=columns, filter=compute.field("seed_id").isin(wanted))
    for batch in scanner.to_batches():
        for row in batch.to_pylist():
            if not records.is_mixed_in(row["id"]):
                records.final_rows.setdefault(row["seed_id"], []).append(row)
    for rows in records.final_rows.values():
        rows.sort(key=lambda row: row["id"])
    for messages in _first_messages(files):
        records.words.rows += 1
        for message in messages:
            is_answer = message["role"] == "assistant"
            counts = records.words.answered if is_answer else records.words.asked
            words = _WORD.findall(message["content"].replace(IMAGE_MARK, " ").lower())
            counts.update(word for word in words if word not in COMMON)
            if is_answer:
                records.words.answers[message["content"][:80]] += 1


def _first_messages(files: list[Path]) -> Iterator[list[dict[str, str]]]:
    """The messages of the first rows, as many from each shard."""
    for file in files:
        left = _TEXT_ROWS // len(files)
        with ParquetFile(file) as shard:
            for batch in shard.iter_batches(1024, columns=["messages"]):
                yield from batch.column("messages").to_pylist()[:left]
                left -= batch.num_rows
                if left <= 0:
                    break


def _read_events(records: DataRecords, lineage: Path) -> None:
    """The lineage of the seed rows that are shown."""
    wanted = array([*records.samples, *records.changed])
    scanner = dataset.dataset(lineage).scanner(filter=compute.field("seed_id").isin(wanted))
    for batch in scanner.to_batches():
        for entry in batch.to_pylist():
            if not records.is_mixed_in(entry["row_id"]):
                records.events.setdefault(entry["seed_id"], []).append(entry)


def _read_quarantine(records: DataRecords, path: Path) -> None:
    """The records that were left out when the seed was read."""
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                records.quarantined += 1
                if len(records.quarantine) < 2 * EXAMPLES:
                    records.quarantine.append(json.loads(line))
