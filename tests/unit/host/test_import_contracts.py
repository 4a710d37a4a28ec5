"""The import contracts of pyproject.toml."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_script_is_forbidden_to_the_library():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (forbidden,) = [contract["forbidden_modules"] for contract in contracts if contract["type"] == "forbidden"]
    assert forbidden == sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))
