"""Time and peak memory of reading a seed's records, without their images: a generated list of LLaVA conversations.

    tools/in-env data python perf/records_memory.py 200000

writes a list of so many records into a temporary folder and prints its size, and the CPU seconds and the peak resident
memory of the process that reads it. A record has an image and six turns, 1.2 KB; there are no pictures.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_ANSWER = "The picture shows a street with people, a red bus and a row of trees in front of an old building. " * 3


def write_list(path: Path, records: int) -> None:
    """Write the list."""
    with path.open("w") as file:
        for index in range(records):
            turns = [
                turn
                for number in range(3)
                for turn in (
                    {"from": "human", "value": ("<image>\n" if not number else "") + f"What is at {index + number}?"},
                    {"from": "gpt", "value": f"{index}: {_ANSWER}"},
                )
            ]
            record = {"id": f"{index:012d}", "image": f"coco/{index:012d}.jpg", "conversations": turns}
            file.write(("[" if not index else ",\n") + json.dumps(record))
        file.write("]")


def read_list(path: Path) -> None:
    """Read the list as ingestion does, and print what it took."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from syntune.data.formats.front import read_records
    from syntune.settings.seeds import SeedSettings

    begun = time.process_time()
    records = sum(1 for _ in read_records(SeedSettings(format="llava", path=str(path))))
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{records} records, {path.stat().st_size / 2**20:.0f} MiB: {seconds:.1f} CPU s, peak {peak:.0f} MiB")


def main() -> None:
    """Write, then read in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=int)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        read_list(args.read)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "list.json")
        write_list(path, args.records)
        subprocess.run([sys.executable, __file__, str(args.records), "--read", str(path)], check=True)


if __name__ == "__main__":
    main()
