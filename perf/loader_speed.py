"""Speed and memory of reading training rows: this project's loader beside datasets, WebDataset and MosaicML Streaming.

    python perf/loader_speed.py --rows 2000 --workers 0 2          # all loaders that are installed, side by side
    python perf/loader_speed.py --rows 2000 --memory 2000 8000     # and this loader's memory at two sizes
    python perf/loader_speed.py --rows 200 --size tiny --workers 0  # the same code in seconds

The rows are made up: a JPEG image of 640 x 480 pixels, patches of colour with noise, and two turns of 30 words. Each
loader has them in its own format and gives them shuffled, in batches of 8. "read" is the bytes and the text of each
row; "ready" is what a model takes: decoded, at MGM-2B's image sizes, tokenised, collated, all by the same processor.
The clock starts after eight batches, when workers are up and have read ahead. Loaders take turns, and each figure is
the median of the rounds. Prints a Markdown table.
"""

import argparse
import importlib.metadata
import io
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from multiprocessing import active_children
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from torch.utils.data import DataLoader, Dataset  # noqa: E402

from syntune.images import open_image  # noqa: E402

BATCH, WARM_UP = 8, 8
WORDS = 30
PARTS = 8
GROUP_ROWS, GROUP_BYTES = 256, 2**20
"""Of this project's shards, as the stage ``shard`` writes them."""

Raw = tuple[bytes, list[dict[str, str]]]
"""An image's bytes and a conversation."""

# ------------------------------------------------------------------------------------------------------------ the rows


def made_up_rows(count: int) -> Iterator[Raw]:
    """So many rows, no two images alike: 60 are drawn, and a comment of its own is put into each row's file."""
    import numpy
    from PIL import Image

    rng = numpy.random.default_rng(0)
    images = []
    for _ in range(min(count, 60)):
        patches = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=numpy.uint8))
        smooth = numpy.asarray(patches.resize((640, 480), Image.Resampling.BICUBIC), dtype=numpy.int16)
        noisy = (smooth + rng.normal(0, 12, smooth.shape)).clip(0, 255).astype(numpy.uint8)
        stream = io.BytesIO()
        Image.fromarray(noisy).save(stream, "JPEG", quality=85)
        images.append(stream.getvalue())
    vocabulary = numpy.array([f"word{rank}" for rank in range(20_000)])
    frequency = 1 / numpy.arange(1, len(vocabulary) + 1)
    for number in range(count):
        asked, answered = rng.choice(vocabulary, (2, WORDS), p=frequency / frequency.sum())
        messages = [
            {"role": "user", "content": f"<image>\n{' '.join(asked)}"},
            {"role": "assistant", "content": " ".join(answered)},
        ]
        image = images[number % len(images)]
        yield image[:2] + b"\xff\xfe\x00\x0a" + b"%08d" % number + image[2:], messages


def write_shards(folder: Path, count: int) -> Path:
    """This project's shards; returns their manifest."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    from syntune.artifacts.manifests import Part, write_manifest

    schema = pyarrow.schema(
        {
            "id": pyarrow.string(),
            "images": pyarrow.list_(pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})),
            "messages": pyarrow.list_(pyarrow.struct({"role": pyarrow.string(), "content": pyarrow.string()})),
        }
    )
    (folder / "shards").mkdir(parents=True)
    rows, parts = enumerate(made_up_rows(count)), []
    for part in range(PARTS):
        file = folder / "shards" / f"shard-{part:05d}-of-{PARTS:05d}.parquet"
        size = count * (part + 1) // PARTS - count * part // PARTS
        with ParquetWriter(file, schema, compression="zstd") as writer:
            group: list[dict[str, Any]] = []
            for place, (number, (image, messages)) in enumerate(islice(rows, size), 1):
                images = [{"bytes": image, "path": f"{number}.jpg"}]
                group.append({"id": f"r{number}", "images": images, "messages": messages})
                group_bytes = sum(len(row["images"][0]["bytes"]) for row in group)
                if place == size or len(group) == GROUP_ROWS or group_bytes >= GROUP_BYTES:
                    writer.write_table(pyarrow.Table.from_pylist(group, schema))
                    group = []
        parts.append(Part.from_file(file, folder, size))
    manifest = folder / "shards.manifest.json"
    write_manifest(manifest, stage="shard", name="shards", parts=parts)
    return manifest


def make_processor(manifest: Path, size: str) -> Any:
    """MGM's processor, with a tokenizer of the rows' own text."""
    from syntune.models.mgm.configuration_mgm import MgmConfig
    from syntune.models.mgm.processing_mgm import MgmProcessor
    from syntune.models.mgm.tiny import tiny_config
    from syntune.models.mgm.tiny_tokenizer import train_tokenizer

    tokenizer = train_tokenizer(manifest, 4000)
    return MgmProcessor.for_config(MgmConfig() if size == "full" else tiny_config(len(tokenizer)), tokenizer)


# -------------------------------------------------------------------------------------------------------------- loaders


class Prepare:
    """A raw row made ready for the model, or left as it is where there is no processor."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, raw: Raw) -> Any:
        """A row."""
        if self.processor is None:
            return raw
        image, messages = raw
        return self.processor.encode_conversation(messages, [open_image(image, "image")])

    def batch(self, rows: list[Any]) -> Any:
        """A batch of rows."""
        return rows if self.processor is None else self.processor.collate(rows)


class BareRows(Dataset):
    """The rows of this project's shards as they are read, nothing decoded."""

    def __init__(self, rows: Any) -> None:
        self.shards, self.index = rows.shards, rows.index

    def __getitem__(self, row: int) -> Raw:
        from syntune.training.shards import Spot

        stored = self.shards.row(Spot(*map(int, self.index.spots[row])))
        return stored["images"][0]["bytes"], stored["messages"]


def own_loader(folder: Path, processor: Any, ready: bool) -> Callable[[int], DataLoader]:
    """The loader of training itself: its plan, its rows, its DataLoader."""
    from syntune.training.batching import StepPlan
    from syntune.training.engine import PlannedTrainer
    from syntune.training.rows import TrainingRows, index_rows
    from syntune.training.shards import Shards

    shards = Shards(folder / "shards.manifest.json")
    index = index_rows(shards, processor, folder / "tokens", processor.max_length, "truncate")
    rows = TrainingRows(shards, index, processor)
    plan = StepPlan(index.lengths, index.images, BATCH)

    def make(workers: int) -> DataLoader:
        device = SimpleNamespace(type="cpu")
        args = SimpleNamespace(dataloader_num_workers=workers, process_index=0, max_steps=plan.steps(1), device=device)
        loader = PlannedTrainer.get_train_dataloader(
            SimpleNamespace(args=args, rows=rows if ready else BareRows(rows), plan=plan, processor=processor)
        )
        if not ready:
            loader.collate_fn = list
        return loader

    return make


def datasets_loader(folder: Path, processor: Any, ready: bool) -> Callable[[int], DataLoader]:
    """Hugging Face datasets: the same shards, turned once into its memory-mapped Arrow files; transformed as asked."""
    import datasets

    datasets.disable_progress_bars()
    files = sorted(map(str, (folder / "shards").glob("*.parquet")))
    rows = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(folder / "arrow"))
    prepare = Prepare(processor if ready else None)
    rows.set_transform(partial(_transformed, prepare))
    return partial(_loader, rows, partial(_one_column, prepare), shuffle=True)


def _transformed(prepare: Prepare, columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Columns of raw rows as one column of prepared ones."""
    raw = zip(columns["images"], columns["messages"], strict=True)
    return {"row": [prepare((images[0]["bytes"], messages)) for images, messages in raw]}


def _one_column(prepare: Prepare, rows: list[dict[str, Any]]) -> Any:
    """A batch of what :func:`_transformed` made."""
    return prepare.batch([row["row"] for row in rows])


def webdataset_loader(folder: Path, processor: Any, ready: bool) -> Callable[[int], DataLoader]:
    """WebDataset: whole tars, drawn at random without end, through a buffer of 1,000 rows that is filled first."""
    import webdataset

    tars = folder / "tars"
    if not tars.is_dir():
        tars.mkdir()
        rows = made_up_rows(_count(folder))
        with webdataset.ShardWriter(f"{tars}/%05d.tar", maxcount=-(-_count(folder) // PARTS), verbose=0) as writer:
            for number, (image, messages) in enumerate(rows):
                writer.write({"__key__": f"r{number}", "jpg": image, "json": json.dumps(messages)})
    prepare = Prepare(processor if ready else None)

    def make(workers: int) -> DataLoader:
        urls = sorted(map(str, tars.glob("*.tar")))
        shuffled = webdataset.WebDataset(urls, resampled=True, shardshuffle=False, seed=0).shuffle(1000, initial=1000)
        return _loader(shuffled.to_tuple("jpg", "json").map(_from_tar).map(prepare), prepare.batch, workers)

    return make


def _from_tar(sample: tuple[bytes, bytes]) -> Raw:
    """A sample as a raw row."""
    return sample[0], json.loads(sample[1])


def streaming_loader(folder: Path, processor: Any, ready: bool) -> Callable[[int], DataLoader]:
    """MosaicML Streaming: MDS files, uncompressed and local, shuffled by its own default."""
    # only its vision subpackage needs torchvision, whose PyPI builds do not match every build of torch
    sys.modules.setdefault("streaming.vision", ModuleType("streaming.vision"))
    import streaming

    mds = folder / "mds"
    if not mds.is_dir():
        columns = {"image": "bytes", "messages": "json"}
        with streaming.MDSWriter(out=str(mds), columns=columns) as writer:
            for image, messages in made_up_rows(_count(folder)):
                writer.write({"image": image, "messages": messages})
    prepare = Prepare(processor if ready else None)

    class Rows(streaming.StreamingDataset):
        def __getitem__(self, at: int) -> Any:
            sample = super().__getitem__(at)
            return prepare((sample["image"], sample["messages"]))

    def make(workers: int) -> DataLoader:
        streaming.base.util.clean_stale_shared_memory()
        rows = Rows(local=str(mds), shuffle=True, batch_size=BATCH)
        return _loader(rows, prepare.batch, workers)

    return make


def _loader(rows: Any, collate: Any, workers: int, **kwargs: Any) -> DataLoader:
    """Torch's own DataLoader, reading two batches ahead as this project's does."""
    return DataLoader(
        rows, BATCH, num_workers=workers, collate_fn=collate, prefetch_factor=2 if workers else None, **kwargs
    )


def _count(folder: Path) -> int:
    """How many rows the folder holds."""
    from syntune.artifacts.manifests import read_manifest

    return sum(part.rows for part in read_manifest(folder / "shards.manifest.json").parts)


LOADERS = {
    "syntune": (own_loader, None),
    "datasets": (datasets_loader, "datasets"),
    "webdataset": (webdataset_loader, "webdataset"),
    "streaming": (streaming_loader, "mosaicml-streaming"),
}
"""Each loader's maker and the package that it needs."""

# ---------------------------------------------------------------------------------------------------------- measurement


def rate(loader: DataLoader, most: int) -> float:
    """Rows per second, over at most so many rows after the warm-up."""
    batches = iter(loader)
    for _ in islice(batches, WARM_UP):
        pass
    begun, rows = time.perf_counter(), 0
    for batch in islice(batches, -(-most // BATCH)):
        rows += len(batch if isinstance(batch, list) else batch["input_ids"])
    return rows / (time.perf_counter() - begun)


def peak(pid: int | str) -> float:
    """Peak resident memory of a process, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure_memory(folder: Path, workers: int, size: str, most: int) -> dict[str, Any]:
    """Index all rows and read ``most`` of them, in training's order: peak memory of this process and its workers."""
    import torch

    from syntune.training.rows import index_rows
    from syntune.training.shards import Shards

    torch.set_num_threads(1)
    manifest = folder / "shards.manifest.json"
    processor = make_processor(manifest, size)
    shutil.rmtree(folder / "tokens", ignore_errors=True)
    begun = time.perf_counter()
    index = index_rows(Shards(manifest), processor, folder / "tokens", processor.max_length, "truncate")
    spent = time.perf_counter() - begun
    indexed = peak("self")
    largest, rows = 0.0, 0
    for batch in own_loader(folder, processor, ready=True)(workers):
        rows += len(batch["input_ids"])
        largest = max([largest, *(peak(child.pid) for child in active_children() if child.is_alive())])
        if rows >= most:
            break
    tokens = folder / "tokens"
    return {
        "rows": rows,
        "tokens_per_row": round(len(index.ids) / len(index), 1),
        "index_rows_per_second": round(len(index) / spent),
        "index_bytes_per_row": round(sum(file.stat().st_size for file in tokens.iterdir()) / len(index)),
        "shard_mib": round(sum(file.stat().st_size for file in (folder / "shards").iterdir()) / 2**20, 1),
        "peak_mib_indexed": round(indexed),
        "peak_mib": round(peak("self")),
        "peak_mib_worker": round(largest),
    }


def installed(name: str) -> bool:
    """Whether a loader's package is there; says so where it is not."""
    package = LOADERS[name][1]
    try:
        version = importlib.metadata.version(package) if package else "this project"
    except importlib.metadata.PackageNotFoundError:
        print(f"{name}: {package} is not installed; left out")
        return False
    print(f"{name}: {version}")
    return True


def compare(folder: Path, args: argparse.Namespace) -> None:
    """Measure the loaders in turns, and print the table."""
    import torch

    torch.set_num_threads(1)
    processor = make_processor(folder / "shards.manifest.json", args.size)
    names = [name for name in LOADERS if installed(name)]
    cases = [(ready, workers) for ready in (False, True) for workers in args.workers]
    made = {(name, ready): LOADERS[name][0](folder, processor, ready) for name in names for ready in (False, True)}
    rates: dict[tuple[Any, ...], list[float]] = {}
    for round_ in range(args.rounds):
        for ready, workers in cases:
            for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
                found = rate(made[name, ready](workers), args.ready_rows if ready else args.rows)
                rates.setdefault((ready, workers, name), []).append(found)
                line = {"loader": name, "ready": ready, "workers": workers, "rows_per_second": round(found, 1)}
                print(json.dumps(line), flush=True)
    print("\n| rows | workers | loader | rows/s | of syntune's |\n|---|---|---|---|---|")
    for (ready, workers, name), found in rates.items():
        own = rates[ready, workers, "syntune"]
        ratio = statistics.median(other / mine for other, mine in zip(found, own, strict=True))
        what = "ready" if ready else "read"
        print(f"| {what} | {workers} | {name} | {statistics.median(found):,.0f} | {ratio:.2f} |")


def main(args: argparse.Namespace) -> None:
    """Write the rows where they are not yet; measure."""
    if args.rows <= BATCH * WARM_UP:
        sys.exit(f"error: the warm-up takes {BATCH * WARM_UP} rows; give more --rows")
    with tempfile.TemporaryDirectory() as scratch:
        root = args.folder or Path(scratch)
        for count in {args.rows, *args.memory}:
            folder = root / str(count)
            if not (folder / "shards.manifest.json").is_file():
                write_shards(folder, count)
        if args.only_memory:
            print(json.dumps(measure_memory(root / str(args.rows), args.workers[0], args.size, args.memory_rows)))
            return
        print(f"Python {platform.python_version()}, {platform.machine()}; {args.rows} rows, {args.rounds} rounds")
        compare(root / str(args.rows), args)
        print()
        for count in args.memory:
            command = [sys.executable, __file__, "--only-memory", "--rows", str(count), "--folder", str(root)]
            command += ["--workers", str(max(args.workers)), "--size", args.size]
            command += ["--memory-rows", str(args.memory_rows)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            print(done.stdout.splitlines()[-1])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=2000, help="rows of the dataset")
    arguments.add_argument("--ready-rows", type=int, default=240, help="rows that are timed where they are made ready")
    arguments.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="numbers of loader processes")
    arguments.add_argument("--rounds", type=int, default=3, help="times that each loader has its turn")
    arguments.add_argument("--size", choices=("full", "tiny"), default="full", help="image sizes: 768 and 336, or toy")
    arguments.add_argument("--memory", type=int, nargs="*", default=[], help="dataset sizes for the memory, in rows")
    arguments.add_argument("--memory-rows", type=int, default=10**9, help="of these, read so many; by default all")
    arguments.add_argument("--folder", type=Path, help="keep the rows here for another run (default: a scratch folder)")
    arguments.add_argument("--only-memory", action="store_true", help=argparse.SUPPRESS)
    return arguments


if __name__ == "__main__":
    main(parser().parse_args())
