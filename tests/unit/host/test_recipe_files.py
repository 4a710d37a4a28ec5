"""The local files that operators read are found, wherever their names stand."""

from pathlib import Path

import pytest

from syntune.recipes.files import named_files


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with word lists, a tokenizer and what an operator writes."""
    monkeypatch.chdir(tmp_path)
    for name in ("words/stopwords.json", "words/deep/more.json", "models/tokenizer/tokenizer.json", "made/a.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("{}")
    return tmp_path


def test_files_and_those_in_folders(folder):
    recipe = [
        ("stopwords_filter", {"lang": "words", "stopwords_dir": "words"}),
        ("columns_of", {"document_minhash_deduplicator": {"tokenizer_model": str(folder / "models/tokenizer")}}),
        ("image_blur_mapper", {"save_dir": "made", "radius": 2}),
    ]
    assert named_files(recipe) == [
        str(folder / "models/tokenizer/tokenizer.json"),
        "words/deep/more.json",
        "words/stopwords.json",
    ]


@pytest.mark.parametrize("parameters", [{}, {"instruction": "yes/no"}, {"stopwords_dir": "nowhere"}, {"text": "words"}])
def test_what_names_no_file(parameters):
    assert named_files([("any", parameters)]) == []
