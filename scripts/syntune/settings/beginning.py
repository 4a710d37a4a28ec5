"""A first config for data of one's own: as few keys as will do, with a training whose size fits the number of rows."""

import json
import math
import re
from pathlib import Path
from typing import NamedTuple

from syntune.settings.models import hub_address
from syntune.settings.results import OWN, SHARED
from syntune.settings.runs import TrainedRunSettings
from syntune.settings.seeds import SeedSettings
from syntune.settings.strict import LONGEST_NAME

WANTED_STEPS = 200
"""Optimizer steps from which on a training has room to warm up, learn and cool down."""
MOST_EPOCHS = 10
SMALLEST_BATCH, LARGEST_BATCH = 8, TrainedRunSettings.model_fields["global_batch_size"].default
LEARNING_RATE = 2e-4
"""LLaVA's for LoRA adapters; its 2e-5, and MGM's, is for the whole model."""
WARMUP_STEPS = 6

_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
"""What YAML reads as something else than text."""

FEWEST_TO_HOLD_OUT, MOST_HELD_OUT = 20, 500
"""Rows below which none are held out, for they would show nothing; and the most that are."""

ROWS_PER_CHUNK, ROWS_PER_SHARD = 10_000, 20_000


class TrainingSize(NamedTuple):
    """How long and in which steps to train."""

    batch: int
    epochs: int
    steps: int
    warmup_ratio: float


def training_size(rows: int) -> TrainingSize:
    """A size for so many rows: smaller steps and more passes where they are few.

    The batch is the largest power of two of which a pass has half the wanted steps; then passes are added.
    """
    wanted = rows / (WANTED_STEPS / 2)
    batch = 2 ** math.floor(math.log2(min(max(wanted, SMALLEST_BATCH), LARGEST_BATCH)))
    a_pass = math.ceil(rows / batch)
    epochs = min(math.ceil(WANTED_STEPS / a_pass), MOST_EPOCHS)
    steps = epochs * a_pass
    return TrainingSize(batch, epochs, steps, max(0.03, round(WARMUP_STEPS / steps, 2)))


def held_out(rows: int) -> int:
    """How many of so many rows to keep out of training: a tenth."""
    return min(rows // 10, MOST_HELD_OUT) if rows >= FEWEST_TO_HOLD_OUT else 0


def name_for(path: str) -> str:
    """A name for a seed, its config and its results, after the file or folder."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(path).resolve().stem).strip("-_")[: LONGEST_NAME - 5] or "mine"
    return f"my-{name}" if name in (*OWN, *SHARED, "config") else name


def first_config(
    name: str, seed: SeedSettings, rows: int, has_faults: bool, has_short_answers: bool, base: str | None, schema: str
) -> str:
    """The config as YAML text with comments.

    Args:
        name: of the seed and the dataset.
        seed: where the data lies, as it was read.
        rows: that can be read.
        has_faults: whether others cannot.
        has_short_answers: whether answers are a word or three, to be told right or wrong.
        base: the base model: a folder, or ``owner/name@commit``; without one, all that needs it is commented out.
        schema: path of the JSON schema, from the config's folder.
    """
    held = held_out(rows)
    trained = rows - held
    size = training_size(trained)
    run, name = _quoted(f"{name}-lora"), _quoted(name)
    usual = math.ceil(trained / LARGEST_BATCH)
    keys = [f"{key}: {_quoted(value)}" for key, value in seed.model_dump(exclude_defaults=True).items()]
    keys += [f"chunks: {math.ceil(rows / ROWS_PER_CHUNK)}"] if rows > ROWS_PER_CHUNK else []
    keys += ["bad_record: drop  # set aside what cannot be read; the report counts it"] if has_faults else []
    data = [
        f"# yaml-language-server: $schema={schema}",
        f"# A first config for {rows:,} rows. Every key: docs/reference/config.md",
        f"title: {name}",
        "seeds:",
        f"  {name}:",
        *(f"    {key}" for key in keys),
        "datasets:",
        f"  {name}:",
        f"    seed: {name}",
        "    recipe: config/recipes/clean.yaml  # others: docs/how-to/recipes.md",
        f"    shards: {math.ceil(rows / ROWS_PER_SHARD)}",
        *([f"    holdout: {held}  # rows kept out of training, to score the runs on"] if held else []),
    ]
    training = [
        "models:",
        f"  base: {_model(base)}",
        "runs:",
        "  before: {method: none, start: base}",
        f"  {run}:",
        "    method: lora",
        "    start: base",
        f"    dataset: {name}",
        f"    # {trained:,} rows: {size.epochs} x {size.steps // size.epochs} = {size.steps} steps; the defaults, "
        f"{LARGEST_BATCH} rows a step and 1 pass, would make {usual}",
        f"    global_batch_size: {size.batch}",
        f"    epochs: {size.epochs}",
        f"    optimizer: {{learning_rate: {LEARNING_RATE:.1e}, warmup_ratio: {size.warmup_ratio}}}",
        "    gradient_checkpointing: true  # slower, but a small card holds it",
        *([f"    eval_steps: {math.ceil(size.steps / 5)}  # the loss on held-out rows"] if held else []),
    ]
    if held:
        protocol = "vqa" if has_short_answers else "caption"
        training += ["benchmarks:", f"  held-out: {{protocol: {protocol}, holdout: {name}}}"]
    if base is None:
        training = [
            "# To train, put the folder of a base model into the line `base`, and take the `# ` off from here on.",
            *(f"# {line}" for line in training),
        ]
    return "\n".join([*data, *training]) + "\n"


def line_of_base(config: str) -> int:
    """The number of the line that names the base model, from 1."""
    lines = enumerate(config.splitlines(), start=1)
    return next(number for number, line in lines if line.lstrip("# ").startswith("base:"))


def _model(base: str | None) -> str:
    """The base model's settings."""
    if base and (address := hub_address(base)):
        return f"{{source: hub, repo: {address[0]}, revision: {json.dumps(address[1])}}}"
    return f"{{source: local, path: {_quoted(base or 'FOLDER')}}}  # MGM-2B or another: docs/how-to/other-models.md"


def _quoted(text: str) -> str:
    """A text as YAML: plain where it is safe, else quoted."""
    is_plain = re.fullmatch(r"[A-Za-z_./][\w./@+-]*", text) and text.lower() not in _WORDS
    return text if is_plain else json.dumps(text, ensure_ascii=False)
