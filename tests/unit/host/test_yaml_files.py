"""YAML whose keys stand once; what Snakemake would take the last of is refused."""

import pytest

from syntune.errors import UserError
from syntune.yaml_files import read_yaml


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml: a: stands there twice, in lines 1 and 3; keep one"),
        ("runs:\n  raw: {epochs: 1,\n    epochs: 2}\n", "runs.raw.epochs: stands there twice, in lines 2 and 3"),
        ("process:\n- x: {a: 1, a: 2}\n", "process.0.x.a: stands there twice, in lines 2 and 2"),
        ("a: &b {c: 1}\nd:\n  e: *b\n  e: 2", "d.e: stands there twice, in lines 3 and 4"),
        ("a: [", "f.yaml: not a readable YAML file"),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path, monkeypatch, text, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        read_yaml("f.yaml")
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_merged_may_be_overridden(tmp_path):
    (tmp_path / "f.yaml").write_text(
        "a: &one {x: 1, y: 2}\nb: &two {<<: *one, x: 3}\nc: {<<: *one, <<: *two, y: 4}\n1: 5\n'1': 6\n"
    )
    assert read_yaml(tmp_path / "f.yaml")["b"] == {"x": 3, "y": 2}


def test_an_empty_file_holds_nothing(tmp_path):
    (tmp_path / "f.yaml").touch()
    assert read_yaml(tmp_path / "f.yaml") is None
