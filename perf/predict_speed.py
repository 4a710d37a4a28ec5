"""Speed of answering at MGM-2B's full size, with random weights: in batches, as prediction does, against one by one.

    python perf/predict_speed.py                        # on a GPU
    python perf/predict_speed.py --batch-sizes 16,64    # several batch sizes, one after another
    python perf/predict_speed.py --size tiny            # the same code in seconds, on a CPU

The questions have TextVQA's shape: 1.58 questions an image (5,000 on 3,166), an image and a prompt of 25 to 160 tokens
with OCR tokens, 60 in the mean. Every answer is forced to the same number of tokens. One by one is the reference's
evaluation loop: batch 1, the image encoded anew for each question; it runs on this project's model, whose mining is
cheaper than the reference's. Both are timed from preprocessed images in the host's memory to answers: moving pixels,
vision towers, prefill and decoding count; decoding and resizing image files, which other threads do ahead, does not.
Before it is timed, each batch size answers all questions once: a number of images that the towers have not seen before
costs seconds, once.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import torch

from syntune.benchmarks.protocol import Question
from syntune.models.checkpoints import Loaded
from syntune.models.family import Row
from syntune.models.mgm.configuration_mgm import MgmConfig
from syntune.models.mgm.expansion import IMAGE_TOKEN
from syntune.models.mgm.family import MgmFamily
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.processing_mgm import MgmProcessor
from syntune.models.mgm.tiny import tiny_config
from syntune.prediction.answering import Answerer
from syntune.prediction.plan import HashedQuestion, by_image

GIB = 2**30
IMAGES_TO_QUESTIONS = 3166 / 5000


class Ids:
    """What answering needs of a processor where there is no tokenizer: an answer's text is its ids."""

    collate = MgmProcessor.collate

    def decode(self, ids: list[int]) -> str:
        """The ids as text."""
        return " ".join(map(str, ids))


class Prepared(Answerer):
    """Takes the model's inputs from memory instead of image files."""

    rows: dict[int, Row]

    def _encoded(self, groups: list[list[HashedQuestion]], ahead: int) -> Iterator[tuple[HashedQuestion, Row]]:
        for group in groups:
            for asked in group:
                yield asked, self.rows[asked.question.id]


def build(full: bool, device: torch.device) -> MgmForConditionalGeneration:
    """The model with random weights, made where it stays."""
    torch.manual_seed(0)
    standard = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if full else torch.float32)
    try:
        with device:
            model = MgmForConditionalGeneration(MgmConfig() if full else tiny_config(503, 64, 2))
    finally:
        torch.set_default_dtype(standard)
    return model.eval()


def questions(config: MgmConfig, count: int, dtype: torch.dtype) -> tuple[list[HashedQuestion], dict[int, Row]]:
    """Questions of TextVQA's shape, and each one's inputs; questions about an image share its pixels."""
    generator = torch.Generator().manual_seed(0)
    lengths = (torch.randn(count, generator=generator) * 0.45 + 4.0).exp().clamp(25, 160).int().tolist()
    images = [
        {
            name: torch.randn(1, 3, side, side, generator=generator).to(dtype)
            for name, side in (
                ("images", config.vision_config.image_size),
                ("images_aux", config.image_size_aux),
            )
        }
        for _ in range(round(count * IMAGES_TO_QUESTIONS))
    ]
    asked, rows = [], {}
    for number, length in enumerate(lengths):
        image = number % len(images)
        ids = torch.randint(5, config.text_config.vocab_size, (length + 1,), generator=generator)
        ids[3] = IMAGE_TOKEN
        asked.append(HashedQuestion(Question(number, prompt="x" * length, image=b""), str(image)))
        rows[number] = {"input_ids": ids, **images[image]}
    return asked, rows


def one_by_one(model: Any, rows: dict[int, Row], tokens: int) -> dict[int, str]:
    """Each question alone, its image encoded anew."""
    answers = {}
    for number, row in rows.items():
        inputs = {name: tensor.to(model.device) for name, tensor in row.items()}
        ids = inputs.pop("input_ids")[None]
        new = model.generate(ids, torch.ones_like(ids), **inputs, max_new_tokens=tokens, do_sample=False)
        answers[number] = Ids().decode(new[0].tolist())
    return answers


def batched(answerer: Prepared, asked: list[HashedQuestion], batch_size: int) -> dict[int, str]:
    """All questions as prediction answers them."""
    batches = answerer.answer(by_image(asked), batch_size)
    return {one.question.id: answer.text for batch in batches for one, answer in batch}


def timed(device: torch.device, count: int, call: Any, *args: Any) -> tuple[dict[int, str], dict[str, float | None]]:
    """The answers of a call; questions per second and peak memory."""
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    answers = call(*args)  # ends with ids on the host
    spent = time.perf_counter() - start
    peak = round(torch.cuda.max_memory_allocated() / GIB, 2) if on_gpu else None
    return answers, {"samples_per_second": round(count / spent, 2), "seconds": round(spent, 2), "peak_gib": peak}


def main(args: argparse.Namespace) -> None:
    """Measure both ways and print a line of JSON for each, then the table."""
    full = args.size == "full"
    if full and not torch.cuda.is_available():
        sys.exit("error: the full size needs a GPU; try --size tiny")
    device = torch.device("cuda" if full else "cpu")
    model = build(full, device)
    model.generation_config.min_new_tokens = args.tokens
    asked, rows = questions(model.config, args.questions, model.dtype)
    answerer = Prepared(Loaded(model, Ids(), MgmFamily()), args.tokens, 1, 1)
    answerer.rows = rows
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    shape = {"device": name, "torch": torch.__version__, "dtype": str(model.dtype), "questions": args.questions}
    print(json.dumps({**shape, "images": len({one.image for one in asked}), "new_tokens": args.tokens}), flush=True)

    first = dict(list(rows.items())[:3])
    one_by_one(model, first, args.tokens)
    alone, slow = timed(device, len(rows), one_by_one, model, rows, args.tokens)
    table = ["| way | samples/s | peak GiB | times as fast |", "|---|---|---|---|"]
    table.append(f"| one by one | {slow['samples_per_second']:g} | {slow['peak_gib'] or ''} | 1 |")
    print(json.dumps({"way": "one by one", **slow}), flush=True)
    for size in map(int, args.batch_sizes.split(",")):
        batched(answerer, asked, size)
        answers, fast = timed(device, len(rows), batched, answerer, asked, size)
        ratio = round(fast["samples_per_second"] / slow["samples_per_second"], 1)
        same = sum(answers[number] == alone[number] for number in rows)
        found = {"way": f"batches of {size}", **fast, "ratio": ratio, "same_answers": same}
        table.append(f"| batches of {size} | {fast['samples_per_second']:g} | {fast['peak_gib'] or ''} | {ratio:g} |")
        print(json.dumps(found), flush=True)
    print("\n".join(table))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", choices=("full", "tiny"), default="full", help="MGM-2B, or a toy for a CPU")
    arguments.add_argument("--questions", type=int, default=128, help="questions that are asked")
    arguments.add_argument("--tokens", type=int, default=8, help="new tokens of every answer")
    arguments.add_argument("--batch-sizes", default="64", help="questions at a time, a,b,c")
    return arguments


if __name__ == "__main__":
    main(parser().parse_args())
