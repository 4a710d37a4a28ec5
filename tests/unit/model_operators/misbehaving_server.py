"""A real, small HTTP server with the address of an OpenAI-compatible endpoint, which misbehaves as it is told."""

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image


class Server(ThreadingHTTPServer):
    """Answers with a caption, unless ``script`` holds something else: one entry for each request, the first first.

    An entry is a status, ``(status, headers)``, or a word: slow, hang-up, nonsense, empty, cut, filtered.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list = []
        self.always = None
        self.answer = "a red square"
        self.requests: list[dict] = []
        self.keys: list[str | None] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.delay = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address) -> None:
        """Clients that left are expected."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args) -> None:
        """Nothing."""

    def do_POST(self) -> None:
        server: Server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.requests.append(body | {"path": self.path})
            server.keys.append(self.headers.get("Authorization"))
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
            told = server.script.pop(0) if server.script else server.always
        try:
            time.sleep(server.delay)
            self._answer(server, told)
        finally:
            with server.lock:
                server.at_once -= 1

    def _answer(self, server: Server, told) -> None:
        status, headers = told if isinstance(told, tuple) else (told, {})
        if isinstance(status, int):
            self._send(status, headers, {"error": {"message": "no"}})
        elif status == "hang-up":
            self.connection.close()
        elif status == "nonsense":
            self._send(200, {}, {"unexpected": True})
        else:
            if status == "slow":
                time.sleep(1.0)
            text = "" if status == "empty" else server.answer
            reason = {"cut": "length", "filtered": "content_filter"}.get(status, "stop")
            choice = {"message": {"role": "assistant", "content": text}, "finish_reason": reason}
            self._send(200, {}, {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 5}})

    def _send(self, status: int, headers: dict[str, str], body: dict) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def image_of(request: dict) -> Image.Image:
    """The image that a request holds."""
    ((part,),) = (
        [part for part in message["content"] if part["type"] == "image_url"] for message in request["messages"]
    )
    return Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].removeprefix("data:image/jpeg;base64,"))))


@contextmanager
def running() -> Iterator[Server]:
    """A server for the length of a block."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
