"""The import closure of a script."""

from pathlib import Path

import syntune.sources as sources

ROOT = Path(__file__).resolve().parents[3]


def closure(tmp_path, monkeypatch, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(sources, "SCRIPTS", tmp_path)
    sources.source_files.cache_clear()
    sources._imported_files.cache_clear()
    found = [path.relative_to(tmp_path).as_posix() for path in sources.source_files("run")]
    sources.source_files.cache_clear()
    sources._imported_files.cache_clear()
    return found


def test_direct_indirect_relative_and_late_imports_count(tmp_path, monkeypatch):
    files = {
        "run.py": "import os\ndef main():\n    from syntune.data import reading\n",
        "syntune/__init__.py": "",
        "syntune/data/__init__.py": "",
        "syntune/data/reading.py": "from .rows import Row\nfrom ..errors import UserError\n",
        "syntune/data/rows.py": "",
        "syntune/data/unused.py": "",
        "syntune/errors.py": "",
    }
    assert closure(tmp_path, monkeypatch, files) == sorted(set(files) - {"syntune/data/unused.py"})


def test_every_command_of_the_workflow_has_its_library_declared():
    names = {path.name for path in sources.source_files("score")}
    assert {"score.py", "command.py", "interpreter.py", "textvqa.py", "mmbench.py"} <= names
    assert not {path.parent.name for path in sources.source_files("score")} & {"models", "training", "operators"}


def test_every_template_of_the_report_is_an_input_of_its_rule():
    rule = (ROOT / "rules/report.smk").read_text()
    folder = Path("scripts/syntune/reporting")
    templates = {path.name for path in (ROOT / folder).iterdir() if path.suffix in (".css", ".j2")}
    assert templates
    assert [name for name in sorted(templates) if f'"{folder}/{name}"' not in rule] == []
