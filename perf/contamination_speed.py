"""Speed of the contamination gate: fingerprints, lookups, and the whole search at two sizes.

    tools/in-env data python perf/contamination_speed.py     # 5,000 questions; 2,000 and 4,000 rows of one image each
    tools/in-env data python perf/contamination_speed.py --images FOLDER     # your own images, repeated as needed

Without a folder the images are made up: patches of colour, blurred, with noise, 640 x 480, JPEG. Every row has an image
of its own (one byte differs, so that none is remembered) and two turns of 60 words altogether. Prints a Markdown table.
"""

import argparse
import io
import platform
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

TURNS, WORDS = 2, 30


def made_up_images(count: int) -> Iterator[bytes]:
    """So many JPEG files of 640 x 480 pixels."""
    import numpy
    from PIL import Image

    rng = numpy.random.default_rng(0)
    for _ in range(count):
        patches = rng.integers(0, 256, (9, 12, 3), dtype=numpy.uint8)
        smooth = numpy.asarray(Image.fromarray(patches).resize((640, 480), Image.Resampling.BICUBIC), dtype=numpy.int16)
        noisy = (smooth + rng.normal(0, 12, smooth.shape)).clip(0, 255).astype(numpy.uint8)
        stream = io.BytesIO()
        Image.fromarray(noisy).save(stream, "JPEG", quality=85)
        yield stream.getvalue()


def sentences(words: int, seed: int) -> Iterator[str]:
    """Endless sentences of so many words, frequent words the more often (Zipf's law)."""
    rng = random.Random(seed)
    vocabulary = [f"word{rank}" for rank in range(20_000)]
    weights = [1 / (rank + 1) for rank in range(20_000)]
    while True:
        drawn = rng.choices(vocabulary, weights, k=100 * words)
        for start in range(0, len(drawn), words):
            yield " ".join(drawn[start : start + words])


def write_shards(folder: Path, rows: int, images: list[bytes]) -> Path:
    """A dataset of so many rows in four shards; returns its manifest."""
    import pyarrow
    from pyarrow import parquet

    from syntune.artifacts.manifests import Part, write_manifest

    schema = pyarrow.schema(
        {
            "id": pyarrow.string(),
            "images": pyarrow.list_(pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})),
            "messages": pyarrow.list_(pyarrow.struct({"role": pyarrow.string(), "content": pyarrow.string()})),
        }
    )
    shards = folder / str(rows)
    shards.mkdir()
    texts = sentences(WORDS, seed=1)
    roles = ["user", "assistant"] * TURNS
    parts = []
    for shard in range(4):
        file = shards / f"shard-{shard:05d}-of-00004.parquet"
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            numbers = range(rows * shard // 4, rows * (shard + 1) // 4)
            for start in range(0, len(numbers), 256):
                table = [
                    {
                        "id": f"r{number}",
                        # decoders ignore what follows the end of the image
                        "images": [{"bytes": images[number % len(images)] + number.to_bytes(4), "path": "x"}],
                        "messages": [{"role": role, "content": next(texts)} for role in roles[:TURNS]],
                    }
                    for number in numbers[start : start + 256]
                ]
                writer.write_table(pyarrow.Table.from_pylist(table, schema))
        parts.append(Part.from_file(file, folder, len(numbers)))
    manifest = folder / f"{rows}.manifest.json"
    write_manifest(manifest, stage="shard", name=str(rows), parts=parts)
    return manifest


def make_index(questions: int, images: list[bytes]) -> Any:
    """An index of so many questions of eight words; every two share an image, one of the given or a random hash."""
    from syntune.contamination.questions import IndexedQuestion, QuestionIndex
    from syntune.images import open_image
    from syntune.matching.looks import Fingerprint, fingerprint
    from syntune.settings.contamination import ContaminationSettings

    settings = ContaminationSettings()
    rng = random.Random(2)
    count = questions // 2
    prints = [fingerprint(open_image(content, "image"), settings.hash_size) for content in images[:count]]
    prints = list({image.pixels: image for image in prints}.values())
    bits = 2 * settings.hash_size**2
    prints += [Fingerprint(rng.randbytes(32), rng.getrandbits(bits), bytes(32)) for _ in range(count - len(prints))]
    texts = list(islice(sentences(8, seed=3), questions))
    asked = [IndexedQuestion("bench", place, (place,), place // 2 % count) for place in range(questions)]
    return QuestionIndex(asked, texts, prints, settings)


def rate(function: Any, items: list[Any]) -> float:
    """Calls per second."""
    begun = time.perf_counter()
    for item in items:
        function(item)
    return len(items) / (time.perf_counter() - begun)


def main(args: argparse.Namespace) -> None:
    """Measure, and print the table."""
    from syntune.contamination.search import search_shards
    from syntune.images import open_image
    from syntune.matching.looks import fingerprint

    files = sorted(path for path in args.images.rglob("*") if path.is_file()) if args.images else []
    images = [path.read_bytes() for path in files] or list(made_up_images(200))
    index = make_index(args.questions, images)
    decoded = [open_image(content, "image") for content in images]
    width, height = (sum(sizes) / len(sizes) for sizes in zip(*(image.size for image in decoded), strict=True))
    sample = list(islice(cycle(decoded), 500))
    prints = [fingerprint(image, index.hash_size) for image in sample]
    texts = list(islice(sentences(TURNS * WORDS, seed=4), 5000))
    print(f"Python {platform.python_version()}, {platform.machine()}; {args.questions} questions")
    print(f"{len(images)} images of {width:.0f} x {height:.0f} pixels in the mean; {args.threads} processes\n")
    print("| step | per second | seconds |\n|---|---|---|")
    contents = list(islice(cycle(images), 500))
    print(f"| decode an image | {rate(lambda content: open_image(content, 'image'), contents):,.0f} | |")
    print(f"| fingerprint an image | {rate(lambda image: fingerprint(image, index.hash_size), sample):,.0f} | |")
    print(f"| look an image up | {rate(index.near_images, prints):,.0f} | |")
    print(f"| look a row's text up ({TURNS * WORDS} words) | {rate(index.texts_in, texts):,.0f} | |")
    with tempfile.TemporaryDirectory() as folder:
        for rows in args.rows:
            manifest = write_shards(Path(folder), rows, images)
            begun = time.perf_counter()
            search_shards(manifest, index, args.threads)
            seconds = time.perf_counter() - begun
            print(f"| search {rows:,} rows | {rows / seconds:,.0f} | {seconds:.1f} |", flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--images", type=Path, help="folder of images")
    arguments.add_argument("--rows", type=int, nargs="+", default=[2000, 4000], help="sizes to search")
    arguments.add_argument("--questions", type=int, default=5000, help="questions of the benchmarks")
    arguments.add_argument("--threads", type=int, default=1, help="processes that search")
    return arguments


if __name__ == "__main__":
    main(parser().parse_args())
