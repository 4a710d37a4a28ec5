"""A first config for data of one's own: as few keys as will do, with a training whose size fits the number of rows."""

import json
import math
import re
from collections.abc import Sequence
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
TINY_STEPS, TINY_EPOCHS = 60, 100
"""Of a rehearsal with a tiny model: enough to see the loss fall; passes enough for so many steps of any data."""

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
    epochs = min(math.ceil(WANTED_STEPS * batch / rows), MOST_EPOCHS)
    steps = max(rows * epochs // batch, 1)
    return TrainingSize(batch, epochs, steps, min(max(0.03, round(WARMUP_STEPS / steps, 2)), 0.5))


def held_out(rows: int) -> int:
    """How many of so many rows to keep out of training: a tenth."""
    return min(rows // 10, MOST_HELD_OUT) if rows >= FEWEST_TO_HOLD_OUT else 0


def name_for(path: str) -> str:
    """A name for a seed, its config and its results, after the file or folder."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(path).resolve().stem).strip("-_")[: LONGEST_NAME - 5] or "mine"
    return f"my-{name}" if name in (*OWN, *SHARED, "config") else name


def first_config(
    name: str,
    seed: SeedSettings,
    rows: int,
    faults: Sequence[str],
    has_short_answers: bool,
    base: str | None,
    tiny: bool,
    schema: str,
) -> str:
    """The config as YAML text with comments.

    Args:
        name: of the seed and the dataset.
        seed: where the data lies, as it was read.
        rows: that can be used.
        faults: the keys that say what becomes of the others, of ``bad_record`` and ``bad_image``.
        has_short_answers: whether answers are a word or three, to be told right or wrong.
        base: the base model: a folder, or ``owner/name@commit``. Without one there is a rehearsal of the whole way
            with a tiny model on the CPU.
        tiny: whether that is to run; else it is commented out.
        schema: path of the JSON schema, from the config's folder.
    """
    held = held_out(rows)
    quoted = _quoted(name)
    keys = [f"{key}: {_quoted(value)}" for key, value in seed.model_dump(exclude_defaults=True).items()]
    keys += [f"chunks: {math.ceil(rows / ROWS_PER_CHUNK)}"] if rows > ROWS_PER_CHUNK else []
    keys += [f"{key}: drop  # set aside what cannot be read; the report counts it" for key in faults]
    data = [
        f"# yaml-language-server: $schema={schema}",
        f"# A first config for {rows:,} rows. Every key: docs/reference/config.md",
        f"title: {quoted}",
        "seeds:",
        f"  {quoted}:",
        *(f"    {key}" for key in keys),
        "datasets:",
        f"  {quoted}:",
        f"    seed: {quoted}",
        "    recipe: config/recipes/clean.yaml  # others: docs/how-to/recipes.md",
        f"    shards: {math.ceil(rows / ROWS_PER_SHARD)}",
        *([f"    holdout: {held}  # rows kept out of training, to score the runs on"] if held else []),
    ]
    training = _training(name, rows - held, bool(held), base) if base else _tiny_training(name, bool(held))
    if held:
        protocol = "vqa" if has_short_answers else "caption"
        training += [
            "benchmarks:",
            "  held-out:",
            f"    protocol: {protocol}",
            f"    holdout: {quoted}",
            "    empty_answers: wrong  # one that answers nothing; refuse, the default, would not score the run",
            "# if training stops for held-out questions found in the data: docs/reference/contamination.md",
            "# contamination: {max_share: 0.01, max_questions: 2, max_distance: 40}",
        ]
    if not base and not tiny:
        training = [
            "# To try the whole way on a CPU, take the `# ` off from here on.",
            "# To train a real model, name it: tools/start DATA --base MODEL --force",
            *(f"# {line}" for line in training),
        ]
    return "\n".join([*data, *training]) + "\n"


def _training(name: str, rows: int, is_validated: bool, base: str) -> list[str]:
    """LoRA on a base model, as long as ``rows`` ask for, and the base as it is beside it."""
    size = training_size(rows)
    usual = rows // LARGEST_BATCH
    return [
        "models:",
        f"  base: {_model(base)}",
        "runs:",
        "  before: {method: none, start: base}",
        f"  {_quoted(f'{name}-lora')}:",
        "    method: lora",
        "    start: base",
        f"    dataset: {_quoted(name)}",
        f"    # {rows:,} rows, {size.epochs} times: {size.steps} steps; the defaults, {LARGEST_BATCH} rows a step and "
        f"1 pass, would make {usual}",
        f"    global_batch_size: {size.batch}",
        f"    epochs: {size.epochs}",
        f"    optimizer: {{learning_rate: {LEARNING_RATE:.1e}, warmup_ratio: {size.warmup_ratio}}}",
        "    gradient_checkpointing: true  # slower, but a small card holds it",
        *_steps_between(size.steps, is_validated),
    ]


def _tiny_training(name: str, is_validated: bool) -> list[str]:
    """A model built from scratch that trains for a moment on the CPU, and the same untrained beside it."""
    return [
        "# A rehearsal on a CPU: a tiny model with random weights, a few steps. Its scores mean nothing.",
        "models:",
        f"  base: {{source: tiny, tokenizer_dataset: {_quoted(name)}}}",
        "runs:",
        "  before: {method: none, start: base, gpus: 0}",
        f"  {_quoted(f'{name}-tiny')}:",
        "    method: full",
        "    start: base",
        f"    dataset: {_quoted(name)}",
        "    train_vision: true",
        f"    global_batch_size: {SMALLEST_BATCH}",
        f"    epochs: {TINY_EPOCHS}",
        f"    max_steps: {TINY_STEPS}",
        "    optimizer: {learning_rate: 3.0e-3}",
        "    precision: fp32",
        "    gpus: 0",
        "    workers: 1",
        *_steps_between(TINY_STEPS, is_validated),
    ]


def _steps_between(steps: int, is_validated: bool) -> list[str]:
    """The keys of a run that say how often it saves and validates."""
    save = min(max(steps // 10, 1), TrainedRunSettings.model_fields["save_steps"].default)
    return [
        f"    save_steps: {save}  # what a run that is stopped loses at most",
        *([f"    eval_steps: {math.ceil(steps / 5)}  # the loss on held-out rows"] if is_validated else []),
    ]


def _model(base: str) -> str:
    """The base model's settings."""
    if address := hub_address(base):
        return f"{{source: hub, repo: {address[0]}, revision: {json.dumps(address[1])}}}"
    return f"{{source: local, path: {_quoted(base)}}}  # MGM-2B or another: docs/how-to/other-models.md"


def _quoted(text: str) -> str:
    """A text as YAML: plain where it is safe, else quoted."""
    is_plain = re.fullmatch(r"[A-Za-z_./][\w./@+-]*", text) and text.lower() not in _WORDS
    return text if is_plain else json.dumps(text, ensure_ascii=False)
