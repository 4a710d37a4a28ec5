"""Datasets of the hub: fetched by huggingface_hub from a stand-in that serves them, then read without network."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from syntune.data.formats.front import read_records
from syntune.errors import UserError
from syntune.settings.seeds import SeedSettings

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = f"someone/pictures@{COMMIT}"


class _Hub(BaseHTTPRequestHandler):
    """What huggingface_hub asks of the hub for a snapshot: the list of files, and each file."""

    files: dict[str, bytes] = {}
    asked: list[str] = []

    def do_GET(self):
        self.asked.append(self.path)
        path = self.path.split("?")[0]
        if path.startswith(f"/api/datasets/someone/pictures/revision/{COMMIT}"):
            siblings = [{"rfilename": name} for name in self.files]
            return self._answer(json.dumps({"id": "someone/pictures", "sha": COMMIT, "siblings": siblings}).encode())
        if path.startswith(f"/api/datasets/someone/pictures/tree/{COMMIT}"):
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in self.files.items()
            ]
            return self._answer(json.dumps(tree).encode())
        name = path.removeprefix(f"/datasets/someone/pictures/resolve/{COMMIT}/")
        if name in self.files:
            return self._answer(self.files[name])
        return self._answer(b"{}", 404, {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def _answer(self, data, status=200, headers=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def hub(work, png, monkeypatch):
    """A hub with one dataset, and an empty cache; returns its files."""
    from huggingface_hub import constants

    files = {
        "data/train-00000-of-00001.jsonl": b'{"id": 1, "image": "a.png", "text": "red"}',
        "images/a.png": png(),
        "code.py": b"raise SystemExit",
    }
    monkeypatch.setattr(_Hub, "files", files)
    monkeypatch.setattr(_Hub, "asked", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(work / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield files
    server.shutdown()
    server.server_close()
    thread.join()


def read(path, **settings):
    return list(read_records(SeedSettings(path=path, **settings)))


def offline(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_a_dataset_is_fetched_once_and_read_without_network(hub, monkeypatch, png):
    (record,) = read(REPO, images=f"{REPO}/images")
    assert (record.id, record.text) == ("1", "<__dj__image>\nred")
    assert record.images[0].read_bytes() == png()
    assert not any("code.py" in path for path in _Hub.asked)
    _Hub.asked.clear()
    offline(monkeypatch)
    assert read(REPO, images=f"{REPO}/images") == [record]
    assert _Hub.asked == []


def test_a_pattern_fetches_its_files_alone(hub):
    hub["data/more-00000-of-00001.jsonl"] = b'{"id": 2, "text": "blue"}'
    assert [record.id for record in read(f"{REPO}/data/more-*")] == ["2"]
    assert not any("resolve" in path and "train" in path for path in _Hub.asked)
    assert [record.id for record in read(f"{REPO}/data", images=f"{REPO}/images")] == ["2", "1"]


def test_an_unfinished_download_is_not_taken_for_the_whole(hub, monkeypatch):
    read(f"{REPO}/data/*")
    offline(monkeypatch)
    with pytest.raises(UserError, match="someone/pictures@0123456789ab is not whole in the local hub cache"):
        read(REPO)


def test_a_missing_dataset_and_a_missing_file_are_named(hub, monkeypatch):
    with pytest.raises(UserError, match="someone/nothing: no such dataset on the hub, or it is private"):
        read(f"someone/nothing@{COMMIT}")
    with pytest.raises(UserError, match=r"pictures/.*/other/\*.parquet matches nothing"):
        read(f"{REPO}/other/*.parquet")
    offline(monkeypatch)
    with pytest.raises(
        UserError, match="other/one@0123456789ab is not .* in the local hub cache and the hub cannot be"
    ):
        read(f"other/one@{COMMIT}")
