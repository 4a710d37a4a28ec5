"""Speed of scoring: a full TextVQA and a full MMBench, each from the start of the process to its score file.

    python perf/score_speed.py                 # in the environment of envs/eval.yaml
    python perf/score_speed.py --repeats 5

The files are made up in the published formats and sizes: TextVQA has 5,000 questions on 3,166 images, ten answers each;
MMBench dev has 4,377 rows of 1,176 base questions with images of 15 kB. Prints a Markdown table of the fastest repeat.
"""

import argparse
import base64
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

QUESTIONS, IMAGES = 5000, 3166
ROTATIONS = {4: 938, 3: 149, 2: 89}
"""Base questions of MMBench dev by their number of options, each of which makes a rotation."""
WORDS = ("acme", "stop", "red", "coca cola", "main street", "42", "1984", "exit", "open", "taxi", "nikon", "yes", "no")
SCORE = "import score; score.main(score.parser().parse_args())"
IMPORTS = "import syntune.benchmarks.registry, syntune.benchmarks.scoring"


def write_textvqa(folder: Path) -> dict[str, Any]:
    """Write annotations and LLaVA's question file; returns the benchmark's settings."""
    rng = random.Random(0)
    (folder / "images").mkdir()
    annotations, lines = [], []
    for number in range(QUESTIONS):
        image, text = f"i{number % IMAGES}", f"what is written on sign {number}?"
        right = rng.choice(WORDS)
        answers = [right if rng.random() < 0.7 else rng.choice(WORDS) for _ in range(10)]
        annotations.append({"question_id": number, "image_id": image, "question": text, "answers": answers})
        tokens = ", ".join(rng.choices(WORDS, k=8))
        prompt = f"{text}\nReference OCR token: {tokens}\nAnswer the question using a single word or phrase."
        lines.append(json.dumps({"question_id": image, "image": f"{image}.jpg", "text": prompt}))
    (folder / "annotations.json").write_text(json.dumps({"dataset_version": "0.5.1", "data": annotations}))
    (folder / "questions.jsonl").write_text("\n".join(lines))
    files = {"annotations": "annotations.json", "questions": "questions.jsonl", "images": "images"}
    return {"protocol": "textvqa", **{key: str(folder / name) for key, name in files.items()}}


def write_mmbench(folder: Path) -> dict[str, Any]:
    """Write the table; returns the benchmark's settings."""
    rng = random.Random(1)
    options = [number for number, times in ROTATIONS.items() for _ in range(times)]
    lines = ["index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\timage\tsource\tl2-category\tcomment\tsplit"]
    for rotation in range(4):
        for base, number in enumerate(options):
            if rotation >= number:
                continue
            texts = [f"option {(place + rotation) % number}" for place in range(number)] + [""] * (4 - number)
            answer = "ABCD"[(base - rotation) % number]
            image = str(base) if rotation else base64.b64encode(rng.randbytes(15_000)).decode()
            cells = [base + rotation * 1_000_000, f"Which is {base}?", "", *texts, answer, f"kind {base % 20}", image]
            lines.append("\t".join(map(str, [*cells, "made up", f"group {base % 6}", "", "dev"])))
    (folder / "table.tsv").write_text("\n".join(lines) + "\n")
    return {"protocol": "mmbench", "table": str(folder / "table.tsv")}


def write_run(folder: Path, name: str, settings: dict[str, Any]) -> tuple[list[str], int]:
    """Write made-up answers and findings of contamination; returns the command's arguments and the rows."""
    from syntune.artifacts.findings import BenchmarkFindings, Findings
    from syntune.benchmarks.registry import load_benchmark
    from syntune.settings.benchmarks import BenchmarkSettings
    from syntune.settings.reading import read_settings

    questions = load_benchmark(read_settings(settings, BenchmarkSettings, name), name).questions()
    rng = random.Random(2)
    answers = WORDS if settings["protocol"] == "textvqa" else ["A", "B.", "(C)", "The answer is D."]
    rows = [
        {"question_id": q.id, "prompt": q.prompt, "text": rng.choice(answers), "adapter": "a", "benchmark": "b"}
        for q in questions
    ]
    (folder / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    counts = {"both": 50, "text": 500, "image": 100}
    found = BenchmarkFindings(
        questions=len(questions), text=500, image_exact=100, image_near=0, both=50, share=50 / len(questions),
        question_ids={kind: [q.id for q in questions[:count]] for kind, count in counts.items()},
        row_ids=[], examples={},
    )  # fmt: skip
    findings = Findings(dataset="d", settings={}, rows=10_000, benchmarks={name: found})
    (folder / "findings.json").write_text(findings.model_dump_json())
    paths = [str(folder / file) for file in ("predictions.jsonl", "findings.json", "score.json")]
    arguments = ["--run", "run", "--benchmark", name, "--settings", json.dumps(settings), "--predictions", paths[0]]
    return [*arguments, "--contamination", paths[1], "--output", paths[2]], len(questions)


def seconds(code: str, arguments: list[str], repeats: int) -> Iterator[float]:
    """The time that a fresh interpreter takes to run ``code``, ``repeats`` times."""
    for _ in range(repeats):
        begun = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, env=environment)
        yield time.perf_counter() - begun


def main(args: argparse.Namespace) -> None:
    """Measure, and print the table."""
    imports = min(seconds(IMPORTS, [], args.repeats))
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; best of {args.repeats}\n")
    print("| benchmark | answers | seconds | of it imports |\n|---|---|---|---|")
    for name, write in (("TextVQA", write_textvqa), ("MMBench", write_mmbench)):
        with tempfile.TemporaryDirectory() as folder:
            arguments, rows = write_run(Path(folder), name, write(Path(folder)))
            whole = min(seconds(SCORE, arguments, args.repeats))
        print(f"| {name} | {rows:,} | {whole:.1f} | {imports:.1f} |", flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=3, help="runs of each; the fastest counts")
    return arguments


if __name__ == "__main__":
    main(parser().parse_args())
