"""scripts/init.py: it writes a config that reads back, and replaces none without being told."""

import shutil
from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from syntune.errors import UserError
from syntune.settings.reading import read_settings
from syntune.settings.tree import Settings

OPTIONS = {"images": None, "name": None, "base": None, "tiny": False, "format": "auto", "force": False}


@pytest.fixture
def init(work, png):
    """Call it for a folder of two captioned pictures in the working folder."""
    from init import main

    (work / "cats").mkdir()
    for name in "ab":
        (work / f"cats/{name}.png").write_bytes(png())
        (work / f"cats/{name}.txt").write_text(f"picture {name}")

    def call(**options):
        main(Namespace(**{"data": str(work / "cats"), **OPTIONS, **options}))

    return call


def test_it_writes_a_config_and_says_what_comes_next(init, capsys):
    init()
    settings = read_settings(yaml.safe_load(Path("config/cats.yaml").read_text()), Settings, "cats.yaml")
    assert settings.seeds["cats"].path == "cats", "a path below the working folder starts from there"
    said = capsys.readouterr().out
    assert "cats/b.png: b.png (40 x 30)" in said and "--tiny tries the whole way" in said
    assert said.endswith("    snakemake --cores all --configfile config/cats.yaml\n")


def test_it_replaces_no_config_without_being_told(init):
    init()
    Path("config/cats.yaml").write_text("mine")
    with pytest.raises(UserError, match=r"config/cats\.yaml is there already; .*--force"):
        init()
    assert Path("config/cats.yaml").read_text() == "mine"
    init(force=True, base="owner/name@" + "a" * 40)
    assert "method: lora" in Path("config/cats.yaml").read_text()


def test_a_bad_picture_is_named_and_set_aside(init, capsys):
    whole = Path("cats/a.png").read_bytes()
    Path("cats/a.png").write_bytes(whole[: len(whole) // 2])
    init(tiny=True)
    assert "1 of the 2 whose pictures were looked at cannot be used; bad_image: drop" in capsys.readouterr().out
    settings = read_settings(yaml.safe_load(Path("config/cats.yaml").read_text()), Settings, "cats.yaml")
    assert settings.seeds["cats"].bad_image == "drop" and settings.models["base"].source == "tiny"


def test_bad_data_writes_nothing(init):
    shutil.rmtree("cats")
    with pytest.raises(UserError, match="does not exist"):
        init()
    with pytest.raises(UserError, match="--name"):
        init(name="a/b")
    assert not Path("config").exists()
