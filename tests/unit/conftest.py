"""What unit tests share: goldens, and real data where it is there."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def goldens() -> Path:
    """The folder of what the reference MGM and the reference evaluators computed; its README says how."""
    return ROOT / "tests/goldens"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ``shared`` beside the repository, with real records and benchmark rows of others' data sets."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs real records and benchmark rows in ../shared, which are not ours to give with the project")
    return folder
