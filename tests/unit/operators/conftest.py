"""An operator run as a recipe runs it."""

import pytest
from recipe_runs import run_on_rows


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
