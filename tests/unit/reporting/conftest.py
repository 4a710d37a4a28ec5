"""A small project's results, as the other stages write them, and the report made of it."""

import json
import math
from argparse import Namespace
from pathlib import Path

import pytest

from syntune.files import sha256_bytes

RUNS = {"pretrained": "full", "raw": "lora", "synthetic": "lora"}
BENCHMARKS = {"open": "textvqa", "choice": "mmbench"}
QUESTIONS = 40


class Project:
    """Builds ``results/`` in a folder; change a file, then call :meth:`report`."""

    def __init__(self, folder: Path) -> None:
        self.results = folder / "results"
        manifests = self.write_manifests()
        self.arguments = {
            **manifests,
            "summaries": [self.write_summary(run) for run in RUNS],
            "metrics": [self.write_metrics(run) for run in RUNS],
            "scores": [self.write_score(run, benchmark) for run in RUNS for benchmark in BENCHMARKS],
            "predictions": [self.write_predictions(run, benchmark) for run in RUNS for benchmark in BENCHMARKS],
            "comparison": self.write_comparison(),
            "trainings": "{}",
            "contamination": [self.write_contamination()],
            "contamination_pictures": [self.write_pictures()],
            "timings": [
                self.write_timing("train", run, seconds) for run, seconds in zip(RUNS, (500.2, 61, 59), strict=True)
            ]
            + [self.write_timing("predict", f"{run}.{benchmark}", 20.5) for run in RUNS for benchmark in BENCHMARKS],
        }

    def write(self, path: str, text: str) -> Path:
        file = self.results / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def write_manifest(self, path: str, stage: str, name: str, parts: dict[str, int], **fields) -> Path:
        parts = [
            {"path": part, "bytes": size, "sha256": sha256_bytes(part.encode()), "rows": None}
            for part, size in parts.items()
        ]
        interpreter = {"environment": "data", "python": "3.11.7", "some-package": "1.2.3"}
        content = sha256_bytes(path.encode())
        manifest = {"stage": stage, "name": name, "content": content, "parts": parts, "interpreter": interpreter}
        return self.write(path, json.dumps(manifest | fields))

    def write_manifests(self) -> dict[str, list[Path]]:
        rows = {"rows_in": 12000, "rows_out": 11800, "dropped": {"image is not readable": 200}}
        operators = [
            {"operator": "filter", "rows_in": 11800, "added": 0, "dropped": 100, "rows_out": 11700},
            {"operator": "mapper", "rows_in": 11700, "added": 6000, "dropped": 0, "rows_out": 17700},
            {"operator": "deduplicator", "rows_in": 17700, "added": 0, "dropped": 2700, "rows_out": 15000},
        ]
        synthesized = {
            "rows_in": 11800, "rows_out": 15000, "added": 6000, "dropped": {"deduplicator": 2700, "filter": 100},
            "details": {"images": 2900, "operators": operators},
        }  # fmt: skip
        details = {"images": 2900, "image_bytes": 4_500_000, "answers": 15000, "mean_answer_words": 1.02}
        sharded = {"rows_in": 15000, "rows_out": 15000, "details": details}
        shards = {f"synthetic/shard-0000{index}-of-00002.parquet": 2_500_000 for index in range(2)}
        adapter = {"adapter_model.safetensors": 123_456, "adapter_config.json": 789}
        return {
            "seed_manifests": [
                self.write_manifest("seed/s.manifest.json", "ingest_seed", "s", {"s/chunk-0.jsonl": 999_999}, **rows)
            ],
            "synthesis_manifests": [
                self.write_manifest(
                    "synth/synthetic.manifest.json", "gather_synthesis", "synthetic", {"synthetic.jsonl": 1_234_567},
                    **synthesized,
                )
            ],
            "dataset_manifests": [
                self.write_manifest("data/synthetic.manifest.json", "shard", "synthetic", shards, **sharded)
            ],
            "model_manifests": [
                self.write_manifest(
                    "models/tiny.manifest.json", "prepare_base", "tiny", {"tiny/model.safetensors": 4_000_000},
                    details={"vocab_size": 400},
                )
            ],
            "run_manifests": [
                self.write_manifest(
                    f"checkpoints/{run}.manifest.json", "train", run,
                    {f"{run}/{part}": size for part, size in adapter.items()},
                )
                for run in RUNS
            ],
        }  # fmt: skip

    def write_summary(self, run: str, **fields) -> Path:
        lora = RUNS[run] == "lora"
        summary = {
            "run": run, "method": RUNS[run], "steps": 200 if lora else 400, "epochs": 1.0, "rows": 15000,
            "masked_rows": 0, "seconds": 59.5 if lora else 480.0, "samples_per_second": 252.1,
            "tokens_per_second": 9876.5, "first_loss": 3.1 if lora else 6.1, "final_loss": 0.6,
            "parameters": {
                "total": 1_234_567, "trainable": 60_000 if lora else 1_234_567, "lora": 50_000 if lora else 0,
                "beside_lora": 10_000 if lora else 0,
            },
            "memory": {"peak_gib": 0.91, "kind": "resident"}, "device": "cpu", "precision": "fp32",
            "attention": "sdpa",
            "verdicts": [
                {"name": "first loss", "status": "ok", "detail": "6.1 is at most ln(400) + 1"},
                {"name": "gradient norm", "status": "ok", "detail": "never more than 100 times the median"},
            ],
            "healthy": True, "resumed_from": None,
            "hyperparameters": {
                "random_seed": 42, "lora": {"r": 16}, "optimizer": {"learning_rate": 2e-5 if lora else 1e-3},
            },
        }  # fmt: skip
        return self.write(f"checkpoints/{run}/summary.json", json.dumps(summary | fields))

    def write_metrics(self, run: str) -> Path:
        steps, start = (400, 6.1) if RUNS[run] == "full" else (200, 3.1 + 0.3 * (run == "raw"))
        lines = [
            {
                "step": step, "epoch": step / steps,
                "loss": 0.5 + start * math.exp(-6 * step / steps) * (1 + 0.2 * math.sin(9 * step)),
                "learning_rate": 1e-3 * min(step / 12, 1) * (1 + math.cos(math.pi * step / steps)) / 2,
                "grad_norm": 0.5 + abs(math.sin(7 * step)) + 20 * (step < 4), "supervised_tokens": 300,
                "tokens": 4000, "samples": 128, "seconds": 0.3, "samples_per_second": 240 + 20 * math.sin(step),
                "tokens_per_second": 9000 + 500 * math.sin(step), "memory_gib": 0.9,
            }
            for step in range(1, steps + 1)
        ]  # fmt: skip
        return self.write(f"checkpoints/{run}/metrics.jsonl", "\n".join(map(json.dumps, lines)) + "\n")

    @staticmethod
    def right(run: str, question: int) -> bool:
        """Which questions a run answers rightly: later runs answer more."""
        return question % 5 < 2 + ("pretrained", "raw", "synthetic").index(run.split("-")[0])

    def write_score(self, run: str, benchmark: str, **fields) -> Path:
        marks = [[f"q{question}", float(self.right(run, question)), question // 2] for question in range(QUESTIONS)]
        value = sum(mark for _, mark, _ in marks) / QUESTIONS
        metric = {
            "value": value,
            "stderr": 0.05,
            "interval": [value - 0.1, value + 0.1],
            "n": QUESTIONS,
            "clusters": 20,
        }
        score = {
            "run": run, "benchmark": benchmark, "protocol": BENCHMARKS[benchmark], "metrics": {"accuracy": metric},
            "primary": "accuracy", "questions": marks,
            "breakdown": {"accuracy_by_category": {"shape": {"value": value, "n": 20}}, "answers": {"empty": 0}},
            "contamination": self.without(0) if RUNS[run] == "lora" else None,
            "baseline": {"majority": 0.25, "answer": "circle", "metrics": {"accuracy": 0.25}},
            "metadata": self.metadata(benchmark),
        }  # fmt: skip
        return self.write(f"scores/{run}/{benchmark}.json", json.dumps(score | fields))

    def write_unscored(self, run: str, benchmark: str, reason: str) -> None:
        """Take a run's score on a benchmark away, from the comparison too."""
        score = {"run": run, "benchmark": benchmark, "protocol": BENCHMARKS[benchmark], "label": "in a few words"}
        self.write(f"scores/{run}/{benchmark}.json", json.dumps(score | {"not_scored": reason}))
        path = self.results / "scores/compare.json"
        comparison = json.loads(path.read_text())
        found = comparison["benchmarks"][benchmark]
        del found["runs"][run]
        found["differences"] = [one for one in found["differences"] if run not in (one["run"], one["beside"])]
        comparison["not_scored"] = {benchmark: {run: reason}}
        path.write_text(json.dumps(comparison))

    @staticmethod
    def metadata(benchmark: str, **fields) -> dict:
        """What a score file says of its benchmark."""
        return {
            "label": f"{BENCHMARKS[benchmark]}, in a few words", "clusters": "images", "answers": QUESTIONS,
            "questions_in_benchmark": QUESTIONS, "adapter": "a", "questions_hash": "b",
            "decoding": {"max_new_tokens": 8}, **fields,
        }  # fmt: skip

    def write_predictions(self, run: str, benchmark: str, answer=None) -> Path:
        rows = [
            {
                "question_id": f"q{question}", "prompt": f"What shape is number {question}?\nAnswer with a word.",
                "text": answer or ("circle" if self.right(run, question) else f"{run} {question}"), "tokens": 2,
                "adapter": run, "benchmark": benchmark, "decoding": {"max_new_tokens": 8},
            }
            for question in range(QUESTIONS)
        ]  # fmt: skip
        return self.write(f"predictions/{run}/{benchmark}.jsonl", "\n".join(map(json.dumps, rows)) + "\n")

    def write_comparison(self, **changes: dict) -> Path:
        """Write the comparison; ``changes`` are of a run's difference to the baseline run, on every benchmark.

        A run's key ``trainings`` is of its score, and ``pair`` is the difference of synthetic to raw.
        """
        trainings = {run: change.pop("trainings") for run, change in changes.items() if "trainings" in change}
        runs = {
            run: {"value": value, "stderr": 0.05, "interval": [value - 0.1, value + 0.1], "trainings": {run: value}}
            | trainings.get(run, {})
            for run, value in (("pretrained", 0.4), ("raw", 0.6), ("synthetic", 0.8))
        }
        rest = {"questions_needed": 123, "detectable_difference": 0.3}
        raw = {"run": "raw", "beside": "pretrained", "difference": 0.2, "stderr": 0.1, "interval": [-0.01, 0.41]}
        synthetic = {
            "run": "synthetic", "beside": "pretrained", "difference": 0.4, "stderr": 0.08, "interval": [0.25, 0.55],
            "p_value": 0.0001, "questions_needed": 12, "detectable_difference": 0.2, "trained_once": ["synthetic"],
        }  # fmt: skip
        pair = {"run": "synthetic", "beside": "raw", "difference": 0.2, "stderr": 0.08, "interval": [0.05, 0.35]}
        pair |= {"p_value": 0.02, "trained_once": ["synthetic", "raw"], **rest}
        benchmark = {
            "label": "in a few words", "metric": "accuracy", "n": QUESTIONS, "clusters": 20, "clustered_by": "images",
            "questions_in_benchmark": QUESTIONS, "majority": {"majority": 0.25, "answer": "circle"}, "runs": runs,
            "differences": [
                raw | {"p_value": 0.06, "trained_once": ["raw"], **rest} | changes.get("raw", {}),
                synthetic | changes.get("synthetic", {}),
                pair | changes.get("pair", {}),
            ],
        }  # fmt: skip
        names = {run: list(row["trainings"]) for run, row in runs.items()}
        comparison = {"baseline": "pretrained", "trainings": names, "benchmarks": dict.fromkeys(BENCHMARKS, benchmark)}
        return self.write("scores/compare.json", json.dumps(comparison))

    def train_again(self, run: str, times: int) -> None:
        """Further trainings of a run, with their scores, and the comparison that knows them."""
        names = [run, *(f"{run}-{number}" for number in range(2, times + 1))]
        for name in names[1:]:
            RUNS[name] = RUNS[run]
        try:
            for name in names[1:]:
                self.arguments["summaries"].append(self.write_summary(name))
                self.arguments["metrics"].append(self.write_metrics(name))
                for benchmark in BENCHMARKS:
                    self.arguments["scores"].append(self.write_score(name, benchmark))
                    self.arguments["predictions"].append(self.write_predictions(name, benchmark))
        finally:
            for name in names[1:]:
                del RUNS[name]
        scores = {name: 0.6 + 0.02 * place for place, name in enumerate(names)}
        replicated = {"value": 0.62, "trainings": scores, "spread": 0.02, "spread_interval": [0.0104, 0.1257]}
        self.write_comparison(**{run: {"trainings": replicated, "trained_once": []}}, pair={"trained_once": []})

    def write_contamination(self, **fields) -> Path:
        seen = {"question_id": "q7", "question": "What shape is number 7?", "row": "row-99", "distance": 12}
        found = {
            "questions": QUESTIONS, "text": 9, "image_exact": 0, "image_near": 3, "both": 1, "share": 1 / QUESTIONS,
            "question_ids": {"text": ["q7"], "image": ["q7"], "both": ["q7"]}, "row_ids": ["row-99"],
            "examples": {"text": [seen | {"distance": None}], "image_exact": [], "image_near": [seen], "both": [seen]},
        }  # fmt: skip
        findings = {"dataset": "synthetic", "settings": {"ngram": 8}, "rows": 15000}
        findings["benchmarks"] = {name: found | fields for name in BENCHMARKS}
        return self.write("contamination/synthetic.json", json.dumps(findings))

    def write_pictures(self, rows: int = 1) -> Path:
        """Pictures of the examples of contamination: of the questions, and as many of the row."""
        questions = {name: {"q7": "data:image/webp;base64,QQ=="} for name in BENCHMARKS}
        pictures = {
            "dataset": "synthetic",
            "questions": questions,
            "rows": {"row-99": ["data:image/webp;base64,Ug=="] * rows},
        }
        return self.write("contamination/synthetic.pictures.json", json.dumps(pictures))

    @staticmethod
    def without(left_out: int) -> dict:
        """What a score file says of the score without contaminated questions."""
        left = {"left_out": left_out, "value": 0.575, "stderr": 0.05, "interval": [0.475, 0.675]}
        left |= {"n": QUESTIONS - left_out, "clusters": 20}
        return {"datasets": ["synthetic"], "without": {"both": left, "text": left | {"left_out": 9}, "image": left}}

    def write_timing(self, rule: str, job: str, seconds: float) -> Path:
        columns = {"s": f"{seconds:.4f}", "h:m:s": "0:01:00", "max_rss": "512.5", "max_vms": "900.1", "io_in": "NA"}
        columns |= {"mean_load": "98.5", "cpu_time": f"{seconds:.2f}"}
        return self.write(f"timings/{rule}/{job}.tsv", "\t".join(columns) + "\n" + "\t".join(columns.values()) + "\n")

    @property
    def page(self) -> Path:
        return self.results / "report/index.html"

    @property
    def figures(self) -> Path:
        return self.results / "report/figures"

    def report(self, **changed) -> str:
        """Make the report and return the page."""
        from report import main

        arguments = {"title": "A title", "description": "A <b>description</b>."} | self.arguments | changed
        main(Namespace(**arguments, output=self.page, figures=self.figures))
        return self.page.read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose report is made; for tests that change nothing."""
    project = Project(tmp_path_factory.mktemp("reported"))
    project.report()
    return project
