"""Speed and memory of synthesis, stage by stage, and against Data-Juicer's own command on the same rows.

    tools/in-env data python perf/synthesis_speed.py --rows 10000 --chunks 10          # Markdown table of the stages
    tools/in-env data python perf/synthesis_speed.py --rows 10000 --chunks 2 --compare  # beside dj-process

Rows are questions about drawings of 64 x 64 pixels, five to a drawing, with one duplicate in twenty. The recipe has
nine operators, the last of which compares all rows. CPU seconds are those of the process and its children; MB are the
peak of the largest process. With ``--compare`` both run with each number of ``--processes``, and rows must be the same.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

RECIPE = [
    ("whitespace_normalization_mapper", {}),
    ("fix_unicode_mapper", {}),
    ("text_length_filter", {"min_len": 20, "max_len": 500}),
    ("words_num_filter", {"lang": "en", "tokenization": False, "min_num": 4, "max_num": 60}),
    ("word_repetition_filter", {"lang": "en", "tokenization": False, "rep_len": 3, "max_ratio": 0.5}),
    ("special_characters_filter", {"max_ratio": 0.6}),
    ("image_shape_filter", {"min_width": 32, "min_height": 32}),
    ("image_aspect_ratio_filter", {"min_ratio": 0.4, "max_ratio": 2.5}),
    ("image_text_deduplicator", {}),
]


class Used(NamedTuple):
    """What a process took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def measured(command: list[str], folder: Path) -> Used:
    """Run a command in a folder; stops if it fails."""
    started = time.monotonic()
    log = folder / "log.txt"
    with log.open("ab") as file:
        process = subprocess.Popen(command, cwd=folder, stdout=file, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)[:300]} failed:\n{log.read_text()[-3000:]}")
    return Used(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def write_rows(folder: Path, rows: int, chunks: int) -> list[Path]:
    """Drawings, and the rows about them in chunks, each with its report."""
    from PIL import Image, ImageDraw

    from syntune.data.synthesis import write_report
    from syntune.files import sha256_file, write_jsonl

    rng = random.Random(0)
    colors = ("red", "green", "blue", "gray", "teal", "brown", "black", "yellow")
    (folder / "images").mkdir()
    made = []
    for index in range(rows):
        drawing = folder / f"images/{index // 5}.png"
        if index % 5 == 0:
            image = Image.new("RGB", (64, 64), rng.choice(("white", "ivory", "beige")))
            x, y, size = rng.randrange(30), rng.randrange(30), rng.randrange(12, 34)
            shape = rng.choice(("ellipse", "rectangle"))
            getattr(ImageDraw.Draw(image), shape)((x, y, x + size, y + size), fill=rng.choice(colors))
            image.save(drawing)
            sha256 = sha256_file(drawing)
        number = index - index % 5 if index % 20 == 4 else index
        question = f"what color is shape number {number} in the image?"
        text = f"<__dj__image>\n[[human]]: {question}\n[[gpt]]: {rng.choice(colors[:1])} <|__dj__eoc|>"
        images = [f"images/{drawing.name}"]
        made.append({"id": f"r{index:07d}", "images": images, "image_sha256": [sha256], "text": text})
    files = []
    for chunk in range(chunks):
        part = made[rows * chunk // chunks : rows * (chunk + 1) // chunks]
        files.append(folder / f"0/chunk-{chunk:05d}.jsonl")
        write_jsonl(files[-1], part)
        write_report(files[-1].with_suffix(".json"), files[-1], len(part), len(part), [])
    return files


def synthesized(folder: Path, chunks: list[Path], processes: int) -> tuple[dict[str, list[Used]], list[str]]:
    """Run the recipe as the rules do; what each command took, and the ids of the rows that are left."""
    from syntune.recipes.stages import stages_of

    results = folder / f"with-{processes}"
    used: dict[str, list[Used]] = {}
    python = [sys.executable]
    names = ["--dataset", "d", "--recipe", "recipe"]
    for stage in stages_of(RECIPE, "recipe"):
        operators, target = json.dumps(stage.operators), results / str(stage.number)
        options = [*names, "--operators", operators]
        if stage.kind == "global":
            script = [*python, str(ROOT / "scripts/select_rows.py"), *options, "--output", str(target)]
            files = ["--chunks", *map(str, chunks), "--edges", *(str(file.with_suffix(".json")) for file in chunks)]
            columns = ["--columns", *(str(file.with_suffix(".columns.parquet")) for file in chunks)]
            used["select_rows"] = [measured([*script, *files, *columns, "--manifest", f"{target}.json"], folder)]
        else:
            script = [*python, str(ROOT / "scripts/synthesize.py"), *options]
            with ThreadPoolExecutor(processes) as pool:
                commands = [[*script, *_chunk_options(chunk, target, results)] for chunk in chunks]
                used["synthesize"] = list(pool.map(lambda command: measured(command, folder), commands))
        chunks = [target / chunk.name for chunk in chunks]
    rows = (json.loads(line) for chunk in chunks for line in chunk.open())
    return used, [row["id"] for row in rows]


def _chunk_options(chunk: Path, target: Path, results: Path) -> list[str]:
    """The options of ``synthesize`` that name files."""
    stem = target / chunk.stem
    files = {"chunk": chunk, "edge": chunk.with_suffix(".json"), "kept": results / "kept" / chunk.stem}
    files |= {"output": target / chunk.name, "report": f"{stem}.json"}
    files |= {"lineage": f"{stem}.lineage.parquet", "columns": f"{stem}.columns.parquet"}
    return [text for name, path in files.items() for text in (f"--{name}", str(path))]


def through_dj_process(folder: Path, chunks: list[Path], processes: int) -> tuple[Used, list[str]]:
    """Run the recipe through Data-Juicer's own command; what it took, and the ids of the rows that are left."""
    import yaml

    rows, output = folder / "rows.jsonl", folder / f"dj-{processes}/out.jsonl"
    rows.write_text("".join(chunk.read_text() for chunk in chunks))
    config = {
        "project_name": "speed",
        "dataset_path": str(rows),
        "export_path": str(output),
        "np": processes,
        "use_cache": False,
        "open_monitor": False,
        "skip_op_error": False,
        "custom_operator_paths": [str(ROOT / "scripts/syntune/operators/image_text_deduplicator.py")],
        "process": [{name: parameters} for name, parameters in RECIPE],
    }
    path = folder / "dj.yaml"
    path.write_text(yaml.safe_dump(config))
    command = [str(Path(sys.executable).with_name("dj-process")), "--config", str(path)]
    os.environ["PYTHONPATH"] = str(ROOT / "scripts")
    used = measured(command, folder)
    return used, [json.loads(line)["id"] for line in output.open()]


def line(*cells: object) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--chunks", type=int, default=10)
    parser.add_argument("--compare", action="store_true", help="beside dj-process")
    parser.add_argument("--processes", type=int, nargs="+", help="at a time (default: 2; with --compare, 1 and 2)")
    args = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chunks = write_rows(folder, args.rows, args.chunks)
        if args.compare:
            print(line("rows", "processes", "by", "wall s", "CPU s", "largest process MB", "rows left"))
            print(line(*["---"] * 7))
        else:
            print(line("rows", "command", "jobs", "CPU s", "peak MB", "rows left"))
            print(line(*["---"] * 6))
        for processes in args.processes or ((1, 2) if args.compare else (2,)):
            started = time.monotonic()
            used, left = synthesized(folder, chunks, processes)
            wall = time.monotonic() - started
            parts = [part for some in used.values() for part in some]
            if not args.compare:
                for command, some in used.items():
                    cpu, peak = sum(part.cpu_s for part in some), max(part.peak_mb for part in some)
                    print(line(args.rows, command, len(some), cpu, peak, len(left)))
                continue
            cpu, peak = sum(part.cpu_s for part in parts), max(part.peak_mb for part in parts)
            print(line(args.rows, processes, "synthesis", wall, cpu, peak, len(left)))
            theirs, left_there = through_dj_process(folder, chunks, processes)
            print(line(args.rows, processes, "dj-process", *theirs, len(left_there)))
            if sorted(left) != sorted(left_there):
                sys.exit("the rows differ")


if __name__ == "__main__":
    main()
