"""The specs in envs/, and what a user may add to them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from syntune import interpreter
from syntune.errors import UserError
from syntune.settings.env_specs import require_equal_torchvision, require_tracker

ROOT = Path(__file__).resolve().parents[3]
RUN_MODELS = ("eval", "synth-models", "train", "train-cuda")

TORCH_OF = {"0.28.0": "2.13.0"}
"""The torch that each release of torchvision requires, by its wheel's metadata (Requires-Dist)."""


@pytest.fixture
def specs(tmp_path, monkeypatch):
    """A copy of envs/, which the library reads."""
    copy = tmp_path / "envs"
    shutil.copytree(ROOT / "envs", copy)
    monkeypatch.setattr(interpreter, "ENVS", copy)
    return copy


def added_as_docs_say(specs: Path) -> None:
    """Add torchvision by the command of the docs."""
    (command,) = re.findall(r"^sed -i .*", (ROOT / "docs/how-to/other-models.md").read_text(), re.M)
    subprocess.run(["bash", "-c", command], cwd=specs.parent, check=True)


def test_torchvision_is_the_one_for_torch_wherever_both_are(specs):
    added_as_docs_say(specs)
    pinned = {spec.stem: interpreter.pins(spec.stem) for spec in specs.glob("*.yaml")}
    both = {name: pins for name, pins in pinned.items() if "torchvision" in pins}
    assert sorted(both) == sorted(RUN_MODELS)
    assert all(TORCH_OF[pins["torchvision"]] == pins["torch"] for pins in both.values())
    advised = re.search(r'"torchvision==(.*)"', (ROOT / "scripts/syntune/models/hf/loading.py").read_text())[1]
    assert {pins["torchvision"] for pins in both.values()} == {advised}


def test_torchvision_in_one_environment_alone_is_refused(specs):
    require_equal_torchvision(["train", "eval"])
    added_as_docs_say(specs)
    require_equal_torchvision(["train", "train-cuda", "eval"])
    shutil.copy(ROOT / "envs/eval.yaml", specs)
    with pytest.raises(UserError, match="envs/train.yaml pins torchvision 0.28.0 and envs/eval.yaml not at all"):
        require_equal_torchvision(["train", "eval"])


def test_a_tracker_wants_its_package_in_the_spec(specs):
    with pytest.raises(UserError, match="tracker: envs/train.yaml does not name wandb; add '- wandb==.*' to its pip"):
        require_tracker("wandb", "train")
    with (specs / "train.yaml").open("a") as spec:
        spec.write("      - wandb==0.31.0\n")
    require_tracker("wandb", "train")
