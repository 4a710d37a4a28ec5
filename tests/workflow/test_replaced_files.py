"""Another file of a user's own in an old one's place: its time says nothing, its content or size everything."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from project_copy import Workflow

TARGETS = ("results/models/own.manifest.json", "results/data/worded.manifest.json", "results/scores/local/mine.json")
SYNTHESIZED = {f"synthesize worded.1.{chunk}" for chunk in ("sample", "00000", "00001")}
ANSWERED = {"predict local.mine", "score local.mine"}


@pytest.fixture(scope="module")
def workflow(finished: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A copy with a local model, a recipe's word list and a benchmark of its own, which have all been used."""
    folder = tmp_path_factory.mktemp("replaced") / "copy"
    shutil.copytree(finished.folder, folder, symlinks=True)
    own = folder / "own"
    shutil.copytree(folder / "results/models/tiny", own / "model")
    for name in ("model/templates", "words", "asked"):
        (own / name).mkdir()
    (own / "model/templates/chat.jinja").write_text("{{ messages }}")
    write_words(own / "words/stopwords.json", "is")
    (own / "recipe.yaml").write_text(
        "process:\n  - stopwords_filter: {stopwords_dir: own/words, min_ratio: 0.1, max_ratio: 0.9}\n"
    )
    image = next((folder / "results/easy-vqa/textvqa/images").iterdir())
    shutil.copy(image, own / "asked/a.png")
    (own / "asked/questions.jsonl").write_text('{"id": 1, "image": "a.png", "question": "Is it?", "answer": "yes"}\n')

    config = yaml.safe_load((folder / "small.yaml").read_text())
    config["models"]["own"] = {"source": "local", "path": "own/model"}
    config["datasets"]["worded"] = {"seed": "easy-vqa", "recipe": "own/recipe.yaml"}
    config["runs"]["local"] = {"method": "none", "start": "own", "gpus": 0, "threads": 1}
    asked = {"protocol": "vqa", "questions": "own/asked/questions.jsonl"}
    config["benchmarks"]["mine"] = {**asked, "max_new_tokens": 2, "empty_answers": "wrong"}
    (folder / "small.yaml").write_text(yaml.safe_dump(config))
    made = Workflow(folder)
    done = made.snakemake(*TARGETS)
    assert done.returncode == 0, done.stdout
    return made


def write_words(path: Path, *words: str) -> None:
    path.write_text(json.dumps({"en": words}))


def replace(path: Path, old: bytes, new: bytes) -> None:
    """Put another content there, from long ago, as ``cp -p``, ``rsync -a`` and ``tar`` do."""
    older = path.with_name("older")
    older.write_bytes(path.read_bytes().replace(old, new, 1))
    assert older.read_bytes() != path.read_bytes()
    os.utime(older, (1, 1))
    shutil.copystat(older, path)
    shutil.copy2(older, path)
    older.unlink()


@pytest.mark.parametrize(
    ("file", "old", "new", "planned"),
    [
        ("model/model.safetensors", b"\0\0\0\0", b"\0\0\0\1", {"prepare_base own", *ANSWERED}),
        ("model/templates/chat.jinja", b"messages", b"message", {"prepare_base own", *ANSWERED}),
        ("words/stopwords.json", b"is", b"ab", {*SYNTHESIZED, "gather_synthesis worded", "shard worded"}),
        ("asked/questions.jsonl", b"Is it?", b"Is he?", ANSWERED),
        ("asked/a.png", b"IEND", b"IENDmore", ANSWERED),
    ],
    ids=["weights", "a file below a checkpoint's folder", "a recipe's word list", "questions", "an image"],
)
def test_an_older_file_reruns_exactly_what_was_made_of_it(workflow, tmp_path, file, old, new, planned):
    path = workflow.folder / "own" / file
    shutil.copy2(path, tmp_path / "kept")
    replace(path, old, new)
    assert workflow.planned(*TARGETS) == planned
    shutil.copy2(tmp_path / "kept", path)
    assert workflow.planned(*TARGETS) == set()


def test_touched_files_rerun_no_more_than_a_look_at_the_weights(workflow):
    for name in ("words/stopwords.json", "asked/questions.jsonl", "asked/a.png"):
        os.utime(workflow.folder / "own" / name)
    assert workflow.planned(*TARGETS) == set()


def test_a_linked_folder_that_leads_elsewhere_is_noticed(workflow):
    words, other = workflow.folder / "own/words", workflow.folder / "own/other"
    other.mkdir()
    write_words(other / "stopwords.json", "of")
    words.rename(words.with_name("first"))
    words.symlink_to("other")
    try:
        assert workflow.planned(*TARGETS) >= SYNTHESIZED
    finally:
        words.unlink()
        words.with_name("first").rename(words)


def test_other_words_give_other_rows_and_the_first_ones_the_first_again(workflow):
    words, manifest = workflow.folder / "own/words/stopwords.json", workflow.folder / TARGETS[1]
    contents = []
    for word in ("is", "blue", "is"):
        write_words(words, word)
        done = workflow.snakemake(TARGETS[1])
        contents.append(json.loads(manifest.read_text())["content"] if done.returncode == 0 else done.stdout)
    assert contents[0] == contents[2] != contents[1]
