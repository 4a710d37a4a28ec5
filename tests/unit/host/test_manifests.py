"""Manifests: deterministic, and nothing is skipped in silence."""

import pytest
from pydantic import ValidationError

from syntune.artifacts.manifests import Part, part_files, read_manifest, write_manifest
from syntune.errors import UserError


def make(tmp_path, text="a", **fields):
    (tmp_path / "part").write_text(text)
    return write_manifest(
        tmp_path / "x.manifest.json",
        stage="shard",
        name="x",
        parts=[Part.from_file(tmp_path / "part", tmp_path, rows=1)],
        **fields,
    )


def test_the_same_work_gives_the_same_bytes(tmp_path):
    first = make(tmp_path)
    text = (tmp_path / "x.manifest.json").read_bytes()
    assert make(tmp_path) == first == read_manifest(tmp_path / "x.manifest.json")
    assert (tmp_path / "x.manifest.json").read_bytes() == text


def test_the_content_hash_follows_the_parts(tmp_path):
    assert make(tmp_path, "a").content != make(tmp_path, "b").content
    assert make(tmp_path, "a", settings={"limit": 1}).content == make(tmp_path, "a").content


def test_rows_must_add_up(tmp_path):
    make(tmp_path, rows_in=10, rows_out=9, added=2, dropped={"too short": 3})
    with pytest.raises(ValidationError, match="10 rows in"):
        make(tmp_path, rows_in=10, rows_out=9, dropped={"too short": 3})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "No such file"),
        ("{", "Invalid JSON: EOF"),
        ("[]", "Input should be an object"),
        ('{"stage": "shard"}', "name: Field required"),
        ('{"stage": "shard", "seal": "0"}', "damaged: it does not say what was written"),
    ],
)
def test_an_unreadable_manifest_is_named(tmp_path, text, reason):
    path = tmp_path / "m.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=rf"m.json: not a readable manifest \(.*{reason}"):
        read_manifest(path)


def test_parts_are_opened_only_if_they_are_what_the_manifest_says(tmp_path):
    make(tmp_path)
    manifest = tmp_path / "x.manifest.json"
    assert part_files(manifest) == part_files(manifest, only="part") == [tmp_path / "part"]
    with pytest.raises(UserError, match="has no part other"):
        part_files(manifest, only="other")
    for text in ("b", "longer", None):  # flipped, of another length, gone
        (tmp_path / "part").write_text(text) if text else (tmp_path / "part").unlink()
        with pytest.raises(UserError, match="part: missing, or not the file that .*x.manifest.json describes"):
            part_files(manifest)
