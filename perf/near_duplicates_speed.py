"""Time and memory of the search for near-duplicates: a tenth of the rows are changed copies of others.

    tools/in-env data python perf/near_duplicates_speed.py images --rows 100000 --limit 24
    tools/in-env data python perf/near_duplicates_speed.py texts --rows 1000000

Hashes are random, as those of unlike images and texts nearly are; a copy has 12 bits flipped, or a twentieth of its
text's minima changed. Prints the CPU seconds of choosing the rows that stay, and the process's peak memory.
"""

import argparse
import platform
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))


def random_hashes(rows: int, width: int, changes: int, is_text: bool) -> Iterator[bytes]:
    """A group's eight bytes and a hash for each row."""
    import numpy

    rng = numpy.random.default_rng(0)
    hashes = numpy.zeros((rows, 8 + width), numpy.uint8)
    hashes[:, 8:] = rng.integers(0, 256, (rows, width), dtype=numpy.uint8)
    copies = rng.choice(rows, rows // 10, replace=False)
    hashes[copies] = hashes[rng.integers(0, rows, rows // 10)]
    for _ in range(changes):
        if is_text:
            hashes[copies, rng.integers(8 + width // 2, 8 + width, len(copies))] ^= 85
        else:
            bits = rng.integers(0, 8 * width, len(copies))
            hashes[copies, 8 + bits // 8] ^= (1 << bits % 8).astype(numpy.uint8)
    yield from (row.tobytes() for row in hashes)


def main(args: argparse.Namespace) -> None:
    """Measure, and print a line."""
    from syntune.matching.bit_strings import BitStrings
    from syntune.matching.signatures import SIGNATURE_BYTES, Signatures
    from syntune.operators.near_duplicates import without_near

    is_text = args.kind == "texts"
    limit = args.limit if args.limit is not None else (0.2 if is_text else 24)
    hashes = random_hashes(args.rows, SIGNATURE_BYTES if is_text else 36, 6 if is_text else 12, is_text)
    begun, elapsed = time.process_time(), time.perf_counter()
    kept, pairs = without_near(
        map(str, range(args.rows)),
        hashes,
        None,
        lambda packed, groups: Signatures(packed, limit, groups) if is_text else BitStrings(packed, int(limit), groups),
    )
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"Python {platform.python_version()}, {platform.machine()}: {args.rows:,} {args.kind}, limit {limit:g}: "
        f"{len(kept):,} stay, {len(pairs):,} go; {seconds:.1f} CPU s, {time.perf_counter() - elapsed:.1f} s, {peak} MB"
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("kind", choices=["images", "texts"], help="what is compared")
    arguments.add_argument("--rows", type=int, default=100_000, help="how many")
    arguments.add_argument("--limit", type=float, help="largest distance: bits (24), or 1 - similarity (0.2)")
    return arguments


if __name__ == "__main__":
    main(parser().parse_args())
