"""Data-Juicer held in: no network, no installing, nothing imported that a recipe does not need."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from syntune.errors import UserError
from syntune.recipes.refused import RUN_MODELS
from syntune.recipes.stages import kind_of

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
TOOL = SCRIPTS.parent / "tools/write_operators.py"


@pytest.fixture(scope="session", autouse=True)
def prepared(tmp_path_factory):
    """Data-Juicer as every command prepares it."""
    from syntune.data.juicer import prepare_data_juicer

    prepare_data_juicer(tmp_path_factory.mktemp("produced"))


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("stopwords_filter", {}, "stopwords_filter: wants to reach .*; recipes run without network"),
        ("flagged_words_filter", {}, "flagged_words_filter: wants to reach .*; recipes run without network"),
        ("image_tagging_mapper", {}, "image_tagging_mapper: needs the package ram .*, which envs"),
        ("chinese_convert_mapper", {}, "chinese_convert_mapper: needs the package opencc, which envs"),
    ],
)  # fmt: skip
def test_what_an_operator_would_fetch_is_named(name, parameters, said, tmp_path, monkeypatch):
    from syntune.data.juicer import load_operator

    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match=f"recipe.yaml: process: {said}"):
        load_operator(name, parameters, "recipe.yaml")


def test_what_is_planned_with_are_the_operators_of_the_data_juicer_that_is_installed():
    """Their names, parameters and types; if this fails: tools/in-env data python tools/write_operators.py."""
    written = subprocess.check_output([sys.executable, TOOL, "--print"], text=True)
    assert (SCRIPTS / "syntune/recipes/operators.json").read_text() == written


def test_other_machines_are_out_of_reach_whatever_asks():
    import requests

    for call in (
        lambda: requests.get("https://192.0.2.1/", timeout=5),
        lambda: requests.get("https://example.org/", timeout=5),
        lambda: socket.create_connection(("192.0.2.1", 80), timeout=5),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
    ):
        with pytest.raises(UserError, match="wants to reach"):
            call()


def test_this_machine_can_be_reached():
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: server.accept()[0].sendall(b"here"), daemon=True).start()
    with socket.create_connection(("localhost", server.getsockname()[1]), timeout=5) as connection:
        assert connection.recv(4) == b"here"


def test_only_what_a_recipe_names_is_imported():
    """A chunk's job starts without Ray, torch and two hundred operators."""
    code = """
import sys
from importlib.util import find_spec
from pathlib import Path
from syntune.data.juicer import load_operator, prepare_data_juicer
prepare_data_juicer(Path("produced"))
load_operator("text_length_filter", {}, "")
load_operator("image_text_deduplicator", {}, "")
loaded = {"ray", "torch", "transformers", "data_juicer.ops.filter.image_shape_filter"} & set(sys.modules)
sys.exit(", ".join(loaded) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_operator_of_data_juicer_that_runs_a_model_is_known():
    """So that a recipe is refused before anything runs; what Data-Juicer adds must be added here."""
    import importlib.util

    root = Path(importlib.util.find_spec("data_juicer").submodule_search_locations[0]) / "ops"
    files = [file for kind in ("mapper", "filter", "selector") for file in root.glob(f"{kind}/*_{kind}.py")]
    running = {file.stem for file in files if '_accelerator = "cuda"' in file.read_text()}
    running = {name for name in running if not name.startswith(("video_", "audio_"))}
    assert running <= RUN_MODELS | {name for name in running if kind_of(name) == "models"}
    assert {file.stem for file in files} >= RUN_MODELS
