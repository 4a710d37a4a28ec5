"""Questions from the command line: the same answers as prediction's, and what mistakes say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from syntune.artifacts.manifests import read_manifest
from syntune.errors import UserError
from syntune.files import write_json
from syntune.prediction.asking import ask

ROOT = Path(__file__).parents[3]


@pytest.fixture
def config(checkpoints, tmp_path) -> Path:
    """The demo's config with one run that is trained, twice, and one that is not; its checkpoints in their places."""
    tree = yaml.safe_load((ROOT / "config.yaml").read_text())
    common = {"start": "tiny", "dataset": "raw", "method": "lora", "gpus": 0, "threads": 1}
    tree |= {"results": str(tmp_path / "results"), "compare": None, "comparisons": []}
    tree["runs"] = {"tuned": common | {"replicates": 2}, "later": common | {"start": "tuned"}}
    for source, place in zip(checkpoints, ("models/tiny", "checkpoints/tuned"), strict=True):
        shutil.copytree(source, tmp_path / "results" / place)
        manifest = read_manifest(source.with_name(f"{source.name}.manifest.json"))
        parts = [
            part.model_copy(update={"path": f"{Path(place).name}/{Path(part.path).name}"}) for part in manifest.parts
        ]
        moved = manifest.model_copy(update={"parts": parts})
        write_json(tmp_path / "results" / f"{place}.manifest.json", moved.as_written())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    return tmp_path / "config.yaml"


def test_the_answers_are_those_of_prediction(config, answer, textvqa):
    lines = answer(textvqa)
    questions = {question.id: question for question in textvqa.questions()}
    image = questions[lines[0]["question_id"]].image
    of_it = [line for line in lines if questions[line["question_id"]].image == image]
    found = ask(str(config), "tuned", image, [line["prompt"] for line in of_it], None, 6)
    assert found == [line["text"] for line in of_it]
    assert len(set(found)) > 1


@pytest.mark.parametrize(
    ("run", "picture", "match"),
    [
        ("turned", "red.png", "config.yaml: has no run 'turned'; its runs are tuned, tuned-2, later; --config"),
        (
            "tuned-2",
            "red.png",
            "run 'tuned-2' cannot answer yet: .*checkpoints/tuned-2 is not made; make it: snakemake",
        ),
        ("later", "red.png", "checkpoints/later is not made"),
        ("tuned", "none.png", "none.png: cannot be read .No such file"),
        ("tuned", "text.png", "text.png: not an image of a known format"),
    ],
)
def test_mistakes(config, tmp_path, run, picture, match):
    Image.new("RGB", (40, 40), "red").save(tmp_path / "red.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(UserError, match=match):
        ask(str(config), run, tmp_path / picture, ["What?"], None, 6)


def test_the_command(config, tmp_path):
    Image.new("RGB", (40, 40), "red").save(tmp_path / "red.png")
    call = [sys.executable, "scripts/ask.py", "--config", config, "tuned", tmp_path / "red.png", "What is it?"]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # without pytest's packages
    one = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, env=own, check=True).stdout
    two = subprocess.run([*call, "How many?"], capture_output=True, text=True, cwd=ROOT, env=own, check=True).stdout
    assert re.fullmatch(r"What is it\?\n    .+\n", one) and two.startswith(f"{one}How many?\n    ")
    outside = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, env={"PATH": "/usr/bin:/bin"})
    assert outside.returncode == 1 and outside.stderr.startswith("error: wrong interpreter")
    assert len(outside.stderr.splitlines()) == 1
