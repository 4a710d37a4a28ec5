"""The interpreter guard: what is imported is what the env spec pins."""

import re
import sys
from pathlib import Path

import pytest

from syntune import interpreter
from syntune.errors import UserError

SPEC = """# numpy==9
dependencies:
  - pip:
      - numpy==2.4.6  # not 9
      - Some_Package[extra]==1.0
      - torch==2.13.0; platform_machine=='x86_64'
"""
RULES = Path(__file__).resolve().parents[3] / "rules"
INSTALLED = ("numpy-2.4.6", "some.package-1.0", "torch-2.13.0+cpu", "unpinned-3")


@pytest.fixture
def packages(tmp_path, monkeypatch) -> Path:
    """The folder of an environment's packages, into which this interpreter is put."""
    prefix, envs = tmp_path / "abc_", tmp_path / "envs"
    folder = prefix / "lib/site-packages"
    for package in INSTALLED:
        (folder / f"{package}.dist-info").mkdir(parents=True)
    envs.mkdir()
    for spec in (envs / "some.yaml", tmp_path / "abc_.yaml"):
        spec.write_text(SPEC)
    monkeypatch.setattr(interpreter, "ENVS", envs)
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "elsewhere"), str(folder), str(tmp_path / "late")])
    monkeypatch.setenv("CONDA_PREFIX", str(prefix))
    return folder


def test_an_environment_as_pinned_passes(packages, tmp_path):
    (tmp_path / "late/numpy-1.0.dist-info").mkdir(parents=True)
    interpreter.require_environment("some")
    assert interpreter.describe_interpreter(())["environment"] == "some"


def test_a_package_changed_by_hand_is_named(packages):
    (packages / "numpy-2.4.6.dist-info").rename(packages / "numpy-2.5.0.dist-info")
    with pytest.raises(UserError, match=r"numpy in .*/abc_/.* is 2.5.0, but envs/some pins 2.4.6; delete .*/abc_ and"):
        interpreter.require_environment("some")


def test_a_package_that_is_gone_is_named(packages):
    (packages / "some.package-1.0.dist-info").rmdir()
    with pytest.raises(UserError, match="some-package in .* is missing, but"):
        interpreter.require_environment("some")


def test_a_package_that_comes_before_the_environments_is_named(packages, tmp_path):
    (tmp_path / "elsewhere/torch-2.12.0.dist-info").mkdir(parents=True)
    with pytest.raises(UserError, match="torch in .*/elsewhere is 2.12.0, .* pins 2.13.0; unset PYTHONPATH"):
        interpreter.require_environment("some")


def test_the_params_of_each_rule_hold_the_env_spec_that_it_runs_in():
    """By which a changed pin reruns it."""
    rules = re.findall(r"^ *rule \w+:\n.*?^ *shell:", "".join(map(Path.read_text, RULES.glob("*.smk"))), re.M | re.S)
    assert len(rules) > 15
    for rule in rules:
        ((named, given),) = re.findall(r"conda:\s+(\S+)\n.*?\n +spec=(\S+),\n", rule, re.S)
        spec = re.fullmatch(r'"../envs/(.+)\.yaml"', named)
        assert given == (f'spec_of("{spec[1]}")' if spec else "training_spec"), rule
