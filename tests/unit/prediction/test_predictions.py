"""Answers belong to a question, whatever batch, slice or order it is asked in."""

import json
from pathlib import Path

import pytest
import torch

from syntune.artifacts.predictions import Prediction
from syntune.benchmarks.predictions import read_predictions
from syntune.benchmarks.protocol import Question
from syntune.benchmarks.scoring import score_run
from syntune.errors import UserError
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.prediction.gathering import gather
from syntune.prediction.plan import content_hash, hash_images


def test_every_question_is_answered_in_the_benchmarks_order(answer, textvqa, mmbench):
    for protocol in (textvqa, mmbench):
        lines = answer(protocol)
        questions = protocol.questions()
        assert [line["question_id"] for line in lines] == [question.id for question in questions]
        assert [line["prompt"] for line in lines] == [question.prompt for question in questions]
        assert {line["benchmark"] for line in lines} == {content_hash(hash_images(questions))}
        for line in lines:
            assert line["decoding"] == protocol.decoding() | {"dtype": "float32"}
            assert 0 <= line["tokens"] <= protocol.settings.max_new_tokens
    assert len({line["text"] for line in lines}) > 1


def test_batches_and_slices_change_no_byte(answer, textvqa, tmp_path):
    alone = answer(textvqa, batch_size=1)
    assert len({line["text"] for line in alone}) > 3  # answers that differ show whose they are
    for batch_size in (3, 8, 100):
        assert answer(textvqa, batch_size=batch_size) == alone
    for slices in (2, 7):  # of seven slices, two have nothing to do
        files = []
        for index in range(slices):
            files.append(tmp_path / f"{slices}.{index}.jsonl")
            lines = answer(textvqa, slices=slices, slice_index=index, batch_size=4)
            files[-1].write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert [line.as_written() for line in gather(textvqa, files)] == alone


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines, lines[0] | {"adapter": "z"}], "1.jsonl: line 7: question 0 has an answer already"),
        (lambda lines: [*lines, lines[0] | {"question_id": 99}], "1.jsonl: line 7: answers question 99, which is not"),
        (lambda lines: lines[1:], r"1 of 11 questions are in none of the 2 slices \(0\)"),
    ],
)
def test_slices_that_do_not_belong_together_are_refused(textvqa, tmp_path, change, message):
    lines = [{"question_id": q.id, "prompt": q.prompt, "text": "x", "adapter": "a"} for q in textvqa.questions()]
    files = [tmp_path / "0.jsonl", tmp_path / "1.jsonl"]
    for file, part in zip(files, (lines[6:], change(lines[:6])), strict=True):
        file.write_text("".join(json.dumps(line) + "\n" for line in part))
    with pytest.raises(UserError, match=message):
        gather(textvqa, files)


def test_an_image_is_hashed_once_and_its_content_counts(textvqa, monkeypatch):
    read = []
    read_image = Question.image_bytes
    monkeypatch.setattr(Question, "image_bytes", lambda question: read.append(question.image) or read_image(question))
    questions = textvqa.questions()
    before = content_hash(hash_images(questions))
    assert len(read) == 5 == len(set(read))
    image = read[0]
    image.write_bytes(image.read_bytes() + b"changed")
    assert content_hash(hash_images(questions)) != before


def test_an_image_is_encoded_once(answer, textvqa, monkeypatch):
    seen = []
    encode = MgmForConditionalGeneration.encode_images

    def counted(model, images, images_aux):
        seen.extend(image.sum().item() for image in images_aux)
        return encode(model, images, images_aux)

    monkeypatch.setattr(MgmForConditionalGeneration, "encode_images", counted)
    monkeypatch.setattr("syntune.models.margins.ROUNDING", 0.0)  # nothing is asked again
    answer(textvqa, batch_size=2)
    assert len(seen) == 5 == len(set(seen))


def test_predictions_can_be_scored(answer, textvqa, tmp_path):
    path = tmp_path / "predictions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in answer(textvqa)))
    found = read_predictions(path, textvqa.questions())
    assert len(found) == 11


def test_an_adapter_answers_for_itself(answer, textvqa, checkpoints):
    base, adapted = answer(textvqa, folders=checkpoints[:1]), answer(textvqa)
    assert base[0]["adapter"] != adapted[0]["adapter"]
    assert [line["text"] for line in base] != [line["text"] for line in adapted]


def test_what_cannot_be_answered_is_named(answer, textvqa, checkpoints, tmp_path):
    long = textvqa.settings.model_copy(update={"images": textvqa.settings.images})
    images = Path(long.images)
    (images / "i1.jpg").write_bytes((images / "i1.jpg").read_bytes()[:300])
    with pytest.raises(UserError, match=r"question \d+: .*i1.jpg: the image is damaged"):
        answer(textvqa)
    textvqa.settings = textvqa.settings.model_copy(update={"max_bytes": 300})
    with pytest.raises(UserError, match="4 of 5 images are larger than max_bytes 300"):
        answer(textvqa)
    (images / "i1.jpg").unlink()
    with pytest.raises(UserError, match="1 of 5 images are missing .*i1.jpg"):
        answer(textvqa)


def test_near_ties_are_told_in_bfloat16_and_asked_again_in_float32(answer, textvqa, monkeypatch):
    alone = answer(textvqa, batch_size=1)
    monkeypatch.setattr("syntune.models.margins.ROUNDING", 1e3)  # every choice is one
    assert answer(textvqa, batch_size=4) == alone
    monkeypatch.setattr("syntune.models.margins.COARSE_ROUNDING", 1e3)
    coarse = answer(textvqa, batch_size=4, dtype=torch.bfloat16)
    assert [line.get("near_tie") for line in coarse] == [True] * 11
    monkeypatch.setattr("syntune.models.margins.COARSE_ROUNDING", 0.0)
    assert all("near_tie" not in line for line in answer(textvqa, batch_size=4, dtype=torch.bfloat16))
    score = score_run("run", textvqa, textvqa.questions(), [Prediction(**line) for line in coarse])
    assert score.breakdown["questions"] == {"near tie: rounding may have decided the answer": 11}
