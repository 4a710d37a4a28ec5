"""What must work before a run is worth its cost: every benchmark is readable, and the checkpoint loads and answers."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from syntune.benchmarks.inputs import listed
from syntune.benchmarks.protocol import Protocol, Question
from syntune.errors import UserError
from syntune.models.adapters import ADAPTER_CONFIG, apply_adapter
from syntune.models.checkpoints import Loaded, is_full, load_chain
from syntune.models.family import Processor, Row
from syntune.models.registry import family_of
from syntune.prediction.answering import Answerer
from syntune.prediction.plan import by_image, with_images

logger = logging.getLogger(__name__)

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1}
"""How far merged logits may lie from unmerged ones, as a share of their size; merged weights are rounded."""


def answering_folders(start: Path, checkpoint: Path | None) -> list[Path]:
    """The chain that answers: ``start`` alone, with what was trained on it, or a full checkpoint in its place."""
    if checkpoint is None:
        return [start]
    return [checkpoint] if is_full(checkpoint) else [start, checkpoint]


def check_benchmark(protocol: Protocol, threads: int) -> list[Question]:
    """Read a benchmark's questions and decode every image that they are about; returns the questions.

    Raises:
        UserError: files are not as the protocol wants them, images are missing or unreadable.
    """
    questions = protocol.questions()
    protocol.check_images(questions)
    of_image = {question.image: question for question in questions}

    def fault(question: Question) -> str | None:
        try:
            question.open_image(protocol.settings.max_pixels)
        except UserError as error:
            return f"question {question.id}: {error}"
        return None

    with ThreadPoolExecutor(threads) as pool:
        faults = [found for found in pool.map(fault, of_image.values()) if found]
    if faults:
        raise UserError(
            f"benchmark {protocol.name}: {len(faults)} of {len(of_image)} images cannot be used ({listed(faults)})"
        )
    logger.info("benchmark %s: %d questions, %d images, all readable", protocol.name, len(questions), len(of_image))
    return questions


def answer_two(loaded: Loaded, protocol: Protocol, questions: Sequence[Question], threads: int) -> int:
    """Answer the first question and the one with the longest prompt, as prediction does; returns how many that were."""
    two = {question.id: question for question in (questions[0], max(questions, key=lambda of: len(of.prompt)))}
    answerer = Answerer(loaded, protocol.decoding()["max_new_tokens"], protocol.settings.max_pixels, threads)
    answers = [pair for batch in answerer.answer(by_image(with_images(list(two.values()))), 2) for pair in batch]
    for asked, answer in answers:
        protocol.extract(asked.question, answer.text)
    return len(answers)


def logits_of(model: Any, processor: Processor, row: Row) -> torch.Tensor:
    """The logits [tokens, vocabulary] of one prompt, float32."""
    batch = {
        name: tensor.to(model.device, model.dtype if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in processor.collate([row]).items()
    }
    with torch.inference_mode():
        return model(**batch).logits[0].float()


def check_merged(adapter: Path, unmerged: torch.Tensor, merged: torch.Tensor, dtype: torch.dtype) -> None:
    """Refuse an adapter whose merged logits are not its unmerged ones, up to the rounding of ``dtype``."""
    apart = ((merged - unmerged).norm() / unmerged.norm()).item()
    if not apart <= TOLERANCE[dtype]:
        raise UserError(
            f"{adapter}: merged into its base, its logits differ from the unmerged ones by {apart:.2g} of their size "
            f"(allowed: {TOLERANCE[dtype]:g}), so what would be evaluated is not what was trained"
        )


def rehearse(
    protocols: Sequence[Protocol],
    start: Path,
    checkpoint: Path | None,
    device: torch.device,
    dtype: torch.dtype,
    threads: int,
) -> dict[str, Any]:
    """Check every benchmark, load the checkpoint and ask it two questions of each; returns what was checked.

    An adapter is loaded twice, one after the other: as it was trained, and merged, as it will answer.

    Args:
        protocols: the benchmarks.
        start: the base's folder.
        checkpoint: what the rehearsal trained; None for a run that does not train.
        device: where the model answers.
        dtype: in which arithmetic.
        threads: threads that decode images.

    Raises:
        UserError: anything is not as prediction will need it.
    """
    asked = {protocol: check_benchmark(protocol, threads) for protocol in protocols}
    folders = answering_folders(start, checkpoint)
    family = family_of(folders[0])
    checked: dict[str, Any] = {"family": family.name, "benchmarks": {}}
    is_adapter = (folders[-1] / ADAPTER_CONFIG).is_file()
    adapter = folders[-1] if is_adapter and asked else None
    if adapter:
        processor = family.load_processor(start)
        row = _first_row(asked, processor)
        model = apply_adapter(family.load_model(start, dtype), adapter, family).to(device).eval()
        unmerged = logits_of(model, processor, row)
        checked["adapter"] = {"tensors": sum(".lora_" in name for name, _ in model.named_parameters())}
        del model
    loaded = load_chain(folders, dtype, device)
    logger.info("loaded %s", " + ".join(map(str, folders)))
    if adapter:
        check_merged(adapter, unmerged, logits_of(loaded.model, processor, row), dtype)
        checked["adapter"]["merged and unmerged logits"] = "agree"
    for protocol, questions in asked.items():
        checked["benchmarks"][protocol.name] = {
            "protocol": protocol.label(),
            "questions": len(questions),
            "images": len({question.image for question in questions}),
            "answered": answer_two(loaded, protocol, questions, threads),
        }
    return checked


def _first_row(asked: dict[Protocol, list[Question]], processor: Processor) -> Row:
    """The model inputs of the first question of all."""
    protocol, questions = next(iter(asked.items()))
    return processor.encode_prompt(questions[0].prompt, [questions[0].open_image(protocol.settings.max_pixels)])
