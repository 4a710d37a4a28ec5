"""An operator run as a recipe runs it, and the operators themselves, made safe to import."""

import importlib
from pathlib import Path

import pytest
from recipe_runs import run_on_rows

OPERATORS = Path(__file__).resolve().parents[3] / "scripts/syntune/operators"


@pytest.fixture(scope="session")
def registered(tmp_path_factory):
    """Register the project's operators with Data-Juicer."""
    from syntune.data.juicer import prepare_data_juicer

    prepare_data_juicer(tmp_path_factory.mktemp("produced"))
    for file in OPERATORS.glob("*_*.py"):
        importlib.import_module(f"syntune.operators.{file.stem}")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run one operator on texts, each about the image of its position or about ``images``; returns the texts."""
    monkeypatch.chdir(tmp_path)

    def run(name, texts, images=None, **parameters):
        rows = [
            {
                "id": f"r{index}",
                "images": [str(images[index])] if images else [],
                "image_sha256": [str(index)] if images else [],
                "text": text,
            }
            for index, text in enumerate(texts)
        ]
        return [row["text"] for row in run_on_rows([(name, parameters)], rows)]

    return run
