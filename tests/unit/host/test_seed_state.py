"""A seed's state changes with any of its files, and with nothing else."""

import os
from pathlib import Path

import pytest

from syntune.settings.seed_state import seed_state


@pytest.fixture
def seed(tmp_path, monkeypatch):
    """A working folder with records and pictures, one behind a link."""
    monkeypatch.chdir(tmp_path)
    for name in ("data/seed.jsonl", "data/images/a.png", "data/images/deep/b", "elsewhere/c.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    os.symlink(tmp_path / "elsewhere", "data/images/linked")
    os.symlink(tmp_path / "data/images", "data/images/loop")
    return ["data/seed.jsonl"], "data/images"


@pytest.mark.parametrize("name", ["data/seed.jsonl", "data/images/a.png", "data/images/deep/b", "elsewhere/c.jpg"])
@pytest.mark.parametrize(
    "change",
    [lambda path: path.write_text("longer than it was before"), lambda path: os.utime(path, (1, 1))],
    ids=["size", "older"],
)
def test_any_change_is_noticed(seed, name, change):
    before = seed_state(*seed)
    assert seed_state(*seed) == before
    change(Path(name))
    assert seed_state(*seed) != before


def test_files_that_come_and_go_are_noticed(seed):
    states = [seed_state(*seed)]
    Path("data/images/new.png").touch()
    states.append(seed_state(*seed))
    Path("data/images/a.png").unlink()
    states.append(seed_state(*seed))
    assert len(set(states)) == 3


def test_hidden_files_do_not_count(seed):
    before = seed_state(*seed)
    Path("data/images/.cache").touch()
    assert seed_state(*seed) == before


@pytest.mark.parametrize("images", [None, "."])
def test_beside_the_records_or_around_the_workflow_only_pictures_count(seed, images):
    Path("data/seed.jsonl").rename("seed.jsonl")
    before = seed_state(["seed.jsonl"], images)
    Path("results/data").mkdir(parents=True)
    for name in ("config.yaml", "results/data/x.png", "data/notes.txt"):
        Path(name).touch()
    assert seed_state(["seed.jsonl"], images) == before
    Path("data/images/a.png").write_text("changed")
    assert seed_state(["seed.jsonl"], images) != before


def test_what_rules_make_is_left_to_snakemake():
    assert seed_state(["results/demo/seed.jsonl"], None) == seed_state(
        ["results/demo/seed.jsonl"], "results/demo/images"
    )


def test_images_need_not_be_watched(seed):
    before = seed_state(*seed, watch_images=False)
    Path("data/images/a.png").unlink()
    assert seed_state(*seed, watch_images=False) == before
    Path("data/seed.jsonl").write_text("")
    assert seed_state(*seed, watch_images=False) != before


def test_all_paths_of_a_machine_are_not_looked_at(seed):
    assert seed_state(seed[0], "/") == seed_state(*seed, watch_images=False)


@pytest.mark.parametrize("name", ["a.png", "a.txt"])
def test_a_folder_that_is_records_as_a_whole_is_watched(seed, name):
    Path("data/images/a.txt").touch()
    before = seed_state(["data/images"], None)
    Path("data/images", name).write_text("changed")
    assert seed_state(["data/images"], None) != before


def test_images_of_a_hub_are_not_looked_at(seed):
    assert seed_state(seed[0], "owner/name@0123456/images") == seed_state(*seed, watch_images=False)
