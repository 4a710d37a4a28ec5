"""What the plan predicts of a training's memory and time, against what a training with random weights takes on a GPU.

    python perf/plan_accuracy.py measure --output out    # on a GPU: every case
    python perf/plan_accuracy.py measure --output out --set held-out
    python perf/plan_accuracy.py table                   # anywhere: against perf/plan_measured.jsonl

Each case is a run's settings and a model's size. It is trained by the workflow's own engine, in a process of its own,
four times the heaviest of its steps, as a rehearsal does. Images are noise, texts random tokens; nothing is downloaded.
"""

import argparse
import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

GIB = 2**30
STEPS, TIMED = 4, 2
"""Optimizer steps of a case, and how many of them, the last, are timed."""

IMAGE_TOKENS = {"mgm-2b": 576, "qwen2.5-vl-3b": 1026, "smolvlm-500m": 320}
"""Of the one image that each row has; SmolVLM sees it as five tiles."""

QWEN_TEXT = {
    "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
    "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 128000, "tie_word_embeddings": True,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
}  # fmt: skip
QWEN_VISION = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 2048}
SMOL_TEXT = {
    "model_type": "llama", "hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32, "head_dim": 64,
    "num_attention_heads": 15, "num_key_value_heads": 5, "vocab_size": 49280, "max_position_embeddings": 8192,
}  # fmt: skip
SMOL_VISION = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "image_size": 512, "patch_size": 16,
}  # fmt: skip
SMOL_IMAGE, QWEN_IMAGE = 49190, 151655


@dataclass(frozen=True)
class Case:
    """A run to be measured.

    Attributes:
        name: what the table calls it.
        group: "calibration", which the plan's constants were set on, or "held-out".
        model: its size.
        settings: the run's, but for names.
        micro_batches: of the optimizer step, about.
    """

    name: str
    group: str
    model: str
    settings: dict[str, Any] = field(default_factory=dict)
    micro_batches: int = 3


def _case(name: str, group: str, model: str, method: str, tokens: int, **settings: Any) -> Case:
    return Case(name, group, model, {"method": method, "micro_batch_tokens": tokens, **settings})


CASES = [
    _case("mgm lora 8192", "calibration", "mgm-2b", "lora", 8192),
    _case("mgm lora 4096", "calibration", "mgm-2b", "lora", 4096),
    _case("mgm lora 8192 recompute", "calibration", "mgm-2b", "lora", 8192, gradient_checkpointing=True),
    _case("mgm align 8192", "calibration", "mgm-2b", "align", 8192),
    _case("mgm full 4096 recompute", "calibration", "mgm-2b", "full", 4096, gradient_checkpointing=True),
    _case("mgm qlora 8192 recompute", "calibration", "mgm-2b", "qlora", 8192, gradient_checkpointing=True),
    _case("mgm lora zero3 8192 recompute", "calibration", "mgm-2b", "lora", 8192, gradient_checkpointing=True,
          zero={"stage": 3}),
    _case("qwen lora 4096 recompute", "calibration", "qwen2.5-vl-3b", "lora", 4096, gradient_checkpointing=True),
    _case("qwen lora 4096", "calibration", "qwen2.5-vl-3b", "lora", 4096),
    _case("mgm lora r64 no dropout 6144", "held-out", "mgm-2b", "lora", 6144, lora={"r": 64, "dropout": 0.0}),
    _case("mgm lora r128 16384 recompute", "held-out", "mgm-2b", "lora", 16384, lora={"r": 128},
          gradient_checkpointing=True, max_length=1024),
    _case("mgm lora fp32 4096 recompute", "held-out", "mgm-2b", "lora", 4096, precision="fp32",
          gradient_checkpointing=True),
    _case("mgm lora zero2 8192", "held-out", "mgm-2b", "lora", 8192, zero={"stage": 2}),
    _case("mgm lora zero3 8192", "held-out", "mgm-2b", "lora", 8192, zero={"stage": 3}),
    _case("mgm full zero2 4096 recompute", "held-out", "mgm-2b", "full", 4096, gradient_checkpointing=True,
          zero={"stage": 2}),
    _case("mgm full zero3 4096 recompute", "held-out", "mgm-2b", "full", 4096, gradient_checkpointing=True,
          zero={"stage": 3}),
    _case("mgm full 2048", "held-out", "mgm-2b", "full", 2048),
    _case("mgm qlora 4096", "held-out", "mgm-2b", "qlora", 4096),
    _case("mgm align 4096 recompute", "held-out", "mgm-2b", "align", 4096, gradient_checkpointing=True),
    _case("qwen lora r64 no dropout 2048", "held-out", "qwen2.5-vl-3b", "lora", 2048, lora={"r": 64, "dropout": 0.0}),
    _case("mgm lora fp8 8192", "held-out", "mgm-2b", "lora", 8192, base_precision="fp8"),
    _case("mgm lora fp8 4096 recompute", "held-out", "mgm-2b", "lora", 4096, base_precision="fp8",
          gradient_checkpointing=True),
    _case("mgm lora int8 4096", "held-out", "mgm-2b", "lora", 4096, base_precision="int8"),
    _case("smolvlm lora 8192", "held-out", "smolvlm-500m", "lora", 8192),
    _case("smolvlm full 8192 recompute", "held-out", "smolvlm-500m", "full", 8192, gradient_checkpointing=True),
    _case("smolvlm full 4096", "held-out", "smolvlm-500m", "full", 4096),
    _case("qwen qlora 4096 recompute", "held-out", "qwen2.5-vl-3b", "qlora", 4096, gradient_checkpointing=True),
]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ one case


def model_config(name: str) -> Any:
    """transformers' config of a model of that size."""
    if name == "mgm-2b":
        from syntune.models.mgm.configuration_mgm import MgmConfig

        return MgmConfig()
    if name == "qwen2.5-vl-3b":
        from transformers import Qwen2_5_VLConfig

        tokens = {"image_token_id": QWEN_IMAGE, "vision_start_token_id": 151652, "vision_end_token_id": 151653}
        return Qwen2_5_VLConfig(text_config=QWEN_TEXT, vision_config=QWEN_VISION, tie_word_embeddings=True, **tokens)
    from transformers import Idefics3Config

    return Idefics3Config(
        text_config=SMOL_TEXT, vision_config=SMOL_VISION, image_token_id=SMOL_IMAGE, scale_factor=4,
        tie_word_embeddings=False, pad_token_id=2,
    )  # fmt: skip


class Noise:
    """A processor of rows that are numbers: it collates random tokens and noise of the right shapes."""

    def __init__(self, model: str, config: Any, text: list[int]) -> None:
        self.model, self.config, self.text, self.max_length = model, config, text, 2048

    def collate(self, rows: list[int], padding_side: str = "right") -> dict[str, Any]:
        """Each row an image, a question and a supervised answer of 60% of the text."""
        import torch

        words = torch.Generator().manual_seed(rows[0])
        mark = {"mgm-2b": [-200], "qwen2.5-vl-3b": [151652, *[QWEN_IMAGE] * 1024, 151653]}
        image = torch.tensor(mark.get(self.model, [SMOL_IMAGE] * 320))
        lengths = [self.text[row] for row in rows]
        ids = torch.full((len(rows), max(lengths) + len(image)), 0)
        labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
        for place, length in enumerate(lengths):
            end = len(image) + length
            ids[place, : len(image)], mask[place, :end] = image, 1
            ids[place, len(image) : end] = torch.randint(5, 40_000, (length,), generator=words)
            begin = len(image) + int(0.4 * length)
            labels[place, begin:end] = ids[place, begin:end]
        return {"input_ids": ids, "labels": labels, "attention_mask": mask} | self.images(len(rows), ids)

    def images(self, rows: int, ids: Any) -> dict[str, Any]:
        """The pixels of one image a row."""
        import torch

        if self.model == "mgm-2b":
            shapes = {"images": (3, 336, 336), "images_aux": (3, 768, 768)}
            return {name: torch.randn(shape).expand(rows, *shape).contiguous() for name, shape in shapes.items()}
        if self.model == "qwen2.5-vl-3b":
            pixels = torch.randn(64 * 64, 3 * 2 * 14 * 14)
            return {
                "mm_token_type_ids": (ids == QWEN_IMAGE).long(),
                "pixel_values": pixels.repeat(rows, 1),
                "image_grid_thw": torch.tensor([[1, 64, 64]] * rows),
            }
        return {
            "pixel_values": torch.randn(1, 1, 3, 512, 512).expand(rows, 5, -1, -1, -1).contiguous(),
            "pixel_attention_mask": torch.ones(rows, 5, 512, 512, dtype=torch.long),
        }


class Rows:
    """As many rows as there are lengths; a row is its number."""

    def __init__(self, index: Any) -> None:
        self.index, self.shards = index, SimpleNamespace(close=lambda: None)

    def __len__(self) -> int:
        return len(self.index.lengths)

    def __getitem__(self, row: int) -> int:
        return row


class Index(SimpleNamespace):
    """Lengths, images and supervised tokens of rows."""

    def __len__(self) -> int:
        return len(self.lengths)


def text_lengths(count: int) -> list[int]:
    """Text tokens of each row: log-normal, 24 to 900, 150 in the mean."""
    import math

    import numpy

    return numpy.exp(numpy.random.default_rng(0).normal(math.log(126), 0.6, count)).clip(24, 900).astype(int).tolist()


def random_model(case: Case, precision: str, folder: Path) -> Any:
    """The model and its family, with random weights, on the CPU as a loaded one is."""
    import torch

    from syntune.models.checkpoints import Loaded
    from syntune.models.hf.family import HfFamily
    from syntune.models.mgm.family import MgmFamily
    from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration

    config = model_config(case.model)
    config.save_pretrained(folder)
    family = MgmFamily() if case.model == "mgm-2b" else HfFamily(folder)
    kind = MgmForConditionalGeneration if case.model == "mgm-2b" else family._class
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16 if precision == "bf16" else torch.float32)
    try:
        with torch.device("cuda"):
            model = kind(config)
    finally:
        torch.set_default_dtype(torch.float32)
    model = model.cpu().eval()
    torch.cuda.empty_cache()
    return Loaded(model, Noise(case.model, config, text_lengths(4000)), family)


def measure(case: Case, scratch: Path) -> dict[str, Any]:
    """Train a case's heaviest step a few times."""
    import numpy
    import torch
    from transformers import TrainerCallback, set_seed

    from syntune.settings.runs import TrainedRunSettings
    from syntune.training.batching import RunPlan, plan_steps
    from syntune.training.device import find_device, peak_memory_gib
    from syntune.training.engine import build_trainer
    from syntune.training.flops import Flops, matmul_flops_per_second
    from syntune.training.ranks import Ranks
    from syntune.training.ready import make_ready
    from syntune.training.work import Work
    from syntune.training.zero import unpartitioned

    image = IMAGE_TOKENS[case.model]
    rows_a_step = case.micro_batches * int(case.settings["micro_batch_tokens"] / (image + 160))
    given = {"start": "start", "dataset": "rows", "global_batch_size": rows_a_step, "workers": 2, "threads": 8}
    settings = TrainedRunSettings.model_validate(given | case.settings)
    set_seed(0)
    device = find_device(settings, Ranks(0, 1))
    torch.cuda.init()
    torch.ones(1, device=device)
    free, whole = torch.cuda.mem_get_info()
    context = whole - free - torch.cuda.memory_reserved()
    start = random_model(case, settings.precision, scratch / "config")
    text = numpy.array(start.processor.text)
    text = numpy.minimum(text, settings.max_length - image)
    start.processor.text = text.tolist()
    lengths, supervised = text + image, text - (0.4 * text).astype(int)
    plan, steps = plan_steps(
        lengths, [1] * len(text), global_batch_size=rows_a_step, tokens_per_micro_batch=settings.micro_batch_tokens,
        max_steps=8, random_seed=0,
    )  # fmt: skip
    plan = plan.heaviest(steps)
    taken = [ranks[0] for ranks in plan.micro_batches_of(0)]
    ready = make_ready(start, settings, "start", device)
    rows = Rows(Index(lengths=lengths, images=numpy.ones(len(text), int), supervised=supervised))
    trainer = build_trainer(ready, rows, RunPlan(plan, STEPS, STEPS), settings, Work(scratch / "work", {}))
    trainer._save_checkpoint = lambda *args: None
    speed = matmul_flops_per_second(device)
    flops = Flops(trainer.model, trainer.family)
    torch.cuda.reset_peak_memory_stats()
    before, seconds, between = torch.cuda.memory_allocated(), [], []

    class Clock(TrainerCallback):
        """Times the steps."""

        def on_log(self, *args: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
            if logs and "loss" in logs:
                torch.cuda.synchronize()
                seconds.append(time.perf_counter())
                between.append(torch.cuda.memory_allocated())

    trainer.add_callback(Clock())
    with unpartitioned(ready.model, ready.unpartitioned, device):
        trainer.train()
    free, whole = torch.cuda.mem_get_info()
    timed = (seconds[-1] - seconds[-1 - TIMED]) / TIMED
    tokens = [int(lengths[part].sum()) for part in taken]
    heaviest = taken[tokens.index(max(tokens))]
    return {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "matmul_tflops": round(speed / 1e12, 1),
        "settings": settings.model_dump(mode="json"),
        "parameters": vars(ready.parameters),
        "attention": ready.attention,
        "heaviest": {
            "rows": len(heaviest),
            "tokens": int(lengths[heaviest].sum()),
            "longest": int(lengths[heaviest].max()),
            "supervised": int(supervised[heaviest].sum()),
            "images": len(heaviest),
        },
        "step": {
            "micro_batches": len(taken),
            "rows": rows_a_step,
            "tokens": sum(tokens),
            "padded_tokens": sum(int(len(part) * lengths[part].max()) for part in taken),
            "supervised": int(supervised[plan.rows(0)].sum()),
            "squares": int((lengths[plan.rows(0)] ** 2).sum()),
            "flops": flops.rows(lengths[plan.rows(0)].tolist(), int(supervised[plan.rows(0)].sum())),
        },
        "measured": {
            "peak_gib": round(peak_memory_gib(device), 3),
            "reserved_gib": round(torch.cuda.max_memory_reserved() / GIB, 3),
            "used_gib": round((whole - free) / GIB, 3),
            "context_gib": round(context / GIB, 3),
            "before_gib": round(before / GIB, 3),
            "between_steps_gib": round(between[-1] / GIB, 3),
            "step_seconds": round(timed, 4),
        },
    }


def run_case(name: str) -> dict[str, Any]:
    """A case in this process; a failure becomes its result."""
    import tempfile
    import traceback

    case = next(case for case in CASES if case.name == name)
    found: dict[str, Any] = {"case": name, "group": case.group, "model": case.model}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            return found | measure(case, Path(scratch))
    except Exception as error:
        traceback.print_exc()
        return found | {"error": f"{type(error).__name__}: {error}"[:300]}


# ------------------------------------------------------------------------------------------- predicted against measured


def shape_of_case(model: str) -> Any:
    """The sizes of a case's model, as the plan would read them."""
    from syntune.planning.shapes import MGM_2B, shape_of

    configs = {
        "mgm-2b": MGM_2B,
        "qwen2.5-vl-3b": {
            "model_type": "qwen2_5_vl", "text_config": QWEN_TEXT, "vision_config": QWEN_VISION,
            "tie_word_embeddings": True,
        },
        "smolvlm-500m": {
            "model_type": "idefics3", "text_config": SMOL_TEXT, "vision_config": SMOL_VISION, "scale_factor": 4,
            "tie_word_embeddings": False,
        },
    }  # fmt: skip
    return shape_of(configs[model], model)


def predicted(found: dict[str, Any]) -> dict[str, float]:
    """What the plan's formulas give for a measured case, whose micro-batches are known: GiB and seconds."""
    from syntune.planning.chips import chip_of
    from syntune.planning.memory import MicroBatch, peak_memory
    from syntune.planning.speed import Work, step_seconds
    from syntune.settings.runs import TrainedRunSettings

    shape, settings = shape_of_case(found["model"]), TrainedRunSettings.model_validate(found["settings"])
    padded = shape.family == "hf"
    pictures = 5 if found["model"].startswith("smolvlm") else 1  # tiles
    batch, step = found["heaviest"], found["step"]
    tokens = batch["rows"] * batch["longest"] if padded else batch["tokens"]
    memory = peak_memory(
        shape, settings, MicroBatch(tokens, batch["rows"], pictures * batch["images"], batch["supervised"])
    )
    work = Work(
        step["micro_batches"], step["padded_tokens" if padded else "tokens"], step["squares"], step["rows"],
        pictures * step["rows"], step["supervised"],
    )  # fmt: skip
    seconds = step_seconds(shape, settings, work, chip_of(found["device"]))
    return {"peak_gib": memory.allocated / GIB, "card_gib": memory.total / GIB, "step_seconds": seconds}


def print_table(args: argparse.Namespace) -> None:
    """The cases as Markdown."""
    print(
        "| case | set | GPU | peak: planned | measured | off | card: planned | measured | off "
        "| step: planned | measured | off |"
    )
    print("|---" * 12 + "|")
    columns = (
        ("peak_gib", "peak_gib", ".1f"),
        ("card_gib", "used_gib", ".1f"),
        ("step_seconds", "step_seconds", ".2f"),
    )
    for line in args.measured.read_text().splitlines():
        found = json.loads(line)
        told, seen = predicted(found), found["measured"]
        cells = [found["case"], found["group"], found["device"].split()[1]]
        for key, measured, form in columns:
            cells += [f"{told[key]:{form}}", f"{seen[measured]:{form}}", f"{told[key] / seen[measured] - 1:+.0%}"]
        print("| " + " | ".join(cells) + " |")


# ----------------------------------------------------------------------------------------------------------- all cases


def start(name: str) -> subprocess.Popen:
    """A process that loads its libraries and waits for its turn."""
    command = [sys.executable, __file__, "case", name]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def measure_all(args: argparse.Namespace) -> None:
    """Measure case after case, as long as the time lasts; the next one's libraries load meanwhile."""
    begun = time.monotonic()
    args.output.mkdir(parents=True, exist_ok=True)
    begins = tuple(args.cases.split(","))
    names = [case.name for case in CASES if case.group == args.set or (not args.set and case.name.startswith(begins))]
    starting = start(names[0])
    for name, following in zip(names, [*names[1:], None], strict=True):
        process, starting = starting, start(following) if following else None
        left = args.seconds - (time.monotonic() - begun)
        try:
            if left < 25:
                raise subprocess.TimeoutExpired(name, left)
            output, _ = process.communicate("", timeout=left)
            told = [line for line in output.splitlines() if line.startswith("RESULT ")]
            found = json.loads(told[-1].removeprefix("RESULT ")) if told else {"case": name, "error": "it ended early"}
        except subprocess.TimeoutExpired:
            process.kill()
            found = {"case": name, "error": "no time left"}
        found["at_seconds"] = round(time.monotonic() - begun)
        with (args.output / "measured.jsonl").open("a") as file:
            file.write(json.dumps(found) + "\n")
        print(json.dumps({key: found.get(key) for key in ("case", "error", "measured", "at_seconds")}), flush=True)


def measure_one(args: argparse.Namespace) -> None:
    """A case, once the one before is done."""
    with suppress(ImportError):  # for qlora alone
        import bitsandbytes  # noqa: F401
    import deepspeed  # noqa: F401
    import transformers  # noqa: F401

    from syntune.training import engine, ready  # noqa: F401

    sys.stdin.read()
    print("RESULT " + json.dumps(run_case(args.name)), flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    every = commands.add_parser("measure", help="measure on this machine's GPU")
    every.add_argument("--output", type=Path, required=True, help="folder for measured.jsonl")
    every.add_argument("--set", choices=["calibration", "held-out"], help="these cases only")
    every.add_argument("--cases", default="", help="those whose names begin so: a,b,c")
    every.add_argument("--seconds", type=float, default=3600, help="when no case is begun any more")
    every.set_defaults(run=measure_all)
    table = commands.add_parser("table", help="compare predicted with measured")
    table.add_argument("measured", type=Path, nargs="?", default=ROOT / "perf/plan_measured.jsonl")
    table.set_defaults(run=print_table)
    one = commands.add_parser("case", help="one case, after the end of standard input")
    one.add_argument("name")
    one.set_defaults(run=measure_one)
    return parser


if __name__ == "__main__":
    arguments = parser().parse_args()
    arguments.run(arguments)
