"""A job runs what was planned: its config comes from the plan, changed code and recipes stop it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLAN = """
from syntune import planned
planned.write_plan({"title": "as planned"}, ["recipe.yaml"])
print(planned.os.environ[planned.VARIABLE])
"""
JOB = """
from syntune import planned
from syntune.errors import UserError
plan = planned.read_plan()
try:
    planned.require_planned_recipes(plan)
    planned.require_planned_code("shard")
    planned.require_planned_code("syntune/operators/choice_mapper")
except UserError as error:
    print(error)
else:
    print(plan.config["title"])
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the scripts and a recipe, planned."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "recipe.yaml").write_text("process: []\n")
    return tmp_path


def python(project: Path, code: str, **variables: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(project / "scripts"), **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        (None, "", "", "as planned"),
        ("scripts/syntune/errors.py", '"""', '# a comment\n"""', "as planned"),
        ("scripts/syntune/settings/models.py", "Field(", "Field (", "as planned"),
        ("scripts/syntune/settings/runs.py", "ge=1", "ge=2", "as planned"),  # shard does not import it
        ("scripts/syntune/errors.py", "Exception", "ValueError", "scripts/syntune/errors.py: changed after"),
        ("scripts/shard.py", "required=True", "required=False", "scripts/shard.py: changed after this job was planned"),
        (
            "scripts/syntune/operators/choice_mapper.py",
            "max_options: int = 4",
            "max_options: int = 5",
            "scripts/syntune",
        ),
        ("scripts/syntune/operators/ocr_qa_mapper.py", "import", "import re\nimport", "as planned"),
        ("recipe.yaml", "[]", "[a]", "recipe.yaml: changed after this job was planned; run snakemake again"),
    ],
)
def test_a_job_runs_what_was_planned(project, file, old, new, says):
    plan = python(project, PLAN)
    assert Path(plan).is_relative_to(project)
    if file:
        text = (project / file).read_text()
        assert old in text
        (project / file).write_text(text.replace(old, new, 1))
    assert python(project, JOB, SYNTUNE_PLANNED=plan).startswith(says)


def test_a_command_started_by_hand_has_no_plan(project):
    assert python(project, "from syntune import planned; print(planned.read_plan())") == "None"


def test_an_equal_plan_is_written_once(project):
    assert python(project, PLAN) == python(project, PLAN)
    (file,) = (project / ".snakemake/syntune").iterdir()
    assert json.loads(file.read_text())["config"] == {"title": "as planned"}


GIVEN = """
from syntune import planned, sources
plan = planned.read_plan()
sources.give_digests(plan.digests())
given = sources.file_digests("shard")
sources._GIVEN.clear()
print(given == sources.file_digests("shard"))
"""


def test_a_job_takes_digests_from_the_plan(project):
    variables = {"SYNTUNE_PLANNED": python(project, PLAN)}
    assert python(project, GIVEN, **variables) == "True"
    errors = project / "scripts/syntune/errors.py"
    errors.write_text(errors.read_text().replace("Exception", "ValueError"))
    assert python(project, GIVEN, **variables) == "False"
