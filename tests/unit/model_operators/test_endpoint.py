"""An endpoint that misbehaves in each way, behind a real socket."""

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from misbehaving_server import image_of, running

from syntune.errors import UserError
from syntune.model_operators.endpoint import EndpointCaptioner
from syntune.model_operators.items import Item
from syntune.settings.models import EndpointSettings


@pytest.fixture
def server():
    with running() as server:
        yield server


@pytest.fixture
def ask(server, make_row):
    """Ask about so many images; the waits between tries are noted and not waited."""

    def asking(count=1, **settings):
        rows = [make_row(number) for number in range(count)]
        items = [Item(row["id"], tuple(row["images"]), tuple(row["image_sha256"]), "Describe it.") for row in rows]
        given = EndpointSettings(
            **{"source": "endpoint", "base_url": server.url, "model": "vlm", "concurrency": 1, "retries": 2} | settings
        )
        asking.waits = []
        captioner = EndpointCaptioner("vlm", given, max_new_tokens=20, sleep=asking.waits.append)
        found = {key: reply for replies in captioner.replies(items) for key, reply in replies.items()}
        return [found[item.key] for item in items]

    return asking


def test_a_request_is_a_chat_completion_with_the_image_in_it(server, ask):
    (reply,) = ask(max_image_side=32)
    assert reply == ("a red square", None, 100, 5, True)
    (request,) = server.requests
    assert request["path"] == "/v1/chat/completions"
    assert (request["model"], request["temperature"], request["max_tokens"]) == ("vlm", 0, 20)
    assert request["messages"][0]["content"][1] == {"type": "text", "text": "Describe it."}
    assert image_of(request).size == (32, 27)


@pytest.mark.parametrize("fault", [500, 503, 429, 408, "hang-up", "nonsense"])
def test_a_fault_that_passes_is_tried_again(server, ask, fault):
    server.script = [fault, fault]
    assert ask()[0].text == "a red square"
    assert len(server.requests) == 3
    assert len(ask.waits) == 2 and all(0 <= wait <= 4 for wait in ask.waits)


def test_a_time_out_is_tried_again(server, ask):
    server.script = ["slow"]
    assert ask(timeout_s=0.3)[0].text == "a red square"
    assert len(server.requests) == 2


def test_waits_grow_and_differ(server, ask):
    server.script = [500] * 12
    ask(retries=12)
    assert max(ask.waits) > 4 > 1 and len(set(ask.waits)) == 12 and max(ask.waits) <= 60


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 8),
        (format_datetime(datetime.now(UTC) + timedelta(seconds=60)), 1, 61),
        ("86400", 120, 121),
        ("soon", 0, 1),
    ],
)
def test_retry_after_is_kept_to(server, ask, header, least, most):
    server.script = [(429, {"Retry-After": header})]
    assert ask()[0].text == "a red square"
    assert least <= ask.waits[0] <= most


@pytest.mark.parametrize(
    ("fault", "failure"),
    [("empty", "empty reply"), ("cut", "cut reply"), ("filtered", "filtered by the endpoint")],
)
def test_a_reply_that_cannot_be_used_has_a_reason_and_is_final(server, ask, fault, failure):
    server.script = [fault]
    reply = ask()[0]
    assert (reply.failure, reply.is_final, reply.output_tokens) == (failure, True, 5)


def test_one_bad_request_among_good_ones_fails_alone(server, ask):
    server.script = [None, 400]
    replies = ask(3)
    assert [reply.failure for reply in replies] == [None, "HTTP 400", None]
    assert not replies[1].is_final


def test_a_request_that_fails_for_good_has_the_last_reason(server, ask):
    server.script = [None, 500, 429, 503]
    assert [reply.failure for reply in ask(2)] == [None, "HTTP 503"]


def test_a_server_that_answers_nothing_is_given_up_soon(server, ask):
    server.always = 500
    with pytest.raises(UserError, match=r"models.vlm: http://127.0.0.1:\d+/v1 answered none of the first 3 requests"):
        ask(50)
    assert len(server.requests) <= 4 * 3  # one more may be on its way


def test_a_single_row_without_an_answer_is_an_error_too(server, ask):
    server.always = "hang-up"
    with pytest.raises(UserError, match="no connection"):
        ask(1)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_address_stops_at_once(server, ask, status):
    server.always = status
    with pytest.raises(UserError, match=f"answers {status}; check base_url, model 'vlm' and the key"):
        ask(20)
    assert len(server.requests) <= 2


def test_the_key_is_sent_and_never_shown(server, ask, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("CAPTION_KEY", "sk-very-secret")
    ask(key_variable="CAPTION_KEY")
    server.always = 401
    with pytest.raises(UserError) as error:
        ask(key_variable="CAPTION_KEY")
    assert server.keys[0] == "Bearer sk-very-secret"
    assert "sk-very-secret" not in caplog.text + str(error.value)
    assert "key_variable: CAPTION_KEY" in str(error.value)


def test_a_key_that_is_not_set_is_refused_by_its_name(server, ask, monkeypatch):
    monkeypatch.delenv("CAPTION_KEY", raising=False)
    with pytest.raises(UserError, match="key_variable: the environment variable CAPTION_KEY is not set"):
        ask(key_variable="CAPTION_KEY")
    assert not server.requests


def test_no_more_requests_at_a_time_than_the_settings_say(server, ask):
    server.delay = 0.05
    assert len(ask(12, concurrency=3)) == 12
    assert server.most_at_once == 3
