"""The dataset's card: ``README.md`` beside the shards, so that ``load_dataset(FOLDER)`` needs no arguments.

The metadata on top is that of the Hugging Face Hub's dataset cards: the configuration's files, features and splits. The
text holds no date and no path of this machine: the same work gives the same bytes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from datasets import DatasetInfo, Features
from datasets.splits import SplitDict, SplitInfo

from syntune import formats
from syntune.artifacts.manifests import Manifest
from syntune.settings.datasets import DatasetSettings

CARD = "README.md"

_TEXT = """\
# {name}

{rows} for training a vision-language model, made by Syntune.

```python
from datasets import load_dataset

rows = load_dataset("PATH_OF_THIS_FOLDER", split="train")  # images decoded; streaming=True reads them one by one
```

| column | holds |
|---|---|
| `id` | the row's name |
| `seed_id` | the seed row that it was made from |
| `images` | image files, bytes unchanged |
| `messages` | turns of `user` and `assistant`; `<image>` where an image stands |

## Where it comes from

{sources}

## How it was made

{process}

## What it holds

{statistics}

## Rows left out

{dropped}
"""


def write_card(
    folder: Path,
    *,
    name: str,
    settings: DatasetSettings,
    features: Features,
    sources: Mapping[str, Manifest],
    details: dict[str, Any],
    rows: int,
    dropped: Mapping[str, int],
) -> Path:
    """Write the card of the shards that lie in ``folder``; ``sources`` are the manifests of the rows, by name."""
    size = sum(file.stat().st_size for file in folder.glob("*.parquet"))
    text = _TEXT.format(
        name=name,
        rows=formats.plural(rows, "row"),
        sources=_sources(sources, settings),
        process=_process(sources["rows"]),
        statistics=_table("what", _figures(rows, details)),
        dropped=_dropped({**_earlier(sources["rows"]), **{("shard", key): n for key, n in dropped.items()}}),
    )
    card = folder / CARD
    card.write_text(f"---\n{_metadata(settings, features, rows, size)}---\n\n{text}", encoding="utf-8")
    return card


def _metadata(settings: DatasetSettings, features: Features, rows: int, size: int) -> str:
    """The card's YAML."""
    splits = SplitDict()
    splits.add(SplitInfo("train", num_examples=rows, num_bytes=size))
    info = DatasetInfo(features=features, splits=splits, download_size=size, dataset_size=size)
    metadata = {
        **({"license": settings.license} if settings.license else {}),
        "task_categories": ["image-text-to-text"],
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": "shard-*.parquet"}], "default": True}
        ],
        "dataset_info": info._to_yaml_dict(),
    }
    return yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)


def _sources(sources: Mapping[str, Manifest], settings: DatasetSettings) -> str:
    """The rows' origins, each with its content hash."""
    lines = [f"- seed `{settings.seed}`"]
    for key, manifest in sources.items():
        what = "its rows" if key == "rows" else f"rows mixed in from `{key.removeprefix('mix.')}`"
        lines.append(f"- {what}: content `{manifest.content}`, {formats.plural(manifest.rows_out or 0, 'row')}")
    return "\n".join(lines)


def _process(rows: Manifest) -> str:
    """The recipe's operators with their parameters."""
    process = rows.settings.get("process")
    if not process:
        return "The seed's rows as they are; no recipe."
    listing = yaml.safe_dump({"process": process}, sort_keys=False, allow_unicode=True, default_flow_style=False)
    return f"By this Data-Juicer recipe:\n\n```yaml\n{listing}```"


def _figures(rows: int, details: dict[str, Any]) -> dict[str, int | float | str]:
    """The figures that fit on a line each."""
    return {
        "rows": formats.count(rows),
        "distinct images": formats.count(details["images"]),
        "answers": formats.count(details["answers"]),
        "distinct answers": formats.count(details["distinct_answers"]),
        "words an answer, mean": details["mean_answer_words"],
        "images a row": formats.plain(details["images_per_row"]),
        "image formats": formats.plain(details["image_formats"]),
        "scripts of the answers": formats.plain(details["scripts"]),
        "rows equal to an earlier one": formats.count(details["duplicate_rows"]),
    }


def _earlier(rows: Manifest) -> dict[tuple[str, str], int]:
    """What the stage that made the rows dropped, by stage and reason."""
    return {(rows.stage, reason): count for reason, count in rows.dropped.items()}


def _dropped(dropped: Mapping[tuple[str, str], int]) -> str:
    """Stages, reasons and counts."""
    if not dropped:
        return "None."
    rows = "\n".join(f"| {stage} | {reason} | {formats.count(count)} |" for (stage, reason), count in dropped.items())
    return f"| stage | reason | rows |\n|---|---|---|\n{rows}"


def _table(heading: str, figures: Mapping[str, int | float | str]) -> str:
    """A table of two columns."""
    return f"| {heading} | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in figures.items())
