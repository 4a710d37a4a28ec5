"""Files appear whole or not at all."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from syntune.files import atomic_directory, atomic_file, canonical_json, sha256_bytes, sha256_file, write_json

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"kept": 1})
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == '{\n  "kept": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    folder = tmp_path / "shards"
    with atomic_directory(folder) as temporary:
        (temporary / "one").write_text("1")
    with pytest.raises(RuntimeError), atomic_directory(folder) as temporary:
        (temporary / "two").write_text("2")
        raise RuntimeError
    assert [path.name for path in folder.iterdir()] == ["one"]
    assert list(tmp_path.iterdir()) == [folder]


def writer(target: Path, then: str, kind: str = "atomic_directory") -> subprocess.Popen:
    """A process that has begun to write ``target``; returns once it has."""
    code = f"""
import os, signal, sys, time
from syntune.files import atomic_directory, atomic_file
with {kind}({str(target)!r}) as temporary:
    (temporary / "half" if temporary.is_dir() else temporary).write_text("half")
    print("begun", flush=True)
    {then}
"""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "begun\n"
    return process


def folders_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()}


@pytest.mark.parametrize("kind", ["atomic_directory", "atomic_file"])
@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_writer_leaves_is_no_result_and_goes_with_the_next_start(tmp_path, kind, killed_by):
    target = tmp_path / "out"
    process = writer(target, "time.sleep(60)", kind)
    process.send_signal(killed_by)
    assert process.wait() == -killed_by
    assert not target.exists() and list(tmp_path.iterdir())
    assert writer(target, "pass", kind).wait() == 0
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_living_writer_has_begun_stays(tmp_path):
    target = tmp_path / "out"
    living = writer(target, "sys.stdin.read()")
    dead = writer(target, "sys.stdin.read()")
    dead.kill()
    dead.wait()
    assert len(folders_in(tmp_path)) == 2
    second = writer(target, "(temporary / 'second').touch()")
    assert second.wait() == 0 and (target / "second").exists()
    assert len(folders_in(tmp_path)) == 2
    living.communicate("")
    assert living.returncode == 0 and folders_in(tmp_path) == {"out"}
    assert [path.name for path in target.iterdir()] == ["half"]


def test_what_another_machine_writes_stays_for_a_day(tmp_path):
    """Not every file system's locks reach other machines."""
    for age, name in ((0, "new"), (25, "old")):
        (tmp_path / f".out.abcdefg{age % 10}@{name}").mkdir()
        lock = tmp_path / f".out.abcdefg{age % 10}@{name}.lock"
        lock.touch()
        os.utime(lock, (time.time() - age * 3600,) * 2)
    assert writer(tmp_path / "out", "pass").wait() == 0
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".out.abcdefg0@new", ".out.abcdefg0@new.lock"}


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_json(tmp_path / "a.json", 1)
    finally:
        os.umask(old)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640


def test_hashes_are_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4's example
    assert sha256_file(tmp_path / "abc") == sha256_bytes(b"abc") == known


def test_canonical_json_ignores_the_order_of_keys():
    assert canonical_json({"b": 1, "a": [2]}) == canonical_json({"a": [2], "b": 1}) == '{"a":[2],"b":1}'
