"""A row's story: the seed row, what each operator did to it, and where its final rows are.

Everything is read in passes over the files; in memory are the entries of one seed row.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from heapq import nlargest
from os.path import commonprefix
from pathlib import Path
from typing import Any

from pyarrow import compute, dataset
from pyarrow.parquet import ParquetFile

from syntune import formats
from syntune.artifacts.manifests import Manifest, read_manifest
from syntune.errors import UserError
from syntune.files import read_jsonl

_NEAR = 200
"""Names, at most, that are compared letter by letter with one that is not there."""


@dataclass(frozen=True)
class FinalRow:
    """A row of the shards: its id, its file, its number there and its messages."""

    id: str
    shard: Path
    index: int
    messages: list[dict[str, str]]


@dataclass(frozen=True)
class Story:
    """All that is known of a seed row in a dataset."""

    dataset: str
    seed: str
    seed_id: str
    row: dict[str, Any] | None
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    final: list[FinalRow] = field(default_factory=list)


def trace_row(name: str, row_id: str, results: Path) -> Story:
    """Follow a row, named by its seed row's id or by its own, through a dataset.

    Raises:
        UserError: there is no such dataset, or no such row; the message then gives near names.
    """
    path = results / f"data/{name}.manifest.json"
    if not path.exists():
        made = sorted(file.name.removesuffix(".manifest.json") for file in path.parent.glob("*.manifest.json"))
        raise UserError(f"{path}: there is no dataset {name}; there are: {', '.join(made) or 'none'}")
    manifest = read_manifest(path)
    shards = [path.parent / part.path for part in manifest.parts if part.path.endswith(".parquet")]
    lineage = results / f"data/{name}.lineage.parquet"
    mixed = _taken_from(row_id, list(manifest.settings["mix"]))
    seed_id = _seed_id_of(row_id, shards, lineage)
    for seed in _seeds(manifest, results, mixed):
        row, quarantined = _in_seed(seed, seed_id, results)
        if row or quarantined:
            events = _events(lineage, seed_id, mixed, list(manifest.settings["mix"]))
            return Story(name, seed, seed_id, row, quarantined, events, list(_final_rows(shards, seed_id, mixed)))
    near = near_names(row_id, _ids(_seeds(manifest, results, mixed), shards, results))
    hint = f"; near names: {', '.join(near)}" if near else ""
    raise UserError(f"dataset {name}: no row, seed row or lineage has the id {row_id}{hint}")


def near_names(wanted: str, ids: Iterator[str], count: int = 5) -> list[str]:
    """The ids that look most like ``wanted``: of those that begin alike or hold it, the closest."""
    lower = wanted.lower()
    alike = nlargest(
        _NEAR,
        dict.fromkeys(ids),
        key=lambda name: (
            lower in name.lower(),
            len(commonprefix([lower, name.lower()])),
            -abs(len(name) - len(wanted)),
        ),
    )
    return get_close_matches(wanted, alike, count, cutoff=0.5)


def _seed_id_of(row_id: str, shards: list[Path], lineage: Path) -> str:
    """The seed row that a row came from; ``row_id`` itself where nothing names another."""
    for source in (dataset.dataset(shards), dataset.dataset(lineage)):
        column = "row_id" if "row_id" in source.schema.names else "id"
        if "seed_id" in source.schema.names:
            found = source.scanner(columns=["seed_id"], filter=compute.field(column) == row_id).head(1).to_pylist()
            if found:
                return found[0]["seed_id"]
    return row_id


def _seeds(manifest: Manifest, results: Path, mixed: str | None) -> list[str]:
    """The seeds in question: the dataset's own or, of a mixed row, that of the dataset it was taken from."""
    own = manifest.settings["seed"]
    if mixed is None:
        others = [other for name in manifest.settings["mix"] if (other := _seed_of_mixed(name, manifest, results))]
        return list(dict.fromkeys([own, *others]))
    return [_seed_of_mixed(mixed, manifest, results) or own]


def _seed_of_mixed(name: str, manifest: Manifest, results: Path) -> str | None:
    """The seed of a dataset that is mixed in: the one whose content its rows were made from."""
    content = manifest.inputs.get(f"mix.{name}")
    synthesis = results / f"synth/{name}.manifest.json"
    if synthesis.exists() and (made := read_manifest(synthesis)).content == content:
        content = made.inputs.get("seed")
    for path in sorted((results / "seed").glob("*.manifest.json")):
        if (seed := read_manifest(path)).content == content:
            return seed.name
    return None


def _in_seed(seed: str, seed_id: str, results: Path) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """A seed's row of an id, and what ingestion left out under that id."""
    quarantine = results / f"seed/{seed}.quarantine.jsonl"
    kept_out = (
        [record for record in read_jsonl(quarantine) if record.get("id") == seed_id] if quarantine.exists() else []
    )
    written = json.dumps(seed_id, ensure_ascii=False)
    for file in _chunks(seed, results):
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                if written in line and (row := json.loads(line))["id"] == seed_id:
                    return row, kept_out
    return None, kept_out


def _chunks(seed: str, results: Path) -> list[Path]:
    """The files of a seed's rows."""
    path = results / f"seed/{seed}.manifest.json"
    return [path.parent / part.path for part in read_manifest(path).parts if part.path.endswith(".jsonl")]


def _events(lineage: Path, seed_id: str, mixed: str | None, others: list[str]) -> list[dict[str, Any]]:
    """The lineage's entries of a seed row, in order; of a mixed row, those of the dataset that it was taken from."""
    entries = dataset.dataset(lineage).to_table(filter=compute.field("seed_id") == seed_id).to_pylist()
    return [entry for entry in entries if mixed is None or _taken_from(entry["row_id"], others) == mixed]


def _taken_from(row_id: str, others: list[str]) -> str | None:
    """The dataset that a mixed row's id names."""
    return next((other for other in others if row_id.startswith(f"{other}/")), None)


def _final_rows(shards: list[Path], seed_id: str, mixed: str | None) -> Iterator[FinalRow]:
    """The rows of the shards that came from a seed row; no image is read."""
    for shard in shards:
        with ParquetFile(shard) as file:
            first = 0
            for group in range(file.num_row_groups):
                ids = file.read_row_group(group, columns=["id", "seed_id"]).to_pylist()
                hits = [
                    index
                    for index, row in enumerate(ids)
                    if row["seed_id"] == seed_id and (mixed is None or row["id"].startswith(f"{mixed}/"))
                ]
                messages = file.read_row_group(group, columns=["messages"])["messages"] if hits else None
                for index in hits:
                    yield FinalRow(ids[index]["id"], shard, first + index, messages[index].as_py())
                first += len(ids)


def _ids(seeds: list[str], shards: list[Path], results: Path) -> Iterator[str]:
    """Every id that could have been meant."""
    for seed in seeds:
        for file in _chunks(seed, results):
            yield from (row["id"] for row in read_jsonl(file))
    for shard in shards:
        with ParquetFile(shard) as file:
            for batch in file.iter_batches(columns=["id"]):
                yield from batch.column("id").to_pylist()


def told(story: Story) -> str:
    """A story as a person reads it."""
    lines = [f"{story.seed_id}: a row of the seed {story.seed}, followed through the dataset {story.dataset}", ""]
    if story.row:
        lines += ["The seed row", *_indented(story.row["text"])]
        lines += [
            f"  image {path} (sha256 {formats.short_hash(sha256)})"
            for path, sha256 in zip(story.row["images"], story.row["image_sha256"], strict=True)
        ]
    for record in story.quarantined:
        lines += [f"Left out when the seed was read: {record['reason']}", f"  {record['where']}: {record['message']}"]
    lines += ["", "What was done to it", *([_event(entry) for entry in story.events] or ["  nothing"])]
    lines += ["", f"{formats.plural(len(story.final), 'row')} in the shards"]
    for row in story.final:
        lines.append(f"  {row.id}: {row.shard}, row {row.index}")
        for message in row.messages:
            lines += _indented(f"{message['role']}: {message['content']}", "    ")
    return "\n".join(lines)


def _event(entry: dict[str, Any]) -> str:
    """An entry of the lineage on one line; a score has the digits of its limit, to which it may be close."""
    score = f", {entry['score']} {entry['value']:.6g}" if entry["score"] else ""
    limit = f" ({entry['limit']})" if entry["limit"] else ""
    return f"  {entry['operator']}: {entry['event']} {entry['row_id']}{score}{limit}"


def _indented(text: str, by: str = "  ") -> list[str]:
    """A text's lines; what a terminal would obey instead of print is escaped."""
    return [by + "".join(_shown(letter) for letter in line) for line in text.splitlines()]


def _shown(letter: str) -> str:
    """A character as it is, or its escape if it is not printable."""
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()
