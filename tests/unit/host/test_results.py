"""Each config has its own folder of results, and no two share one in silence."""

import re
from pathlib import Path

import pytest

from syntune.errors import UserError
from syntune.settings.results import OWN, SHARED, other_config, remember_config, results_folder

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("configs", "wanted", "folder"),
    [
        ([], None, "results"),
        (["config.yaml"], None, "results"),
        (["config/mine.yaml"], None, "results/mine"),
        (["config/base.yaml", "../mine.v2.yml"], None, "results/mine.v2"),
        (["mine.yaml"], "results", "results"),
        (["data.yaml"], "./results/my-data/", "results/my-data"),
        ([], "/disk/mine", "/disk/mine"),
    ],
)
def test_the_folder_has_the_config_s_name(configs, wanted, folder):
    assert results_folder(configs, wanted) == folder


@pytest.mark.parametrize(
    ("configs", "wanted", "message"),
    [
        (["config/data.yaml"], None, "config/data.yaml: results: results/data has the name of a folder within results"),
        (["mine.yaml"], "results/cache/x", "results/cache/x has the name of a folder within results"),
        (["my own.yaml"], None, "a folder of results cannot have ' ' in its name"),
        ([], "a{b}", "cannot have '{' in its name"),
        ([], ".", "config.yaml: results: . holds the project itself"),
        ([], "..", "holds the project itself"),
        ([], "dead/x", "dead is a link to what does not exist"),
        ([], "file/x", "file is not a folder"),
    ],
)
def test_a_folder_that_cannot_be_is_refused(project, configs, wanted, message):
    (project / "dead").symlink_to("nowhere")
    (project / "file").touch()
    with pytest.raises(UserError, match=re.escape(message)):
        results_folder(configs, wanted)


def test_results_may_be_a_link(project, tmp_path):
    (tmp_path / "disk").mkdir()
    (project / "results").symlink_to(tmp_path / "disk")
    assert results_folder(["mine.yaml"]) == "results/mine"


def test_another_config_is_told():
    assert other_config("results/x", "x.yaml") is None
    remember_config("results/x", "x.yaml")
    assert other_config("results/x", "x.yaml") is None
    assert other_config("results/x", "config/x.yaml") == "x.yaml"


def test_results_that_cannot_be_written_are_one_line(project):
    (project / "file").touch()
    with pytest.raises(UserError, match="^file/x: results cannot be written there .* set results to another folder$"):
        remember_config("file/x", "x.yaml")


def test_no_folder_of_the_rules_is_forgotten():
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    assert set(re.findall(r'(?:<results>|\{RESULTS\})/([a-z-]+)[/"]', rules)) == {*OWN, "cache"}
    assert set(re.findall(r'[" ]results/([a-z-]+)/', rules)) <= {*SHARED, *OWN}
