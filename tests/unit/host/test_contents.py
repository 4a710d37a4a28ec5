"""A file's hash is taken again when anything of it is another, and only then."""

import os
import shutil

import pytest

from syntune import contents
from syntune.contents import Contents
from syntune.files import sha256_file


@pytest.fixture
def read(monkeypatch):
    """The files that were read, in order."""
    found = []
    monkeypatch.setattr(contents, "sha256_file", lambda path: found.append(path) or sha256_file(path))
    return found


def test_a_file_is_read_once_by_all_processes(tmp_path, read):
    file = tmp_path / "a"
    file.write_text("1")
    first = [Contents(tmp_path / "kept").of(str(file)) for _ in range(2)]
    os.utime(file, (1, 1))
    assert {*first, Contents(tmp_path / "kept").of(str(file))} == {sha256_file(file)}
    assert len(read) == 2


def test_another_file_of_the_same_size_and_time_is_read(tmp_path, read):
    file, other = tmp_path / "a", tmp_path / "b"
    for path, content in ((file, "1"), (other, "2")):
        path.write_text(content)
        os.utime(path, (1, 1))
    Contents(tmp_path / "kept").of(str(file))
    shutil.copy2(other, file)
    assert Contents(tmp_path / "kept").of(str(file)) == sha256_file(other)


def test_what_is_kept_may_be_damaged(tmp_path):
    file = tmp_path / "a"
    file.write_text("1")
    (tmp_path / "kept").write_text('{"a":')
    assert Contents(tmp_path / "kept").of(str(file)) == sha256_file(file)
