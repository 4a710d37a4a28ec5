"""The import closure of a script."""

from pathlib import Path

import pytest

import syntune.sources as sources

ROOT = Path(__file__).resolve().parents[3]


def forget():
    for remembered in (sources.source_files, sources.read_source, sources._files_of, sources._is_there):
        remembered.cache_clear()


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Writes files of a library and gives the digests of its script ``run``, by path."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        forget()
        return sources.file_digests("run")

    monkeypatch.setattr(sources, "SCRIPTS", tmp_path)
    yield write
    forget()


def test_direct_indirect_relative_and_late_imports_count(library):
    files = {
        "run.py": "import os\ndef main():\n    from syntune.data import reading\n",
        "syntune/__init__.py": "",
        "syntune/data/__init__.py": "",
        "syntune/data/reading.py": "from .rows import Row\nfrom ..errors import UserError\n",
        "syntune/data/rows.py": "",
        "syntune/data/unused.py": "",
        "syntune/errors.py": "",
    }
    assert list(library(files)) == sorted(set(files) - {"syntune/data/unused.py"})


CODE = '''"""What it is."""

LIMIT = 3
"""The most."""


def double(x: int) -> int:
    """Twice."""
    return 2 * x
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("Twice.", "Two times.", True),
        ("What it is.", "", True),
        ("The most.", "No more than that.", True),
        ("    return", "    # why\n\n    return", True),
        ("2 * x", "(2 * x)", True),
        ("2 * x", "x * 2", False),
        ("LIMIT = 3", "LIMIT = 4", False),
        ("x: int", "x: int = 0", False),
    ],
)
def test_a_digest_follows_what_the_code_does(library, old, new, same):
    assert old in CODE
    before = library({"run.py": CODE})
    assert (library({"run.py": CODE.replace(old, new)}) == before) == same


def test_only_the_edited_file_has_another_digest(library):
    before = library({"run.py": "import syntune.a, syntune.b\n", "syntune/a.py": "A = 1\n", "syntune/b.py": "B = 1\n"})
    after = library({"syntune/b.py": "B = 2\n"})
    assert {path for path in before if before[path] != after[path]} == {"syntune/b.py"}


def test_every_command_of_the_workflow_has_its_library_declared():
    paths = [Path(path) for path in sources.source_files("score")]
    names = {path.name for path in paths}
    assert {"score.py", "command.py", "interpreter.py", "textvqa.py", "mmbench.py"} <= names
    assert not {path.parent.name for path in paths} & {"models", "training", "operators"}


@pytest.mark.parametrize(
    ("room", "rules"), [("reporting", "report"), ("answers_page", "report"), ("data_page", "data_page")]
)
def test_every_template_of_a_page_is_an_input_of_its_rule(room, rules):
    rule = (ROOT / f"rules/{rules}.smk").read_text()
    folder = Path("scripts/syntune") / room
    templates = {path.name for path in (ROOT / folder).iterdir() if path.suffix in (".css", ".j2", ".js")}
    assert templates
    assert [name for name in sorted(templates) if f'"{folder}/{name}"' not in rule] == []


def test_what_was_parsed_once_is_parsed_again_when_it_changed(library, tmp_path, monkeypatch):
    files = {"run.py": "import syntune.rows\n", "syntune/__init__.py": "", "syntune/rows.py": "LIMIT = 3\n"}
    kept = tmp_path / "kept.json"
    monkeypatch.setattr(sources, "_PARSED", {})
    first = library(files)
    sources.parse_once(kept)

    parsed = []
    monkeypatch.setattr(sources, "_PARSED", {})
    parse = sources._parse
    monkeypatch.setattr(sources, "_parse", lambda data, path: parsed.append(path) or parse(data, path))
    (tmp_path / "syntune/rows.py").write_text("LIMIT = 4\n")
    forget()
    sources.parse_once(kept)
    assert parsed == ["syntune/rows.py"]
    assert library({}).keys() == first.keys()
    assert {path for path, digest in library({}).items() if first[path] != digest} == {"syntune/rows.py"}

    kept.write_text("{")
    sources.parse_once(kept)
    assert library({}) != first
