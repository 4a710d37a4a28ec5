"""Speed of prediction from files to answers, at MGM-2B's full size with random weights.

    python perf/predict_speed.py                     # on a GPU, capped at 23 GiB
    python perf/predict_speed.py --batch-size 64     # fewer questions at a time
    python perf/predict_speed.py --size tiny --questions 30 --pictures 19    # the same code in seconds, on a CPU

It makes a benchmark and a checkpoint, then calls what scripts/predict.py calls. The benchmark has TextVQA's shape:
5,000 questions about 3,166 JPEG files, most of 1024 x 768 pixels, with the spectrum of photographs; prompts with OCR
tokens, 60 tokens in the mean besides the picture's 576. Every answer has as many tokens as the longest of a batch has
in TextVQA, for a batch goes on until its longest answer ends. The clock runs from the first file that is opened to the
last answer on the disk; loading the checkpoint is timed beside it. A few questions are asked before, as a rehearsal
does, so that Triton's kernels are compiled. In the end a part of the questions is asked again, in other company: how
many answers differ, and were they marked as near ties?
"""

import argparse
import gc
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import wraps
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import numpy
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from syntune.artifacts.manifests import Part, write_manifest
from syntune.benchmarks.textvqa import INSTRUCTION, OCR, TextVqa
from syntune.models.mgm.configuration_mgm import MgmConfig
from syntune.models.mgm.family import MgmFamily
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.processing_mgm import MgmProcessor
from syntune.models.mgm.tiny import tiny_config
from syntune.models.mgm.tiny_tokenizer import CONTROL
from syntune.models.mgm.tokenizer import SPECIAL_NAMES, TURN_TOKENS
from syntune.prediction import predictions
from syntune.prediction.answering import Answerer
from syntune.prediction.device import choose_device
from syntune.settings.benchmarks import TextVqaSettings
from syntune.settings.prediction import PredictionSettings
from syntune.settings.reading import read_settings

GIB = 2**30
WORDS = ["".join(letters) for letters in product("bdfgklmnprst", "aeiou", "bdfgklmnprst")]
BLOCK = 50
"""Pictures that are cut from one."""

# -------------------------------------------------------------------------------------------------------- the benchmark


def write_benchmark(folder: Path, questions: int, pictures: int, scale: float, workers: int) -> dict[str, Any]:
    """Question file, annotations and pictures of TextVQA's shape; returns the benchmark's settings."""
    (folder / "images").mkdir(parents=True)
    rng = numpy.random.default_rng(0)
    lengths = numpy.exp(rng.normal(3.2, 0.6, questions)).clip(8, 130).astype(int)
    of_question = rng.permutation(numpy.arange(questions) % pictures)
    lines, annotations = [], []
    for number, (length, picture) in enumerate(zip(lengths, of_question, strict=True)):
        words = rng.choice(WORDS, length)
        question = f"{' '.join(words[:7])} {number}?"
        text = f"{question}\n{OCR}{' '.join(words[7:])}\n{INSTRUCTION}"
        name = f"p{picture:05d}"
        lines.append({"question_id": name, "image": f"{name}.jpg", "text": text})
        annotations.append({"question_id": number, "image_id": name, "question": question, "answers": ["a"] * 10})
    (folder / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "annotations.json").write_text(json.dumps({"dataset_version": "0.5.1", "data": annotations}))
    blocks = [
        (folder / "images", range(first, min(first + BLOCK, pictures)), scale) for first in range(0, pictures, BLOCK)
    ]
    with ProcessPoolExecutor(workers) as pool:
        bytes_written = sum(pool.map(write_pictures, *zip(*blocks, strict=True)))
    print(json.dumps({"pictures": pictures, "mean_kb": round(bytes_written / pictures / 1000)}), flush=True)
    files = {"annotations": str(folder / "annotations.json"), "questions": str(folder / "questions.jsonl")}
    return {"protocol": "textvqa", "images": str(folder / "images"), **files}


def write_pictures(folder: Path, numbers: range, scale: float) -> int:
    """JPEG files cut from one noise whose amplitude falls with frequency, as a photograph's; returns their bytes."""
    rng = numpy.random.default_rng(numbers.start)
    side = round(1280 * scale)
    frequency = numpy.hypot(numpy.fft.fftfreq(side)[:, None], numpy.fft.rfftfreq(side)[None]).astype(numpy.float32)
    frequency[0, 0] = numpy.inf
    real, imaginary = rng.standard_normal((2, 4, *frequency.shape), dtype=numpy.float32)
    waves = (real + 1j * imaginary) / frequency
    noise = numpy.fft.irfft2(0.8 * waves[:1] + 0.35 * waves[1:], s=(side, side))
    canvas = (128 + 52 * noise / noise.std()).clip(0, 255).astype(numpy.uint8).transpose(1, 2, 0)
    written = 0
    for number in numbers:
        width, height = (
            round(length * scale) for length in ((1024, 768), (1024, 768), (768, 1024), (1024, 683))[number % 4]
        )
        top, left = rng.integers(0, side - height), rng.integers(0, side - width)
        picture = Image.fromarray(canvas[top : top + height, left : left + width, rng.permutation(3)])
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=78)
        written += (folder / f"p{number:05d}.jpg").write_bytes(stream.getvalue())
    return written


# ------------------------------------------------------------------------------------------------------- the checkpoint


def write_checkpoint(folder: Path, full: bool, device: torch.device) -> None:
    """A model with random weights, made on the device, whose answers depend on picture and question."""
    config = MgmConfig() if full else tiny_config(3000, 64, 2)
    torch.manual_seed(0)
    standard = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if full else torch.float32)
    try:
        with device:
            model = MgmForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(standard)
    # else the model would say its last token again and again, as output and embedding are one, and look at all alike
    torch.nn.init.normal_(model.model.norm.weight, mean=-1.0)
    for layer in model.model.layers:
        for linear, factor in (("q_proj", 3), ("k_proj", 3), ("o_proj", 4)):
            getattr(layer.self_attn, linear).weight.data.mul_(factor)
    folder.mkdir()
    processor = MgmProcessor.for_config(config, word_tokenizer(config.text_config.vocab_size))
    MgmFamily().write_full(model.eval(), processor, folder, folder)
    parts = [Part.from_file(file, folder.parent) for file in sorted(folder.iterdir())]
    write_manifest(
        folder.with_name(f"{folder.name}.manifest.json"), stage="prepare_base", name=folder.name, parts=parts
    )


def word_tokenizer(vocab_size: int) -> PreTrainedTokenizerFast:
    """A tokenizer to which each of our words is a token; every id has a text, so that all answers can be told apart."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=3000, special_tokens=CONTROL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([f"user model {' '.join(WORDS)} {OCR} {INSTRUCTION}"] * 2, trainer)
    fields = json.loads(tokenizer.to_str())
    vocabulary = fields["model"]["vocab"]
    vocabulary |= {f"t{id}": id for id in range(len(vocabulary), vocab_size)}
    filled = Tokenizer.from_str(json.dumps(fields))
    return PreTrainedTokenizerFast(tokenizer_object=filled, additional_special_tokens=[*TURN_TOKENS], **SPECIAL_NAMES)


# -------------------------------------------------------------------------------------------------------------- timing


class Watched:
    """Seconds by what they went into, while :func:`predictions.predict` runs."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {"waiting": 0.0}
        self.tokens: list[int] = []
        self.batches: list[tuple[float, int]] = []
        self.began = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time the steps of prediction."""
        kept = {name: getattr(predictions, name) for name in ("chain_content", "hash_images", "load_chain")}
        encoded, answer = Answerer._encoded, Answerer.answer
        for name, step in kept.items():
            setattr(predictions, name, self._timed(name, step))
        Answerer._encoded, Answerer.answer = self._waiting(encoded), self._answering(answer)
        try:
            yield
        finally:
            for name, step in kept.items():
                setattr(predictions, name, step)
            Answerer._encoded, Answerer.answer = encoded, answer

    def _timed(self, name: str, step: Callable) -> Callable:
        @wraps(step)
        def timed(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return step(*args, **options)
            finally:
                self.seconds[name] = time.perf_counter() - start

        return timed

    def _waiting(self, encoded: Callable) -> Callable:
        def waiting(*args: Any, **options: Any) -> Iterator:
            groups = encoded(*args, **options)
            while True:
                start = time.perf_counter()
                group = next(groups, None)
                self.seconds["waiting"] += time.perf_counter() - start
                if group is None:
                    return
                self.tokens += [len(row["input_ids"]) for row in group[1]]
                yield group

        return waiting

    def _answering(self, answer: Callable) -> Callable:
        def answering(*args: Any, **options: Any) -> Iterator:
            self.began = time.perf_counter()
            for batch in answer(*args, **options):
                self.batches.append((time.perf_counter() - self.began, len(batch)))
                yield batch

        return answering


class GpuBusy:
    """The share of time in which the GPU runs anything, as nvidia-smi tells it twice a second."""

    def __enter__(self) -> "GpuBusy":
        self._samples: list[tuple[float, int]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        if torch.cuda.is_available():
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._thread.ident:
            self._thread.join()

    def _watch(self) -> None:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0"]
        while not self._over.wait(0.5):
            told = subprocess.run(query, capture_output=True, text=True).stdout.strip()
            if told.isdigit():
                self._samples.append((time.perf_counter(), int(told)))

    def percent(self, since: float) -> float | None:
        """The mean since a time of ``time.perf_counter``; None where nothing was told."""
        told = [percent for when, percent in self._samples if when > since]
        return round(sum(told) / len(told), 1) if told else None


# ---------------------------------------------------------------------------------------------------------------- main


def ask(args: argparse.Namespace, folder: Path, benchmark: dict[str, Any], name: str) -> tuple[dict, dict[str, Any]]:
    """Answer the benchmark's questions with an empty cache; returns the answers' lines by id, and what was measured."""
    device, dtype = choose_device(int(args.size == "full"), args.threads)
    gc.collect()  # the model that answered before
    watched, output, checkpoint = Watched(), folder / f"{name}.jsonl", folder / "base"
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with watched.watching(), GpuBusy() as busy:
        start = time.perf_counter()
        predictions.predict(
            TextVqa(read_settings(benchmark, TextVqaSettings, "perf"), "textvqa"),
            PredictionSettings(batch_size=args.batch_size),
            name=name,
            checkpoints=[checkpoint],
            manifests=[folder / "base.manifest.json"],
            device=device,
            dtype=dtype,
            threads=args.threads,
            slice_index=0,
            cache=folder / f"cache-{name}",
            output=output,
        )
        total = time.perf_counter() - start
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    seconds, (first, of_first) = watched.seconds, watched.batches[0]
    loading = seconds["chain_content"] + seconds["load_chain"]
    last = watched.batches[-1][0]
    measured = {
        "questions_per_second": round(len(lines) / (total - loading), 1),
        "questions_per_second_after_first_batch": round((len(lines) - of_first) / max(last - first, 1e-9), 1),
        "seconds": round(total - loading, 2),
        "of_them_hashing_pictures": round(seconds["hash_images"], 2),
        "of_them_first_batch": round(first, 2),
        "waiting_for_loader_percent": round(100 * seconds["waiting"] / last, 1),
        "gpu_busy_percent_after_first_batch": busy.percent(since=watched.began + first + 1),
        "peak_gib": round(torch.cuda.max_memory_allocated() / GIB, 2) if device.type == "cuda" else None,
        "reserved_gib": round(torch.cuda.max_memory_reserved() / GIB, 2) if device.type == "cuda" else None,
        "seconds_checking_checkpoint": round(seconds["chain_content"], 2),
        "seconds_loading_checkpoint": round(seconds["load_chain"], 2),
        "mean_prompt_tokens": round(sum(watched.tokens) / len(watched.tokens), 1),
        "longest_prompt_tokens": max(watched.tokens),
        "distinct_answers": len({line["text"] for line in lines}),
        "near_ties": sum(line.get("near_tie", False) for line in lines),
    }
    return {line["question_id"]: line for line in lines}, measured


def main(args: argparse.Namespace) -> None:
    """Measure, and print a line of JSON for each thing found."""
    full = args.size == "full"
    if full and not torch.cuda.is_available():
        sys.exit("error: the full size needs a GPU; try --size tiny")
    device = torch.device("cuda" if full else "cpu")
    shape = {"torch": torch.__version__, "threads": args.threads, "batch_size": args.batch_size}
    print(json.dumps({**shape, "gib": args.gib if full else None, "tokens_an_answer": args.tokens}), flush=True)
    with tempfile.TemporaryDirectory(prefix="predict-speed-") as temporary:
        folder = Path(temporary)
        start = time.perf_counter()
        scale = 1.0 if full else 0.1
        benchmark = write_benchmark(folder / "textvqa", args.questions, args.pictures, scale, args.threads)
        if full:  # after the pictures, whose processes were forked from this one
            torch.cuda.set_per_process_memory_fraction(args.gib * GIB / torch.cuda.mem_get_info()[1])
        write_checkpoint(folder / "base", full, device)
        print(json.dumps({"seconds_making_files": round(time.perf_counter() - start, 1)}), flush=True)
        benchmark["max_new_tokens"] = args.tokens
        _, rehearsed = ask(args, folder, benchmark | {"limit": 2}, "rehearsal")
        print(json.dumps({"seconds_two_questions_before": rehearsed["seconds"]}), flush=True)
        answers, measured = ask(args, folder, benchmark, "all")
        print(json.dumps({"device": torch.cuda.get_device_name() if full else "CPU", **measured}), flush=True)
        kinds = [torch.profiler.ProfilerActivity.CUDA if full else torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=kinds) if args.profile else nullcontext() as profile:
            again, _ = ask(args, folder, benchmark | {"limit": args.again}, "again")
        differ = [line for number, line in again.items() if answers[number]["text"] != line["text"]]
        unmarked = sum(not (answers[line["question_id"]] | line).get("near_tie", False) for line in differ)
        compared = {"asked_again_in_other_company": len(again), "answers_that_differ": len(differ)}
        print(json.dumps({**compared, "of_them_not_marked_as_near_ties": unmarked}))
        if profile:
            sort_by = f"self_{device.type}_time_total"
            print(profile.key_averages().table(sort_by=sort_by, row_limit=30, max_name_column_width=80))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", choices=("full", "tiny"), default="full", help="MGM-2B, or a toy for a CPU")
    arguments.add_argument("--questions", type=int, default=5000, help="questions that are asked")
    arguments.add_argument("--pictures", type=int, default=3166, help="pictures that they are about")
    arguments.add_argument("--batch-size", type=int, default=128, help="questions at a time")
    arguments.add_argument("--tokens", type=int, default=18, help="new tokens of every answer")
    arguments.add_argument("--again", type=int, default=512, help="how many of them are asked again")
    arguments.add_argument("--profile", action="store_true", help="print what that takes the GPU, kernel by kernel")
    arguments.add_argument("--threads", type=int, default=os.cpu_count(), help="threads that decode pictures")
    arguments.add_argument("--gib", type=float, default=23, help="GPU memory that may be taken")
    return arguments


if __name__ == "__main__":
    main(parser().parse_args())
