"""Finished checkpoints are found again whole, or not at all."""

import pytest

from syntune.artifacts.manifests import Part, read_manifest, write_manifest
from syntune.settings.runs import TrainedRunSettings
from syntune.training.finished_checkpoints import FinishedCheckpoints

SETTINGS = TrainedRunSettings(method="lora", start="base", dataset="data")


@pytest.fixture
def finished(tmp_path):
    """A store of two, and a way to finish a training in it."""
    store = FinishedCheckpoints(tmp_path / "finished", keep=2)

    def finish(fingerprint: str) -> None:
        folder = tmp_path / "checkpoints/run"
        (folder / "events").mkdir(parents=True, exist_ok=True)
        (folder / "weights").unlink(missing_ok=True)
        (folder / "weights").write_text(fingerprint.ljust(2**20 + 1))
        (folder / "metrics").write_text(fingerprint)
        manifest = tmp_path / "checkpoints/run.manifest.json"
        parts = [Part.from_file(folder / name, manifest.parent) for name in ("weights", "metrics")]
        write_manifest(manifest, stage="train", name="run", parts=parts, settings=SETTINGS.model_dump(mode="json"))
        store.put(fingerprint, folder, manifest)

    return store, finish


def take(store, fingerprint, tmp_path, settings=SETTINGS):
    return store.take(fingerprint, settings, tmp_path / "again/run", tmp_path / "again/run.manifest.json")


def test_a_finished_checkpoint_is_taken_without_copying(finished, tmp_path):
    store, finish = finished
    finish("one")
    assert take(store, "one", tmp_path, SETTINGS.model_copy(update={"workers": 9}))
    taken = tmp_path / "again/run/weights"
    assert taken.read_text().strip() == "one"
    assert taken.samefile(store.folder / "one/run/weights") and taken.samefile(tmp_path / "checkpoints/run/weights")
    stored, manifest = (
        read_manifest(folder / "run.manifest.json") for folder in (store.folder / "one", taken.parents[1])
    )
    assert manifest.settings["workers"] == 9
    assert manifest.model_copy(update={"settings": stored.settings}) == stored


def test_a_small_file_that_is_damaged_comes_back(finished, tmp_path):
    store, finish = finished
    finish("one")
    (tmp_path / "checkpoints/run/metrics").write_text("x")
    assert take(store, "one", tmp_path)
    assert (tmp_path / "again/run/metrics").read_text() == "one"


def test_another_training_and_a_damaged_one_are_not_taken(finished, tmp_path):
    store, finish = finished
    finish("one")
    assert not take(store, "two", tmp_path)
    (store.folder / "one/run/weights").write_text("two")
    assert not take(store, "one", tmp_path)
    assert not (tmp_path / "again").exists()


def test_the_newest_are_kept(finished, tmp_path):
    store, finish = finished
    finish("one")
    finish("two")
    assert take(store, "one", tmp_path)  # which makes it the newest
    finish("three")
    assert sorted(kept.name for kept in store.folder.iterdir()) == ["one", "three"]
    store.keep = 0
    finish("four")
    assert not list(store.folder.iterdir())
