"""Data-Juicer, made safe before an operator's module imports it."""

import pytest


@pytest.fixture(scope="session")
def juicer(tmp_path_factory):
    """The module that calls Data-Juicer, ready to use."""
    from syntune.data import juicer

    juicer.prepare_data_juicer(tmp_path_factory.mktemp("produced"))
    import syntune.operators.registered  # noqa: F401

    return juicer


@pytest.fixture
def run(juicer, tmp_path):
    """Run one operator on texts, each about the image of its position or about ``images``; returns the texts."""

    def run(name, texts, images=None, **parameters):
        rows = [
            {"id": f"r{index}", "images": [str(images[index])] if images else [], "text": text}
            for index, text in enumerate(texts)
        ]
        made, _ = juicer.run_operators(rows, juicer.load_operators([(name, parameters)], tmp_path / "recipe.yaml"))
        return [row["text"] for row in made]

    return run
