"""The page: one HTML file that needs nothing else, below 2 MB whatever the dataset's size."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from syntune import formats
from syntune.data_page.drawings import draw_counts, draw_flow, draw_scores, score_text
from syntune.data_page.records import DataRecords, Dropped, FlowStep
from syntune.data_page.remarks import remarks
from syntune.files import atomic_file
from syntune.pages.templates import environment
from syntune.pages.thumbnails import Thumbnails

HERE = Path(__file__).parent

_ROWS_SHOWN = 3
"""Final rows that are shown of one seed row."""


@dataclass(frozen=True)
class Picture:
    """An image on the page; ``source`` is None where it could not be shown."""

    source: str | None
    name: str


@dataclass(frozen=True)
class ShownRow:
    """A row on the page."""

    id: str
    text: str
    pictures: list[Picture]
    note: str = ""


@dataclass(frozen=True)
class ShownSeedRow:
    """A seed row, what was done to it, and its final rows."""

    seed: ShownRow
    events: list[str]
    final: list[ShownRow]
    more: int


@dataclass(frozen=True)
class Operator:
    """What an operator dropped: figures, histograms, examples, and near-duplicates beside the rows that were kept."""

    name: str
    figures: str
    limits: list[tuple[str, int]]
    histograms: list[Markup]
    examples: list[ShownRow]
    pairs: list[tuple[ShownRow, ShownRow]]


def render_data_page(records: DataRecords, output: Path) -> None:
    """Write the page; every text of the data is escaped, and what can't be seen in it is named."""
    templates = environment(HERE)
    thumbnails = Thumbnails()
    page = templates.get_template("data_page.html.j2").render(
        name=records.shards.name,
        seed=records.seed.name,
        recipe=records.shards.settings.get("recipe"),
        mixed=formats.listing(list(records.shards.settings.get("mix", {}))),
        own_style=Markup((HERE / "data_page.css").read_text(encoding="utf-8")),
        records=records,
        remarks=remarks(records),
        flow=draw_flow(records.steps),
        samples=[_sample(records, name, thumbnails) for name in records.samples],
        changed=[_sample(records, name, thumbnails) for name in records.changed if name not in records.samples],
        operators=list(_operators(records, thumbnails)),
        other_scores=[_histogram(records, key) for key in sorted(records.scores) if not key[0]],
        lengths=_lengths(records.shards.details),
        words={"answers": records.words.answered.most_common(40), "users' turns": records.words.asked.most_common(40)},
        answers=records.words.answers.most_common(15),
        figures=_figures(records),
        formats=formats,
    )
    with atomic_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _pictures(row: dict[str, Any] | None, thumbnails: Thumbnails) -> list[Picture]:
    """The first two images of a row."""
    return [Picture(thumbnails.make(Path(path), path), Path(path).name) for path in (row or {}).get("images", [])[:2]]


def _text(row: dict[str, Any]) -> str:
    """A row's text without Data-Juicer's marks."""
    return row["text"].replace("<__dj__image>", "").replace("<|__dj__eoc|>", "").strip()


def _sample(records: DataRecords, seed_id: str, thumbnails: Thumbnails) -> ShownSeedRow:
    """A seed row before and after."""
    row = records.seed_rows.get(seed_id)
    final = records.final_rows.get(seed_id, [])
    before = (row or {}).get("image_sha256")
    shown = []
    for one in final[:_ROWS_SHOWN]:
        made = records.made_rows.get(one["id"])
        pictures = _pictures(made, thumbnails) if made and made["image_sha256"] not in (before, []) else []
        text = "\n".join(f"{message['role']}: {message['content']}" for message in one["messages"])
        note = "" if one["messages"] and (not made or made["images"]) else "no image"
        shown.append(ShownRow(one["id"], text, pictures, note))
    events = [_event(entry, seed_id) for entry in records.events.get(seed_id, [])]
    seed = ShownRow(seed_id, _text(row) if row else "", _pictures(row, thumbnails))
    return ShownSeedRow(seed, events, shown, len(final) - len(shown))


def _event(entry: dict[str, Any], seed_id: str) -> str:
    """What was done to a row, in a line."""
    which = "" if entry["row_id"] == seed_id else f" {entry['row_id']}"
    score = f": {entry['score']} {score_text(entry['value'])}" if entry["score"] else ""
    limit = f" ({entry['limit']})" if entry["limit"] else ""
    return f"{entry['operator']} {entry['event']}{which}{score}{limit}"


def _operators(records: DataRecords, thumbnails: Thumbnails) -> Iterator[Operator]:
    """Each operator that dropped rows, in the order of the steps."""
    order = [step.name for step in records.steps]
    for name in sorted(records.dropped, key=[*order, *records.dropped].index):
        steps = [step for step in records.steps if step.name == name]  # a recipe may call an operator again
        examples = [row for row in records.dropped[name] if not row.duplicate_of]
        yield Operator(
            name=name,
            figures=formats.listing([_share(step) for step in steps if step.dropped]),
            limits=[pair for pair in records.limits.get(name, {}).items() if pair[0]],
            histograms=[_histogram(records, key) for key in records.scores if key[0] == name],
            examples=[_dropped(records, row, thumbnails) for row in examples],
            pairs=[_pair(records, row, thumbnails) for row in records.dropped[name] if row.duplicate_of],
        )


def _share(step: FlowStep) -> str:
    """How many rows a step dropped."""
    return f"{formats.plural(step.dropped, 'row')}, {formats.percent(step.dropped / max(1, step.rows_in))}"


def _histogram(records: DataRecords, key: tuple[str, str]) -> Markup:
    """The scores of kept and dropped rows."""
    bins = records.scores[key].bins()
    return draw_scores(bins, key[1]) if bins else Markup("")


def _dropped(records: DataRecords, row: Dropped, thumbnails: Thumbnails) -> ShownRow:
    """A dropped row, shown as the seed row that it came from."""
    seed = records.seed_rows.get(row.seed_id)
    score = f"{row.score} {score_text(row.value)}" if row.score else ""
    note = ", ".join(part for part in (score, row.limit or "") if part)
    return ShownRow(row.row_id, _text(seed) if seed else "", _pictures(seed, thumbnails), note)


def _pair(records: DataRecords, row: Dropped, thumbnails: Thumbnails) -> tuple[ShownRow, ShownRow]:
    """A near-duplicate and the row that was kept."""
    kept = row.duplicate_of or ""
    twin = records.made_rows.get(kept) or records.seed_rows.get(kept) or records.seed_rows.get(kept.split("#")[0])
    return (
        _dropped(records, row, thumbnails),
        ShownRow(
            kept,
            _text(twin) if twin else "",
            _pictures(twin, thumbnails),
            "kept; of all kept rows most like it" if row.is_guess else "kept",
        ),
    )


def _lengths(details: dict[str, Any]) -> list[Markup]:
    """The histograms of the shards' statistics."""
    titles = {
        "question_words": "words in a user's turn, up to",
        "answer_words": "words in an answer, up to",
        "longer_side": "longer side of a distinct image in pixels, up to",
    }
    return [
        draw_counts(details[key]["up_to"], details[key]["counts"], title)
        for key, title in titles.items()
        if key in details
    ]


def _figures(records: DataRecords) -> list[tuple[str, str]]:
    """Figures that fit on a line, of each stage."""
    lines = []
    stages = {manifest.stage: manifest for manifest in (records.seed, records.rows, records.shards)}
    for manifest in stages.values():
        for key, value in manifest.details.items():
            if key == "operators" or value in ({}, [], None) or isinstance(value, dict) and "up_to" in value:
                continue
            text = formats.size(value) if key.endswith("_bytes") else _plain(value)
            lines.append((f"{manifest.stage.replace('_', ' ')}: {key.replace('_', ' ')}", formats.words(text, 300)))
    return lines


def _plain(value: Any) -> str:
    """A figure, or several by name."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_plain(item)}" for key, item in value.items())
    return formats.count(value) if isinstance(value, int) and not isinstance(value, bool) else formats.plain(value)
