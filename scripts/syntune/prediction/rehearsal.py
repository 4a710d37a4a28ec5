"""What must work before a run is worth its cost: every benchmark is readable, and the checkpoint loads and answers."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch

from syntune.benchmarks.names import listed
from syntune.benchmarks.protocol import Protocol, Question
from syntune.errors import UserError
from syntune.models.adapters import ADAPTER_CONFIG, apply_adapter
from syntune.models.checkpoints import Loaded, check_chain, load_chain
from syntune.models.eight_bits.linear import hold_in_eight_bits
from syntune.models.family import Processor, Row
from syntune.prediction.answering import Answerer
from syntune.prediction.plan import by_image, hash_images
from syntune.settings.pixels import AS_VIEWERS, PixelSettings

logger = logging.getLogger(__name__)

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1}
"""How far merged logits may lie from unmerged ones, as a share of their size; merged weights are rounded."""


def check_benchmark(protocol: Protocol, threads: int) -> list[Question]:
    """Read a benchmark's questions and decode every image that they are about; returns the questions.

    Raises:
        UserError: files are not as the protocol wants them, images are missing or unreadable.
    """
    questions = protocol.questions()
    protocol.check_images(questions)
    by_file = {question.image: question for question in questions}

    def fault(question: Question) -> str | None:
        try:
            protocol.open_image(question)
        except UserError as error:
            return f"question {question.id}: {error}"
        return None

    with ThreadPoolExecutor(threads) as pool:
        faults = [found for found in pool.map(fault, by_file.values()) if found]
    if faults:
        raise UserError(
            f"benchmark {protocol.name}: {len(faults)} of {len(by_file)} images cannot be used ({listed(faults)})"
        )
    logger.info("benchmark %s: %d questions, %d images, all readable", protocol.name, len(questions), len(by_file))
    return questions


def answer_two(
    loaded: Loaded, protocol: Protocol, questions: Sequence[Question], threads: int, pixels: PixelSettings = AS_VIEWERS
) -> int:
    """Answer the first question and the one with the longest prompt, as prediction does; returns how many that were."""
    longest = max(questions, key=lambda question: len(question.prompt))
    two = {question.id: question for question in (questions[0], longest)}
    open_image = partial(protocol.open_image, pixels=pixels)
    answerer = Answerer(loaded, protocol.decoding()["max_new_tokens"], open_image, threads)
    groups = by_image(hash_images(list(two.values()), pixels))
    answers = [pair for batch in answerer.answer(groups, batch_size=2) for pair in batch]
    for hashed, answer in answers:
        protocol.extract(hashed.question, answer.text)
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
    apart = _apart(merged, unmerged)
    if not apart <= TOLERANCE[dtype]:
        raise UserError(
            f"{adapter}: merged into its base, its logits differ from the unmerged ones by {apart:.2g} of their size "
            f"(allowed: {TOLERANCE[dtype]:g}), so what would be evaluated is not what was trained"
        )


def _apart(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """How far logits lie from others, as a share of their size."""
    return ((found - wanted).norm() / wanted.norm()).item()


def rehearse(
    protocols: Sequence[Protocol],
    checkpoints: Sequence[Path],
    device: torch.device,
    dtype: torch.dtype,
    threads: int,
    pixels: PixelSettings = AS_VIEWERS,
    base_precision: str = "bf16",
) -> dict[str, Any]:
    """Check every benchmark, load the checkpoints and ask two questions of each; returns what was checked.

    If the last checkpoint is an adapter, it is loaded twice, one after the other: on the checkpoints before it as it
    was trained, and merged into them, as it will answer. Where it was trained on a base in 8 bits, it is told how far
    its logits there lie from those that it will answer by.

    Args:
        protocols: the benchmarks.
        checkpoints: a full checkpoint, then what was trained on it, in order.
        device: where the model answers.
        dtype: in which arithmetic.
        threads: threads that decode images.
        pixels: how images are seen.
        base_precision: in which the last checkpoint was trained, for its base's products.

    Raises:
        UserError: anything is not as prediction will need it.
    """
    asked = {protocol: check_benchmark(protocol, threads) for protocol in protocols}
    checked: dict[str, Any] = {"benchmarks": {}}
    check_chain(checkpoints)
    *before, last = checkpoints
    is_compared = bool(asked) and (last / ADAPTER_CONFIG).is_file() and bool(before)
    if is_compared:
        base = load_chain(before, dtype, checked=True)
        row = _first_row(asked, base.processor)
        model = apply_adapter(base.model, last, base.family).to(device).eval()
        unmerged = logits_of(model, base.processor, row)
        checked["adapter"] = {"tensors": sum(".lora_" in name for name, _ in model.named_parameters())}
        rounded = None
        if base_precision != "bf16":
            hold_in_eight_bits(model, base.model, base.family, base_precision, device)
            rounded = logits_of(model, base.processor, row)
        del base, model
    loaded = load_chain(checkpoints, dtype, device, checked=True)
    checked["family"] = loaded.family.name
    logger.info("loaded %s", " + ".join(map(str, checkpoints)))
    if is_compared:
        merged = logits_of(loaded.model, loaded.processor, row)
        check_merged(last, unmerged, merged, dtype)
        checked["adapter"]["merged and unmerged logits"] = "agree"
        if rounded is not None:
            apart = round(_apart(rounded, merged), 4)
            checked["adapter"][f"logits on the base in {base_precision} and merged logits"] = f"{apart} apart"
            logger.info("base_precision %s: the logits of training are %g of their size apart from those that answer",
                        base_precision, apart)  # fmt: skip
    for protocol, questions in asked.items():
        checked["benchmarks"][protocol.name] = {
            "protocol": protocol.label(),
            "questions": len(questions),
            "images": len({question.image for question in questions}),
            "answered": answer_two(loaded, protocol, questions, threads, pixels),
        }
    return checked


def _first_row(asked: dict[Protocol, list[Question]], processor: Processor) -> Row:
    """The model inputs of the first question of all."""
    protocol, questions = next(iter(asked.items()))
    return processor.encode_prompt(questions[0].prompt, [protocol.open_image(questions[0])])
