"""The prediction file of a run on a benchmark."""

import logging
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from syntune.artifacts.predictions import Prediction
from syntune.benchmarks.protocol import Protocol
from syntune.errors import UserError
from syntune.files import write_jsonl
from syntune.models.checkpoints import load_chain
from syntune.prediction.answering import Answerer
from syntune.prediction.cache import AnswerCache
from syntune.prediction.device import dtype_name
from syntune.prediction.identity import chain_content, engine_content
from syntune.prediction.plan import GeneratedAnswer, HashedQuestion, by_image, content_hash, hash_images, of_slice
from syntune.prediction.progress import Progress
from syntune.settings.pixels import AS_VIEWERS, PixelSettings
from syntune.settings.prediction import PredictionSettings

logger = logging.getLogger(__name__)


def predict(
    protocol: Protocol,
    settings: PredictionSettings,
    *,
    name: str,
    checkpoints: Sequence[Path],
    manifests: Sequence[Path],
    device: torch.device,
    dtype: torch.dtype,
    threads: int,
    slice_index: int,
    cache: Path,
    output: Path,
    pixels: PixelSettings = AS_VIEWERS,
) -> None:
    """Answer the questions of a slice and write a line for each, in the benchmark's order.

    Args:
        protocol: the benchmark.
        settings: batch size and number of slices.
        name: what progress is told of.
        checkpoints: a full checkpoint, then the adapters on it.
        manifests: the manifest of each checkpoint.
        device: where the model answers.
        dtype: in which arithmetic.
        threads: threads that decode images.
        slice_index: which slice, from 0.
        cache: folder of the answers that were given before.
        output: the file to write.
        pixels: how images are seen.

    Raises:
        UserError: checkpoints, questions or images are not as they must be, or a folder cannot be written.
    """
    for folder in (output.parent, cache):
        require_writable(folder)
    content = chain_content(checkpoints, manifests)
    questions = protocol.questions()
    protocol.check_images(questions)
    every = hash_images(questions, pixels, threads)
    asked = of_slice(every, slice_index, settings.slices)
    decoding = protocol.decoding() | {"dtype": dtype_name(dtype)}
    way = {"model": content, "engine": engine_content(), "decoding": decoding}
    if dtype != torch.float32:
        way["batch_size"] = settings.batch_size  # the shape of the work decides the rounding
    with AnswerCache(cache, way) as answers:
        waiting = [question for question in asked if answers.get(question) is None]
        logger.info("%s: %d questions, %d of them answered before", name, len(asked), len(asked) - len(waiting))
        if waiting:
            loaded = load_chain(checkpoints, dtype, device, checked=True)  # by chain_content
            open_image = partial(protocol.open_image, pixels=pixels)
            answerer = Answerer(loaded, decoding["max_new_tokens"], open_image, threads)
            with Progress(name, len(waiting), "questions") as progress:
                for batch in answerer.answer(by_image(waiting), settings.batch_size):
                    answers.add(batch)
                    progress.add(len(batch))
        shared = {"adapter": content, "benchmark": content_hash(every), "decoding": decoding}
        lines = [_line(question, answers.get(question), shared) for question in asked]
        write_jsonl(output, [line.as_written() for line in lines])


def _line(hashed: HashedQuestion, answer: GeneratedAnswer, shared: dict[str, Any]) -> Prediction:
    """One line of the file; ``shared`` is what all lines have."""
    return Prediction(
        question_id=hashed.question.id,
        prompt=hashed.question.prompt,
        text=answer.text,
        tokens=answer.tokens,
        **shared,
        **({"near_tie": True} if answer.near_tie else {}),
        **dict(hashed.seen),
    )


def require_writable(folder: Path) -> None:
    """Refuse, before anything is spent, a folder that cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); make it writable, or put a link in its place"
        ) from error
