"""Training speed and memory of MGM-2B at full size, with random weights: from a stock run to this project's own.

    python perf/train_speed.py --output out                 # on a GPU, all cases
    python perf/train_speed.py --output out --cases zero3   # those whose name begins so
    python perf/train_speed.py --output out --gpus 2        # the same rows on each of two GPUs
    python perf/train_speed.py --output out --size tiny     # the same code in seconds, on a CPU

Each case runs in a process of its own (DeepSpeed's engines leak) with its memory capped, and adds one line to
OUT/results.jsonl as it ends; a case that fails adds its error, and the others go on. OUT/results.md is the table.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

GIB = 2**30
RANK, ALPHA = 16, 32
PROFILED = ("gpu_busy", "nccl_alone", "ranks_apart")
"""Shares: of a step, when the GPU ran anything; of that, when NCCL alone ran; by how much ranks' other time differs."""
WARM_UP_STEPS = 3
"""Optimizer steps before those that are timed: they compile, and layers are recorded for most lengths.

Of the later ones, those in which layers are recorded for another length are not timed either.
"""


@dataclass(frozen=True)
class Case:
    """One way to train.

    Attributes:
        name: what the table calls it.
        engine: "none", "zero2" or "zero3" (this project's configuration), or "stock-zero3" (that of the run to beat).
        full: train the language model and what joins it to the towers, without adapters.
        fast: fused adapters, packed rows and chunked loss instead of PEFT, padding mask and all of the logits.
        checkpointing: recompute activations.
        vision: "cached" image features (towers, mining and projector are not run) or "on-the-fly" (mining and
            projector are trained).
        dropout: of the adapters.
        base: precision of the products with the frozen base's wide linears.
        rows: per optimizer step and GPU.
        micro_batches: per optimizer step.
        steps: timed optimizer steps, after those that warm up.
    """

    name: str
    engine: str = "none"
    full: bool = False
    fast: bool = True
    checkpointing: bool = False
    vision: str = "cached"
    dropout: float = 0.0
    base: str = "bf16"
    rows: int = 132
    micro_batches: int = 12
    steps: int = 4


def ladder() -> list[Case]:
    """All cases, the most telling first."""
    kinds = [
        Case("zero3 fast", engine="zero3", rows=126),
        Case("no-deepspeed fast"),
        Case("no-deepspeed fp8", base="fp8"),
        Case("no-deepspeed int8", base="int8"),
        Case("zero3 fp8", engine="zero3", rows=126, base="fp8"),
        Case("zero3 low-memory", engine="zero3", checkpointing=True, rows=144, micro_batches=6),
        Case("no-deepspeed three-quarters", micro_batches=16),
        Case("no-deepspeed fp8-three-quarters", base="fp8", micro_batches=16),
        Case("no-deepspeed half-batch", micro_batches=24),
        Case("no-deepspeed fp8-half-batch", base="fp8", micro_batches=24),
        Case("no-deepspeed low-memory", checkpointing=True, rows=120),
        Case("no-deepspeed fp8-low-memory", base="fp8", checkpointing=True, rows=120),
        Case("zero2 full", engine="zero2", full=True, checkpointing=True, rows=66),
        Case("zero3 full", engine="zero3", full=True, checkpointing=True, rows=66),
        Case("stock zero3", engine="stock-zero3", fast=False, checkpointing=True, rows=8, micro_batches=2, steps=1),
    ]
    return [
        replace(case, vision=vision, dropout=dropout, name=f"{case.name} {vision} dropout-{dropout:g}")
        for vision in ("cached", "on-the-fly")
        for case in kinds
        for dropout in (0.0, 0.1)
        if not (case.full and dropout)  # of adapters
    ]


# ------------------------------------------------------------------------------------------------------------- one case


class Bench:
    """Builds what the cases share; ``size`` is "full" or "tiny"."""

    def __init__(self, size: str, cap: float) -> None:
        import torch

        from syntune.models.mgm.configuration_mgm import MgmConfig
        from syntune.models.mgm.tiny import tiny_config

        self.full = size == "full"
        self.rank, self.ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        local = int(os.environ.get("LOCAL_RANK", 0))
        self.device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
        self.config = MgmConfig() if self.full else tiny_config(503, hidden_size=64, num_hidden_layers=2)
        self.dtype = torch.bfloat16 if self.full else torch.float32
        self.autocasts = self.full
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
            total = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, cap * GIB / total))

    def lengths(self, count: int) -> list[int]:
        """Text tokens of each row: log-normal, 24 to 900, 150 in the mean."""
        import numpy

        drawn = numpy.exp(numpy.random.default_rng(0).normal(math.log(126), 0.6, count)).clip(24, 900)
        return (drawn if self.full else drawn / 8).astype(int).tolist()

    def model(self, case: Case) -> Any:
        """The model with its adapter, ready to train."""
        import torch
        from peft import LoraConfig, get_peft_model

        from syntune.models.attention import choose_attention
        from syntune.models.eight_bits.linear import WORTH, hold_in_eight_bits
        from syntune.models.mgm.compiled_towers import speed_up_towers
        from syntune.models.mgm.family import MgmFamily
        from syntune.models.mgm.modeling_mgm import LORA_TARGETS, MgmForConditionalGeneration
        from syntune.models.mgm.packing import pack_in_training
        from syntune.training.gemma.fuse import fuse_adapters
        from syntune.training.gemma.graphs import record_layers

        torch.manual_seed(0)
        standard = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        try:
            with self.device:
                model = MgmForConditionalGeneration(self.config)
        finally:
            torch.set_default_dtype(standard)
        inner = model
        attention = None
        if case.fast:
            attention = choose_attention("auto", self.device, self.dtype)
            pack_in_training(model, attention)
        if not case.full:
            lora = LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=case.dropout, target_modules=LORA_TARGETS)
            model = get_peft_model(model, lora)
        for tower in inner.vision_towers:
            tower.requires_grad_(False)
        for module in inner.vision_connector:
            module.requires_grad_(case.vision == "on-the-fly")
        for parameter in model.parameters():
            if parameter.requires_grad and not case.full:  # of all, DeepSpeed keeps float32 ones, divided
                parameter.data = parameter.data.float()
        if case.base != "bf16":
            hold_in_eight_bits(model, inner, MgmFamily(), case.base, self.device, WORTH if self.full else 0)
        if case.fast and not case.full:
            done = fuse_adapters(model, compiled=self.device.type == "cuda")
            if done.is_whole and case.engine == "none" and self.device.type == "cuda":
                model.recorded = record_layers(model)
            print("fused:", done, "attention:", attention.name, file=sys.stderr)
        if case.checkpointing:
            inner.model.activation_checkpointing_enable({"use_reentrant": False})
        if case.fast and case.vision == "on-the-fly" and self.device.type == "cuda":
            speed_up_towers(inner)
        return model.train()

    def batch(self, rows: list[int], lengths: list[int], vision: str) -> dict[str, Any]:
        """Rows of an image, a question and a supervised answer of 60% of the text, padded on the right.

        Images are on the GPU, ids on the CPU, as the model wants them.
        """
        import torch

        words = torch.Generator().manual_seed(rows[0])
        generator = torch.Generator(self.device).manual_seed(rows[0])
        random = {"generator": generator, "device": self.device}
        vocabulary = self.config.text_config.vocab_size
        ids = torch.zeros(len(rows), max(lengths[row] for row in rows) + 1, dtype=torch.long)
        labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
        for place, row in enumerate(rows):
            text = torch.randint(5, vocabulary, (lengths[row],), generator=words)
            end, question = lengths[row] + 1, 1 + int(0.4 * lengths[row])
            ids[place, 0], ids[place, 1:end], mask[place, :end] = -200, text, 1
            labels[place, question:end] = ids[place, question:end]
        batch = {"input_ids": ids, "labels": labels, "attention_mask": mask}
        tokens, width = self.config.tokens_per_image, self.config.text_config.hidden_size
        if vision == "cached":
            features = 0.02 * torch.randn(len(rows), tokens, width, dtype=self.dtype, **random)
            batch["image_features"] = features.requires_grad_()  # as if the projector before it were trained
        else:
            for name, side in (
                ("images", self.config.vision_config.image_size),
                ("images_aux", self.config.image_size_aux),
            ):
                batch[name] = torch.randn(len(rows), 3, side, side, dtype=self.dtype, **random)
        return batch

    def flops(self, text_tokens: int, full: bool) -> float:
        """Of one row, forward and backward: frozen weights twice, others three times; no recomputation, no vision."""
        text = self.config.text_config
        width, inner, heads, kv = (
            text.hidden_size,
            text.intermediate_size,
            text.num_attention_heads * text.head_dim,
            text.num_key_value_heads * text.head_dim,
        )
        weights = text.num_hidden_layers * (2 * width * heads + 2 * width * kv + 3 * width * inner)
        adapters = text.num_hidden_layers * RANK * (2 * (width + heads) + 2 * (width + kv) + 3 * (width + inner))
        tokens = text_tokens + self.config.tokens_per_image
        attention = text.num_hidden_layers * heads * tokens**2 * 6
        supervised = text_tokens - int(0.4 * text_tokens)
        head = text.vocab_size * width * supervised
        if full:
            return 6 * weights * tokens + attention + 6 * head
        return (4 * weights + 6 * adapters) * tokens + attention + 4 * head

    def synchronize(self) -> None:
        """Wait for the GPU."""
        import torch

        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def total(self, number: float) -> float:
        """The sum of the ranks' numbers."""
        return sum(self.of_ranks(number))

    def of_ranks(self, number: float) -> list[float]:
        """Each rank's number."""
        import torch

        if self.ranks == 1:
            return [number]
        numbers = torch.zeros(self.ranks, device=self.device, dtype=torch.float64)
        numbers[self.rank] = number
        torch.distributed.all_reduce(numbers)
        return numbers.tolist()

    def ceiling(self) -> float:
        """FLOP/s of a product of two bfloat16 matrices, 8192 a side."""
        import torch

        side = 8192 if self.device.type == "cuda" else 512
        left, right = (torch.randn(side, side, device=self.device, dtype=torch.bfloat16) for _ in range(2))
        times = []
        for _ in range(13):
            self.synchronize()
            start = time.perf_counter()
            left @ right
            self.synchronize()
            times.append(time.perf_counter() - start)
        return 2 * side**3 / sorted(times[3:])[5]


class Plain:
    """An engine without DeepSpeed: autocast, AdamW, clipping, and DistributedDataParallel on several GPUs."""

    def __init__(self, model: Any, bench: Bench) -> None:
        import torch

        self.model = model
        if bench.ranks > 1:
            if not torch.distributed.is_initialized():
                torch.distributed.init_process_group("nccl" if bench.device.type == "cuda" else "gloo")
            self.model = torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-4, fused=True)
        self.context = torch.autocast(bench.device.type, torch.bfloat16) if bench.autocasts else nullcontext()

    def __call__(self, is_last: bool, **batch: Any) -> Any:
        """Run the model; ranks share the gradients of the step's last micro-batch."""
        self.model.require_backward_grad_sync = is_last
        with self.context:
            return self.model(**batch)

    def backward(self, loss: Any, is_last: bool) -> None:
        """Accumulate gradients, and update the parameters after the last micro-batch."""
        import torch

        loss.backward()
        if is_last:
            torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()


class Zero:
    """An engine of DeepSpeed."""

    def __init__(self, model: Any, case: Case, bench: Bench) -> None:
        import deepspeed
        import torch
        from accelerate.utils import DeepSpeedEngineWrapper

        from syntune.training.zero import (
            engine_wrapper,
            mark_leaf_modules,
            prepare_deepspeed,
            unpartitioned,
            zero_config,
        )

        prepare_deepspeed()
        deepspeed.init_distributed("nccl" if torch.cuda.is_available() else "gloo", verbose=False)
        config = zero_config(int(case.engine[-1]), ranks=bench.ranks)
        if case.engine == "stock-zero3":  # the run to beat's, with the sizes that "auto" gave it
            config["zero_optimization"] = {
                "stage": 3, "overlap_comm": True, "contiguous_gradients": True, "sub_group_size": 10**9,
                "reduce_bucket_size": 2048**2, "stage3_prefetch_bucket_size": 3774873,
                "stage3_param_persistence_threshold": 10 * 2048, "stage3_max_live_parameters": 10**9,
                "stage3_max_reuse_distance": 10**9, "stage3_gather_16bit_weights_on_model_save": True,
            }  # fmt: skip
        else:
            mark_leaf_modules(model)
        del config["train_batch_size"]
        config |= {
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": case.micro_batches,
            "gradient_clipping": 1.0,
            "bf16": {"enabled": bench.full},
        }
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
        self.kept = ExitStack()  # for as long as the engine lives
        if case.fast:
            inner = model if case.full else model.base_model.model
            self.kept.enter_context(unpartitioned(model, inner.vision_towers, bench.device))
        self.engine = deepspeed.initialize(model=model, optimizer=optimizer, config=config)[0]
        method = "full" if case.full else "lora"
        wrapper = engine_wrapper(config["zero_optimization"]["stage"], method) if case.fast else DeepSpeedEngineWrapper
        self.backward_of = wrapper(self.engine).backward

    def __call__(self, is_last: bool, **batch: Any) -> Any:
        """Run the model."""
        return self.engine(**batch)

    def backward(self, loss: Any, is_last: bool) -> None:
        """Accumulate gradients, and update the parameters after the last micro-batch."""
        self.backward_of(loss, sync_gradients=is_last, scale_wrt_gas=False)


class GpuTime:
    """Profiles what it encloses: the time in which the GPU ran anything, and a table of what it ran.

    The profiler slows Python down, so the busy share of a step is this time over that of a step without the profiler.

    Attributes:
        seconds: in which anything ran.
        in_nccl: those of them in which NCCL alone ran, which is also how it waits for other ranks.
    """

    def __enter__(self) -> "GpuTime":
        from torch.profiler import ProfilerActivity, profile

        self.profiler = profile(activities=[ProfilerActivity.CUDA])
        self.profiler.__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        from torch.autograd import DeviceType

        self.profiler.__exit__(*failure)
        events = [event for event in self.profiler.events() if event.device_type == DeviceType.CUDA]
        spans = [(event.time_range.start, event.time_range.end, "nccl" in event.name) for event in events]
        self.seconds = covered(spans) / 1e6
        self.in_nccl = self.seconds - covered([span for span in spans if not span[2]]) / 1e6
        self.table = self.profiler.key_averages().table(sort_by="self_cuda_time_total", row_limit=40)


def covered(spans: list[tuple[float, float, bool]]) -> float:
    """How long at least one of the spans, (start, end, anything), lasts."""
    end, time_covered = 0.0, 0.0
    for first, last, _ in sorted(spans):
        first = max(first, end)
        end = max(end, last)
        time_covered += max(0.0, end - first)
    return time_covered


def loss_of(engine: Any, model: Any, case: Case, batch: dict[str, Any], items: float, is_last: bool) -> Any:
    """The batch's share of the step's loss, which is normalised by all of its supervised tokens."""
    if case.fast:
        return engine(is_last, **batch, num_items_in_batch=items).loss
    import torch

    from syntune.models.mgm.expansion import expand_images

    config = (model if case.full else model.base_model.model).config
    rest = {name: tensor for name, tensor in batch.items() if name != "labels"}
    logits = engine(is_last, **rest).logits.float()
    labels = expand_images(
        batch["input_ids"], batch["attention_mask"], batch["labels"], config.tokens_per_image,
        config.tokenizer_model_max_length, "right",
    ).labels  # fmt: skip
    labels = torch.nn.functional.pad(labels, (0, 1), value=-100)[:, 1:].to(logits.device)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / items


def measure(case: Case, bench: Bench) -> dict[str, Any]:
    """Run a case: samples per second, memory, share of the chip's speed, first loss."""
    import numpy
    import torch

    from syntune.training.batching import StepPlan

    begun = time.perf_counter()
    ceiling = bench.ceiling()
    model = bench.model(case)
    recorded = getattr(model, "recorded", None)
    engine = Plain(model, bench) if case.engine == "none" else Zero(model, case, bench)
    lengths = bench.lengths(4000)
    image = bench.config.tokens_per_image
    plan = StepPlan(
        numpy.array(lengths) + image, numpy.ones(4000, int), bench.ranks * case.rows, bench.ranks, case.micro_batches
    )
    losses, timed, rates, graphs, profiled = [], [], [], [], {}
    rows_timed, flops, tokens, warm_up = 0, 0.0, 0, 0.0
    on_gpu = bench.device.type == "cuda"
    while len(timed) < case.steps or (on_gpu and not profiled):  # on a GPU, one more is profiled
        step = len(losses)
        taken = [ranks[bench.rank].tolist() for ranks in plan.micro_batches_of(step)]
        batches = [bench.batch(rows, lengths, case.vision) for rows in taken]
        items = bench.total(sum(int((batch["labels"] != -100).sum()) for batch in batches))
        bench.synchronize()
        if step == 0:
            if on_gpu:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            setup = time.perf_counter() - begun
        with GpuTime() if len(timed) == case.steps else nullcontext() as gpu_time:
            start = time.perf_counter()
            total = torch.zeros((), device=bench.device)
            while batches:
                batch = batches.pop(0)
                loss = loss_of(engine, model, case, batch, items, not batches)
                engine.backward(loss * bench.ranks, not batches)  # gradients are averaged over the ranks
                total += loss.detach()
            bench.synchronize()
            spent = time.perf_counter() - start
        losses.append(round(bench.total(total.item()), 5))
        graphs.append(int(bench.total(len(recorded.graphs) if recorded else 0)))
        chosen = [lengths[row] for rows in taken for row in rows]
        step_tokens = bench.total(sum(length + image for length in chosen))
        if gpu_time:
            busy = gpu_time.seconds / step_tokens / (sum(timed) / tokens)
            of_ranks = bench.of_ranks(gpu_time.seconds - gpu_time.in_nccl)
            shares = busy, gpu_time.in_nccl / gpu_time.seconds, max(of_ranks) / min(of_ranks) - 1
            profiled = {name: round(share, 4) for name, share in zip(PROFILED, shares, strict=True)}
            print(gpu_time.table, file=sys.stderr)
            continue
        if step < WARM_UP_STEPS or graphs[-1] > graphs[-2]:
            warm_up += spent
            continue
        timed.append(spent)
        rates.append(step_tokens / spent)
        tokens += step_tokens
        rows_timed += bench.ranks * case.rows
        flops += bench.total(sum(bench.flops(length, case.full) for length in chosen))
    spent = sum(timed)
    if on_gpu:  # on the fullest of them
        held = {"peak_gib": torch.cuda.max_memory_allocated(), "reserved_gib": torch.cuda.max_memory_reserved()}
        profiled |= {name: round(max(bench.of_ranks(size)) / GIB, 2) for name, size in held.items()}
    return {
        "samples_per_second": round(rows_timed / spent, 2),
        "tokens_per_second": round(tokens / spent),
        "mfu": round(flops / spent / ceiling / bench.ranks, 4),
        "step_seconds": [round(each, 4) for each in timed],
        "steps_apart": round(max(rates) / min(rates) - 1, 4),  # in tokens a second
        **profiled,
        "graphs": graphs,  # of all ranks, after each step: where recording fails it is 0
        "losses": losses,
        "first_loss": losses[0],
        "ceiling_tflops": round(ceiling / 1e12, 1),
        "rows_per_micro_batch": round(case.rows / case.micro_batches, 2),
        "setup_seconds": round(setup, 1),
        "warm_up_seconds": round(warm_up, 1),
    }


def run_case(name: str, size: str, cap: float) -> dict[str, Any]:
    """One case in this process; a failure becomes its result."""
    import platform

    import torch

    found: dict[str, Any] = {"case": name}
    try:
        bench = Bench(size, cap)
        device = torch.cuda.get_device_name() if bench.device.type == "cuda" else platform.processor() or "cpu"
        found |= {"device": device, "gpus": bench.ranks, "torch": torch.__version__, "cap_gib": cap}
        case = next(case for case in ladder() if case.name == name)
        if not bench.full:
            case = replace(case, rows=case.micro_batches, steps=1)
        return found | {"settings": asdict(case)} | measure(case, bench)
    except Exception as error:
        import traceback

        traceback.print_exc()
        return found | {"error": f"{type(error).__name__}: {error}"[:400]}


# ------------------------------------------------------------------------------------------------------------ all cases


def table(results: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "| case | rows a micro-batch | samples/s | tokens/s | peak GiB | reserved | MFU % | steps apart % "
        "| GPU busy % | NCCL alone % | ranks apart % | first loss |",
        "|---" * 12 + "|",
    ]
    for found in results:
        if "error" in found:
            lines.append(f"| {found['case']} | {found['error'].replace('|', '/')[:80]} " + "| " * 10 + "|")
        elif "samples_per_second" in found:
            memory = [f"{found.get(key, '')}" for key in ("peak_gib", "reserved_gib")]
            shares = [f"{100 * found[key]:.1f}" if key in found else "" for key in ("mfu", "steps_apart", *PROFILED)]
            speed = [f"{found['rows_per_micro_batch']:g}", f"{found['samples_per_second']:g}"]
            cells = [found["case"], *speed, f"{found['tokens_per_second']:,}", *memory, *shares]
            lines.append("| " + " | ".join([*cells, f"{found['first_loss']:.2f}"]) + " |")
    return "\n".join(lines) + "\n"


def main(args: argparse.Namespace) -> None:
    """Run the cases one after another, each in a process of its own."""
    if args.case:
        load_libraries()
        sys.stdin.read()  # until the case before is done
        found = run_case(args.case, args.size, args.cap)
        if os.environ.get("RANK", "0") == "0":
            print("RESULT " + json.dumps(found), flush=True)
        return
    args.output.mkdir(parents=True, exist_ok=True)
    names = [case.name for case in ladder()]
    starts = args.cases.split(",")
    wanted = [name for start in starts for name in ([start] if start in names else names) if name.startswith(start)]
    names = list(dict.fromkeys(wanted))
    results, begun = [], time.monotonic()
    starting = start(names[0], args)
    for name, following in zip(names, [*names[1:], None], strict=True):
        process, starting = starting, start(following, args) if following else None
        left = args.seconds - (time.monotonic() - begun)
        if left < args.least_seconds:
            stop(process)
            found: dict[str, Any] = {"case": name, "error": "no time left"}
        else:
            found = finish(process, name, min(left, args.case_seconds))
        results.append(found)
        with (args.output / "results.jsonl").open("a") as file:
            file.write(json.dumps(found) + "\n")
        (args.output / "results.md").write_text(table(results))
        print(json.dumps({key: value for key, value in found.items() if key != "settings"})[:900], flush=True)
    print(table(results), flush=True)


def start(name: str, args: argparse.Namespace) -> subprocess.Popen:
    """A process that imports its libraries, while the case before runs, and waits."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={args.gpus}", "--"]
    command = [sys.executable, *(launcher if args.gpus > 1 else []), __file__]
    options = ["--case", name, "--size", args.size, "--cap", str(args.cap)]
    environment = {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True", "TOKENIZERS_PARALLELISM": "false"}
    with (args.output / f"{name.replace(' ', '_')}.log").open("w") as errors:
        return subprocess.Popen(
            [*command, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **environment},
        )  # fmt: skip


def stop(process: subprocess.Popen) -> None:
    """End a process; torchrun takes its own along."""
    process.terminate()
    process.wait()


def finish(process: subprocess.Popen, name: str, seconds: float) -> dict[str, Any]:
    """Let the process run its case."""
    try:
        said, _ = process.communicate("", timeout=seconds)
    except subprocess.TimeoutExpired:
        stop(process)
        return {"case": name, "error": f"not done after {seconds:.0f} s"}
    lines = [line for line in said.splitlines() if line.startswith("RESULT ")]
    if not lines:
        return {"case": name, "error": f"exit status {process.returncode}; see its log"}
    return json.loads(lines[-1].removeprefix("RESULT "))


def load_libraries() -> None:
    """Import what a case needs, and DeepSpeed if it is there."""
    import importlib

    for module in ("peft", "deepspeed", "syntune.models.mgm.modeling_mgm", "syntune.models.mgm.compiled_towers"):
        with suppress(ImportError):
            importlib.import_module(module)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--output", type=Path, default=Path("train-speed"), help="folder for the results")
    arguments.add_argument("--cases", default="", help="run those of these names, or whose names begin so: a,b,c")
    arguments.add_argument("--size", choices=("full", "tiny"), default="full", help="MGM-2B, or a toy for a CPU")
    arguments.add_argument("--gpus", type=int, default=1, help="GPUs to train on, one process each")
    arguments.add_argument("--cap", type=float, default=23.0, help="GPU memory that may be used, GiB")
    arguments.add_argument("--seconds", type=float, default=3600, help="start no case after so long")
    arguments.add_argument("--least-seconds", type=float, default=15, help="start none with less left")
    arguments.add_argument("--case-seconds", type=float, default=300, help="stop a case after so long")
    arguments.add_argument("--case", help=argparse.SUPPRESS)
    return arguments


if __name__ == "__main__":
    main(parser().parse_args())
