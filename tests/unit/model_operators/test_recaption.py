"""Which rows get new captions, and which new captions replace the old ones."""

import pytest
import torch
from misbehaving_server import running

from syntune.errors import UserError
from syntune.model_operators.endpoint import EndpointCaptioner
from syntune.model_operators.items import Item
from syntune.model_operators.local_captioner import LocalCaptioner
from syntune.model_operators.recaption import recaption
from syntune.model_operators.replies import Reply
from syntune.model_operators.stage import in_numbers
from syntune.recipes.model_parameters import RecaptionParameters
from syntune.recipes.percentiles import Percentile
from syntune.settings.models import EndpointSettings, LocalModelSettings


class Scripted:
    """A captioner that says what a test tells it to."""

    def __init__(self, says):
        self.says, self.asked = says, []

    def way(self):
        return {"captions": "scripted"}

    def replies(self, asked):
        self.asked += asked
        for item in asked:
            said = self.says(item)
            yield {item.key: said if isinstance(said, Reply) else Reply(said)}


class ByLength:
    """A similarity that likes long texts."""

    def of(self, items):
        return [len(item.text) / 100 for item in items]


@pytest.fixture
def run(tmp_path):
    def running_it(rows, says, scores=None, below=None, settings=None, **parameters):
        captioner = Scripted(says if callable(says) else lambda item: says)
        told = recaption(
            rows,
            RecaptionParameters(model="vlm", **parameters),
            below or {},
            captioner,
            scores,
            settings or LocalModelSettings(source="local", path="."),
            tmp_path / "cache",
        )
        return told, captioner

    return running_it


def test_the_text_is_replaced_and_statistics_of_the_old_one_go(run, make_row):
    row = make_row(1) | {"stats": {"image_watermark_prob": [0.1], "num_words": 4, "image_text_matching_score": [0.2]}}
    told, _ = run([row], ' "A  red\nsquare." ')
    assert row["text"] == "<__dj__image>\nA red square. <|__dj__eoc|>"
    assert row["stats"] == {"image_watermark_prob": [0.1]}
    assert told.changed == {"row-1": None}


def test_a_caption_replaces_only_a_worse_one(run, make_row):
    short, long = make_row(1, "<__dj__image>\nred <|__dj__eoc|>"), make_row(2, f"<__dj__image>\n{'red ' * 20}")
    told, _ = run([short, long], "a red square", ByLength(), keep_if_better="clip")
    assert short["text"] == "<__dj__image>\na red square <|__dj__eoc|>"
    assert short["stats"] == {"image_text_similarity": [0.12]}
    assert long["text"].startswith("<__dj__image>\nred red")
    assert told.kept == {"new caption is not better": 1}


def test_the_best_of_several_candidates_is_taken(run, make_row):
    row = make_row(1, "<__dj__image>\nred")
    told, captioner = run(
        [row], lambda item: item.text * 2, ByLength(), keep_if_better="clip", prompt=["one", "three", "two"],
        candidates=2,
    )  # fmt: skip
    assert [item.text for item in captioner.asked] == ["one", "three"]
    assert row["text"] == "<__dj__image>\nthreethree <|__dj__eoc|>"


def test_only_rows_below_the_limit_are_asked_for(run, make_row):
    rows = [make_row(number) | {"stats": {"image_text_similarity": [number / 10]}} for number in range(4)]
    told, captioner = run(rows, "new", below={"image_text_similarity": 0.2})
    assert [item.row for item in captioner.asked] == ["row-0", "row-1"]
    assert told.kept == {"not below the limit": 2}


def test_a_statistic_that_is_not_there_is_named(run, make_row):
    with pytest.raises(UserError, match="row row-1 has no statistic image_text_similarity; put the filter"):
        run([make_row(1)], "new", below={"image_text_similarity": 0.2})


def test_what_is_no_caption_of_one_image_stays(run, make_row):
    rows = [
        make_row(1, "<__dj__image>\n[[human]]: What?\n[[gpt]]: Red. <|__dj__eoc|>"),
        make_row(2, "<__dj__image><__dj__image>\ntwo", images=2),
        make_row(3, "no picture", images=0),
    ]
    texts = [row["text"] for row in rows]
    told, captioner = run(rows, "new")
    assert not captioner.asked and [row["text"] for row in rows] == texts
    assert told.kept == {"no caption of one image": 3}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("half a sen", "cut reply"), "cut reply"),
        (Reply("<think>hm</think> "), "empty reply"),
        (Reply("one two three four"), "more than 3 words"),
        (Reply("[[gpt]]: red"), "empty reply"),
    ],
)
def test_an_unusable_reply_leaves_the_text_and_is_counted(run, make_row, reply, reason):
    row = make_row(1)
    text = row["text"]
    told, _ = run([row], reply, max_words=3)
    assert row["text"] == text
    assert told.replies == {reason: 1} and told.kept == {"no usable reply": 1}


def test_too_many_unusable_replies_stop_the_job(run, make_row):
    rows = [make_row(number) for number in range(10)]
    says = lambda item: Reply("", "cut reply") if item.row in ("row-1", "row-2") else "new"  # noqa: E731
    told, _ = run([dict(row) for row in rows], says, max_failed_share=0.2)
    assert len(told.changed) == 8
    with pytest.raises(UserError, match=r"models.vlm gave no usable caption for 2 of 10 rows \(2 cut reply\), more"):
        run(rows, says, max_failed_share=0.1)


def test_what_was_answered_is_not_asked_again_but_what_failed_for_now_is(run, make_row):
    rows = [make_row(1), make_row(2)]
    failing = lambda item: Reply("", "HTTP 503", is_final=False) if item.row == "row-2" else "new"  # noqa: E731
    run([dict(row) for row in rows], failing)
    _, captioner = run(rows, "newer")
    assert [item.row for item in captioner.asked] == ["row-2"]
    assert rows[0]["text"] == "<__dj__image>\nnew <|__dj__eoc|>"


def test_tokens_and_cost_count_answers_whenever_they_were_given(run, make_row):
    settings = EndpointSettings(
        source="endpoint", base_url="http://localhost/v1", model="m", price_per_million_input_tokens=2,
        price_per_million_output_tokens=10,
    )  # fmt: skip
    reply = Reply("new", None, 1000, 20)
    for _ in range(2):  # the second time from the cache
        told, _ = run([make_row(1), make_row(2)], reply, settings=settings)
        assert (told.input_tokens, told.output_tokens, told.cost) == (2000, 40, pytest.approx(0.0044))


def test_a_percentile_is_looked_up_by_its_parameter():
    parameters = RecaptionParameters(model="vlm", below={"image_text_similarity": "25%"})
    found = Percentile(percentile="25%", stat="image_text_similarity", value=0.21, values=100)
    assert in_numbers(parameters, {"below.image_text_similarity": found}) == {"image_text_similarity": 0.21}
    with pytest.raises(UserError, match="below.image_text_similarity: the percentile 25% was not computed before"):
        in_numbers(parameters, {})


@pytest.mark.parametrize("kind", ["mgm", "llava", "smolvlm"])
def test_a_local_model_writes_the_same_in_any_batch(prepared, make_row, kind):
    rows = [make_row(number) for number in range(5)]
    items = [Item(row["id"], tuple(row["images"]), tuple(row["image_sha256"]), "What is it?") for row in rows]
    found = []
    for size in (1, 4):
        captioner = LocalCaptioner(
            prepared(kind), max_new_tokens=6, batch_size=size, device=torch.device("cpu"), threads=1
        )
        found.append({key: reply for replies in captioner.replies(items) for key, reply in replies.items()})
    assert found[0] == found[1]
    for reply in found[0].values():
        assert reply.failure == ("cut reply" if reply.output_tokens == 6 else None if reply.text else "empty reply")


def test_an_endpoint_s_captions_are_asked_for_once(make_row, tmp_path):
    with running() as server:
        settings = EndpointSettings(source="endpoint", base_url=server.url, model="vlm")
        for _ in range(2):
            rows = [make_row(number) for number in range(3)]
            captioner = EndpointCaptioner("vlm", settings, max_new_tokens=20)
            parameters = RecaptionParameters(model="vlm")
            told = recaption(rows, parameters, {}, captioner, None, settings, tmp_path / "cache")
            assert [row["text"] for row in rows] == ["<__dj__image>\na red square <|__dj__eoc|>"] * 3
            assert (told.input_tokens, told.output_tokens) == (300, 15)
        assert len(server.requests) == 3
