"""Captions by an OpenAI-compatible endpoint: chat completions with the image as a data URI.

A request that times out, is turned away (429) or meets an error of the server (5xx) is tried again, after a wait that
grows with each try and is drawn at random, so that jobs do not return together; a server's Retry-After is kept to. The
key is read from the environment when it is needed, and stands in no message, log or cache.
"""

import base64
import io
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import tenacity
from PIL import Image

from syntune.errors import UserError
from syntune.model_operators.items import Item
from syntune.model_operators.replies import CUT, EMPTY, Reply
from syntune.settings.models import EndpointSettings

log = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)  # it writes a line for each request

LONGEST_WAIT = 120.0
"""Seconds between two tries at most, whatever a server asks for."""

_HOPELESS = (401, 402, 403, 404)
"""What no other request would meet better: the key, the account, the address or the model is wrong."""

_QUALITY = 90


class _TryAgain(Exception):
    """A failure that may pass."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        """``reason`` counts it in the report, ``after`` is the server's wish in seconds."""
        super().__init__(reason)
        self.reason, self.after = reason, after


class EndpointCaptioner:
    """Asks an endpoint, several requests at a time."""

    def __init__(
        self,
        name: str,
        settings: EndpointSettings,
        *,
        max_new_tokens: int,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        """Prepare.

        Args:
            name: the model's key in the config.
            settings: of the config.
            max_new_tokens: longest reply.
            sleep: how to wait between tries; None: by the clock.
        """
        self._name, self._settings, self._max_new_tokens = name, settings, max_new_tokens
        self._stopped = threading.Event()
        self._sleep = sleep or tenacity.sleep_using_event(self._stopped)

    def way(self) -> dict[str, object]:
        """Address, model and decoding; the image as it is sent."""
        return {
            "captions": "endpoint",
            "base_url": self._settings.base_url,
            "model": self._settings.model,
            "max_new_tokens": self._max_new_tokens,
            "max_image_side": self._settings.max_image_side,
            "quality": _QUALITY,
        }

    def replies(self, asked: Sequence[Item]) -> Iterator[dict[str, Reply]]:
        """Replies as they come in.

        Raises:
            UserError: the key's variable is not set, the endpoint turns every request away, or the first requests all
                fail.
        """
        if not asked:
            return
        with (
            httpx.Client(timeout=self._settings.timeout_s, headers=self._headers(), follow_redirects=False) as client,
            ThreadPoolExecutor(self._settings.concurrency) as pool,
        ):
            left = iter(asked)
            running: dict[Future[Reply], Item] = {}
            failed_first: int | None = 0  # None once a request was answered
            try:
                while True:
                    while len(running) < self._settings.concurrency and (item := next(left, None)) is not None:
                        running[pool.submit(self._ask, client, item)] = item
                    if not running:
                        return
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        item, reply = running.pop(future), future.result()
                        yield {item.key: reply}
                        if reply.is_final:
                            failed_first = None
                        elif failed_first is not None:
                            failed_first += 1
                            self._give_up(failed_first, len(asked), reply)
            finally:
                self._stopped.set()  # nobody waits for tries to come
                for future in running:
                    future.cancel()

    def _give_up(self, failed: int, asked: int, reply: Reply) -> None:
        """Stop where no request was ever answered, before each of many rows waits in vain."""
        if failed >= min(asked, max(3, self._settings.concurrency)):
            raise UserError(
                f"models.{self._name}: {self._settings.base_url} answered none of the first {failed} requests "
                f"({reply.failure}, after {self._settings.retries} retries each); check base_url, or run again later"
            )

    def _headers(self) -> dict[str, str]:
        """With the key, if there is one."""
        variable = self._settings.key_variable
        if variable is None:
            return {}
        key = os.environ.get(variable, "").strip()
        if not key:
            raise UserError(f"models.{self._name}: key_variable: the environment variable {variable} is not set")
        if not re.fullmatch(r"[\x21-\x7e]+", key):
            raise UserError(f"models.{self._name}: key_variable: {variable} holds no key, but other characters")
        return {"Authorization": f"Bearer {key}"}

    def _ask(self, client: httpx.Client, item: Item) -> Reply:
        """One prompt, tried as often as the settings say."""
        (image,) = item.images()
        body = {
            "model": self._settings.model,
            "temperature": 0,
            "max_tokens": self._max_new_tokens,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": self._data_uri(image)}},
                        {"type": "text", "text": item.text},
                    ],
                }
            ],
        }
        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            stop=tenacity.stop_after_attempt(self._settings.retries + 1) | tenacity.stop_when_event_set(self._stopped),
            wait=_wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return tries(self._post, client, body)
        except _TryAgain as error:
            return Reply("", error.reason, is_final=False)

    def _post(self, client: httpx.Client, body: dict[str, Any]) -> Reply:
        """One request."""
        try:
            response = client.post(f"{self._settings.base_url}/chat/completions", json=body)
        except httpx.TimeoutException as error:
            raise _TryAgain("time-out") from error
        except httpx.TransportError as error:
            raise _TryAgain("no connection") from error
        status = response.status_code
        if status in _HOPELESS:
            key = self._settings.key_variable or "none"
            raise UserError(
                f"models.{self._name}: {self._settings.base_url} answers {status}; check base_url, model "
                f"{self._settings.model!r} and the key (key_variable: {key})"
            )
        if status in (408, 409, 425, 429) or status >= 500:
            raise _TryAgain(f"HTTP {status}", _retry_after(response.headers.get("Retry-After")))
        if status != 200:
            return Reply("", f"HTTP {status}", is_final=False)
        return _read(response)

    def _data_uri(self, image: Image.Image) -> str:
        """An image as JPEG in a data URI, shrunk to the longest side that the settings allow."""
        side = self._settings.max_image_side
        image.thumbnail((side, side), Image.Resampling.BICUBIC)
        content = io.BytesIO()
        image.save(content, format="JPEG", quality=_QUALITY)
        return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"


def _read(response: httpx.Response) -> Reply:
    """The first choice of a chat completion."""
    try:
        answer = response.json()
        choice = answer["choices"][0]
        text = choice["message"]["content"] or ""
        usage = answer.get("usage") or {}
        tokens = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
        if not isinstance(text, str):
            raise TypeError("content is no text")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _TryAgain("malformed answer") from error
    if choice.get("finish_reason") == "length":
        return Reply(text, CUT, *tokens)
    if choice.get("finish_reason") == "content_filter":
        return Reply("", "filtered by the endpoint", *tokens)
    return Reply(text, None if text.strip() else EMPTY, *tokens)


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds until the next try: what the server asks for or, up to a limit that doubles, a random time."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _TryAgain) and error.after is not None:
        return min(LONGEST_WAIT, error.after) + tenacity.wait_random(0, 1)(state)
    return tenacity.wait_random_exponential(multiplier=1, max=60)(state)


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header: a number, or a date; None where there is none that can be read."""
    if value is None:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", value.strip()):
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
