"""Models of other families, as small as they can be, from a folder to answers."""

import json
import pickle
import re
from importlib import metadata

import pytest
import torch
from packaging.requirements import Requirement
from PIL import Image
from tiny_models import KINDS, smolvlm, write_model
from transformers.utils import is_torchvision_available

from syntune.errors import UserError
from syntune.models.hf.loading import load_processor
from syntune.models.registry import family_of

RED, TALL = Image.new("RGB", (40, 40), "red"), Image.new("RGB", (30, 70), "blue")


def chat(*contents):
    return [{"role": ("user", "assistant")[index % 2], "content": text} for index, text in enumerate(contents)]


@pytest.fixture(scope="session", params=KINDS)
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / request.param
    write_model(request.param, folder)
    return folder


@pytest.fixture(scope="session")
def family(folder):
    return family_of(folder)


@pytest.fixture
def processor(folder, family):
    return family.load_processor(folder)


@pytest.fixture(scope="session")
def model(folder, family):
    return family.load_model(folder, torch.float32).eval()


def conversations(folder):
    rows = [
        (chat("<image>\nWhat colour?", "a warm red"), [RED]),
        (chat("Is it <image> or <image>?", "the first"), [TALL, RED]),
        (chat("<image>Which?", "blue"), [TALL]),
        (chat("No image here.", "indeed"), []),
    ]
    if folder.name != "paligemma":
        rows[0] = (
            chat("<image>\nIs it a warm red", "a warm red", "And <image> here?", "blue", "So?", "two"),
            [RED, TALL],
        )
    return rows


def supervised(processor, row):
    return processor.tokenizer.decode(row["labels"][row["labels"] != -100])


def test_answers_alone_are_supervised(folder, processor):
    texts = [supervised(processor, processor.encode_conversation(*row)) for row in conversations(folder)]
    assert (
        texts
        == {
            "llava": [" a warm red blue two </s>", " the first </s>", " blue </s>", " indeed </s>"],
            "qwen": [
                "a warm red<|im_end|>\nblue<|im_end|>\ntwo<|im_end|>\n",
                "the first<|im_end|>\n",
                "blue<|im_end|>\n",
                "indeed<|im_end|>\n",
            ],
            "smolvlm": [
                " a warm red<end_of_utterance>\n blue<end_of_utterance>\n two<end_of_utterance>\n",
                " the first<end_of_utterance>\n",
                " blue<end_of_utterance>\n",
                " indeed<end_of_utterance>\n",
            ],
            "paligemma": ["a warm red<eos>", "the first<eos>", "blue<eos>", "indeed<eos>"],
        }[folder.name]
    )


def test_prompt_is_a_conversation_up_to_its_answer(folder, processor):
    """The first of them has an image behind its first answer, and a question that ends as its answer does."""
    for messages, images in conversations(folder):
        asked = messages[0]["content"]
        prompt = processor.encode_prompt(asked, images[: asked.count("<image>")])
        row = processor.encode_conversation(messages, images)
        length = len(prompt["input_ids"])
        assert row["input_ids"][:length].tolist() == prompt["input_ids"].tolist()
        assert (row["labels"][:length] == -100).all() and row["labels"][length] != -100
        assert "labels" not in prompt
    without_mark = processor.encode_prompt("Which?", [TALL])["input_ids"]
    assert torch.equal(without_mark, processor.encode_prompt("<image>\nWhich?", [TALL])["input_ids"])


def test_control_tokens_in_messages_are_text(folder, processor):
    plain = processor.encode_conversation(chat("<image>What?", "a"), [RED])["input_ids"].tolist()
    spelt = chat("<image>What?", f"a<image>{processor.tokenizer.eos_token}")
    row = processor.encode_conversation(spelt, [RED])
    control = set(processor.tokenizer.all_special_ids)
    assert [token for token in row["input_ids"].tolist() if token in control] == [
        token for token in plain if token in control
    ]
    assert "a< image>" in supervised(processor, row) or "a<image>" in supervised(processor, row)


def test_cut_only_after_the_images(processor):
    messages, images = chat("<image>\nWhat colour?", "a warm red"), [RED]
    whole = processor.encode_conversation(messages, images)
    length, answer = len(whole["input_ids"]), int((whole["labels"] != -100).nonzero()[0])
    processor.max_length = answer + 2
    cut = processor.encode_conversation(messages, images)
    assert cut["input_ids"].tolist() == whole["input_ids"][: answer + 2].tolist()
    assert (cut["labels"] != -100).sum() == 2
    measure = processor.measure_conversation(messages, images)
    assert (measure.length, measure.labels) == (length, cut["labels"].tolist())
    processor.max_length = answer - 1
    row = processor.encode_conversation(messages, images)
    assert (row["labels"] == -100).all() and len(row["input_ids"]) == length
    with pytest.raises(UserError, match="longer than"):
        processor.encode_prompt("What colour?", images)


@pytest.mark.parametrize(
    "messages, images, message",
    [
        (chat("<image>What?", "a"), [], "1 <image> marks, but 0 images"),
        (chat("What?"), [], "needs pairs"),
        (chat("\n", "a"), [], "the question is empty"),
        (chat("What?", "a")[:1] * 2, [], "role 'user' where 'assistant'"),
    ],
)
def test_mistakes_in_messages(processor, messages, images, message):
    with pytest.raises(UserError, match=message):
        processor.encode_conversation(messages, images)


def test_parts_of_the_model(folder, family, model):
    names = {module: name for name, module in model.named_modules()}
    targets = {name for name, module in model.named_modules() if re.fullmatch(family.lora_targets, name)}
    language_model = {"smolvlm": "model.text_model"}.get(folder.name, "model.language_model")
    assert len(targets) == 2 * 7
    assert all(name.startswith(f"{language_model}.layers.") for name in targets)
    assert [names[module] for module in family.connector(model)] == {
        "llava": ["model.multi_modal_projector"],
        "qwen": ["model.visual.merger"],
        "smolvlm": ["model.connector"],
        "paligemma": ["model.multi_modal_projector"],
    }[folder.name]
    parts = [*family.connector(model), *family.towers(model), model.get_decoder(), model.get_output_embeddings()]
    covered = {id(parameter) for part in parts for parameter in part.parameters()}
    assert covered == {id(parameter) for parameter in model.parameters()}


def test_loss_is_a_mean_over_all_supervised_tokens(folder, family, processor, model):
    """Micro-batches add up, and the loss is the one that the model's own forward makes."""
    rows = [processor.encode_conversation(*row) for row in conversations(folder)]
    tokens = sum(int((row["labels"][1:] != -100).sum()) for row in rows)
    model.train()
    try:
        with torch.no_grad():
            whole = family.training_loss(model, processor.collate(rows), tokens)
            parts = [family.training_loss(model, processor.collate([row]), tokens) for row in rows]
            own = model(**processor.collate(rows), num_items_in_batch=tokens).loss
            rows[2] = processor.encode_conversation(conversations(folder)[2][0], [RED])
            other_image = family.training_loss(model, processor.collate(rows), tokens)
    finally:
        model.eval()
    assert torch.allclose(whole, sum(parts), atol=1e-5)
    assert torch.allclose(whole, own, atol=1e-5)
    assert abs(whole - other_image) > 1e-4


def test_no_token_sees_the_rest_of_its_answer(processor, model):
    row = processor.encode_conversation(chat("<image>What?", "a warm red"), [RED])
    other = row | {"input_ids": row["input_ids"].clone()}
    start, end = ((row["labels"] != -100).nonzero()[at].item() for at in (0, -1))
    other["input_ids"][end] = row["input_ids"][start]
    with torch.no_grad():
        one, two = (model(**processor.collate([each])).logits[0] for each in (row, other))
    assert torch.allclose(one[:end], two[:end], atol=1e-5) and not torch.allclose(one[end], two[end], atol=1e-3)


def test_bfloat16(folder, family, processor):
    model = family.load_model(folder, torch.bfloat16)
    batch = processor.collate([processor.encode_conversation(*row) for row in conversations(folder)])
    assert family.training_loss(model, batch, 10).isfinite()


def test_three_steps_of_lora_lower_the_loss(folder, family, processor):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    adapted = get_peft_model(
        family.load_model(folder, torch.float32), LoraConfig(r=4, target_modules=family.lora_targets)
    )
    trained = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert len(trained) == 2 * 2 * 7
    batch = processor.collate([processor.encode_conversation(*row) for row in conversations(folder)])
    tokens = int((batch["labels"][:, 1:] != -100).sum())
    optimizer = torch.optim.AdamW((part for part in adapted.parameters() if part.requires_grad), lr=1e-2)
    losses = []
    for _ in range(4):
        loss = family.training_loss(adapted.train(), batch, tokens)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[0] > losses[1] > losses[2] > losses[3]


def test_answers_do_not_depend_on_the_batch(folder, family, processor, model):
    questions = [("What?", [RED]), ("Which of the two colours is it?", [TALL]), ("No image.", []), ("Is it?", [RED])]
    rows = [processor.encode_prompt(*question) for question in (questions * 2)]
    rows[5] = processor.encode_prompt("Is <image> like <image>?", [TALL, RED])
    together = [each.ids for each in family.generate(model, processor, rows, [None] * 8, 8, at_once=8)]
    alone = [each.ids for row in rows for each in family.generate(model, processor, [row], [None], 8, at_once=8)]
    assert together == alone
    assert len({tuple(answer) for answer in together}) > 2  # the questions do matter
    assert all(not set(answer) & set(processor.end_ids) for answer in together)


def test_near_ties_are_those_of_the_models_own_arithmetic(processor, family, folder, monkeypatch):
    row = processor.encode_prompt("What?", [RED])
    for dtype, expected in ((torch.float32, False), (torch.bfloat16, True)):
        monkeypatch.setattr("syntune.models.margins.COARSE_ROUNDING", 1e3)
        (answer,) = family.generate(family.load_model(folder, dtype).eval(), processor, [row], [None], 3, at_once=1)
        assert answer.near_tie is expected


def test_greedy_whatever_the_checkpoint_says(family, processor, model):
    """Each token is the likeliest one after those before it."""
    row = processor.encode_prompt("What?", [RED])
    (answer,) = family.generate(model, processor, [row], [None], 6, at_once=1)
    for index, token in enumerate(answer.ids):
        longer = dict(row)
        for name, value in {"input_ids": answer.ids[:index], "attention_mask": [1] * index}.items():
            longer[name] = torch.cat([row[name], torch.tensor(value, dtype=torch.long)])
        for name in {"token_type_ids", "mm_token_type_ids"} & row.keys():
            kind = int(name == "token_type_ids")
            longer[name] = torch.cat([row[name], torch.full([index], kind)])
        with torch.no_grad():
            assert model(**processor.collate([longer])).logits[0, -1].argmax() == token


def test_saved_and_read_again(folder, family, processor, tmp_path):
    processor.save_pretrained(tmp_path)
    assert not (tmp_path / "config.json").exists()
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "generation_config.json").write_bytes((folder / "generation_config.json").read_bytes())
    again = family_of(tmp_path).load_processor(tmp_path)
    for name, tensor in processor.encode_conversation(chat("<image>What?", "a"), [TALL]).items():
        assert torch.equal(tensor, again.encode_conversation(chat("<image>What?", "a"), [TALL])[name]), name


def test_refuses_what_collate_would_misplace(folder, processor, monkeypatch):
    """Llama 3.2 Vision's processor gives such a mask."""
    encode = type(processor._form).inputs

    def with_mask(form, *args):
        inputs = encode(form, *args)
        return inputs | {"cross_attention_mask": torch.ones(*inputs["input_ids"].shape, 1, 4)}

    monkeypatch.setattr(type(processor._form), "inputs", with_mask)
    with pytest.raises(UserError, match="cross_attention_mask tells each token"):
        processor.encode_prompt("What?", [RED])


def test_workers_have_the_same_processor(processor):
    processor.max_length = 77
    again = pickle.loads(pickle.dumps(processor))
    assert again.max_length == 77
    for name, tensor in processor.encode_prompt("What?", [RED]).items():
        assert torch.equal(tensor, again.encode_prompt("What?", [RED])[name]), name


def test_attention_is_what_was_asked_for(folder, family, processor):
    model = family.load_model(folder, torch.float32)
    batch = processor.collate([processor.encode_conversation(*row) for row in conversations(folder)])
    names, losses = [], []
    for attention in ("auto", "eager"):
        names.append(family.use_attention(model, attention, torch.device("cpu"), torch.float32))
        losses.append(family.training_loss(model, batch, 10).item())
    assert names == ["sdpa", "eager"]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    with pytest.raises(UserError, match="needs packed rows"):
        family.use_attention(model, "torch-varlen", torch.device("cpu"), torch.float32)


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision is here")
@pytest.mark.parametrize("name", ["SmolVLMProcessor", "PixtralProcessor", "MiniCPMV4_6Processor"])
def test_says_what_a_processor_lacks(tmp_path, name):
    smolvlm(tmp_path)
    file = tmp_path / "processor_config.json"
    file.write_text(file.read_text().replace("Idefics3Processor", name))
    with pytest.raises(
        UserError, match=f"its {name} cannot be loaded without torchvision.*: add torchvision=="
    ) as caught:
        load_processor(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_not_laid_on_torchvision(tmp_path):
    write_model("qwen", tmp_path / "qwen")
    (tmp_path / "qwen/tokenizer.json").unlink()
    with pytest.raises(UserError, match="qwen: its processor cannot be loaded .(?!.*torchvision)"):
        load_processor(tmp_path / "qwen")


def test_templates_that_cannot_be_followed(folder, processor, tmp_path):
    if folder.name == "paligemma":
        with pytest.raises(UserError, match="one question and one answer a row"):
            processor.encode_conversation(chat("a", "b", "c", "d"), [])
        return
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "chat_template.json").unlink(missing_ok=True)
    template = tmp_path / "chat_template.jinja"
    template.write_text(
        "{{ messages | length }}{% for message in messages %}{{ message['content'][0]['text'] }}{% endfor %}"
    )
    with pytest.raises(UserError, match="writes turns differently when others follow"):
        family_of(tmp_path).load_processor(tmp_path).encode_conversation(chat("a", "b", "c", "d"), [])
    template.write_text("{{ raise_exception('no such role') }}")
    with pytest.raises(UserError, match="the model's processor refuses it .no such role"):
        family_of(tmp_path).load_processor(tmp_path).encode_conversation(chat("a", "b"), [])


# the ends of templates whose prompt is not what they write before an answer; ONEVISION is LLaVA-OneVision's whole one
ONEVISION = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + ' ' }}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<|image_pad|>' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ '\n' + part['text'] }}{% endfor %}"
    "{{ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
THINKING = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% for part in message['content'] %}{{ '<|image_pad|>' if part['type'] == 'image' else part['text'] }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
)
ALWAYS_THINKING = THINKING.replace("{{ '<think>\n\n</think>\n\n' }}", "")
NO_PROMPT = THINKING.partition("{% if add_generation_prompt")[0].replace("<think>\n\n</think>\n\n", "")


@pytest.mark.parametrize(
    ("template", "opening"),
    [
        (ONEVISION, "<|im_start|>assistant\n"),
        (THINKING, "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        (ALWAYS_THINKING, "<|im_start|>assistant\n"),
        (NO_PROMPT, "<|im_start|>assistant\n"),
    ],
    ids=["spaces", "a thought", "no thought", "nothing"],
)
def test_a_prompt_opens_as_answers_are_written(tmp_path, template, opening):
    write_model("qwen", tmp_path / "qwen")
    (tmp_path / "qwen/chat_template.json").write_text(json.dumps({"chat_template": template}))
    processor = family_of(tmp_path / "qwen").load_processor(tmp_path / "qwen")
    prompt = processor.encode_prompt("<image>What colour?", [RED])
    row = processor.encode_conversation(chat("<image>What colour?", "a warm red"), [RED])
    length = len(prompt["input_ids"])
    assert processor.tokenizer.decode(prompt["input_ids"]).endswith(opening)
    assert row["input_ids"][:length].tolist() == prompt["input_ids"].tolist()
    assert supervised(processor, row).rstrip("\n") == "a warm red<|im_end|>"
    rounds = chat("<image>What colour?", "a warm red", "And now?", "blue")
    if template == THINKING:
        with pytest.raises(UserError, match="writes turns differently when others follow; give rows of one question"):
            processor.encode_conversation(rounds, [RED])
    else:
        row = processor.encode_conversation(rounds, [RED])
        assert supervised(processor, row).replace("\n", "") == "a warm red<|im_end|>blue<|im_end|>"


def test_a_template_that_changes_a_question_is_told_so(tmp_path):
    write_model("qwen", tmp_path / "qwen")
    template = "{{ messages | length }}{% for message in messages %}{{ message['content'][0]['text'] }}{% endfor %}"
    (tmp_path / "qwen/chat_template.json").write_text(json.dumps({"chat_template": template}))
    with pytest.raises(UserError, match="writes a question differently when its answer follows; mend the template"):
        family_of(tmp_path / "qwen").load_processor(tmp_path / "qwen").encode_conversation(chat("a", "b"), [])


def test_refuses_what_is_no_such_model(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError, match="'bert' is not a model that transformers loads for images"):
        family_of(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "of_my_own", "auto_map": {"AutoConfig": "evil.Config"}}')
    with pytest.raises(UserError, match="no config of a model that transformers knows"):
        family_of(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "florence2"}')
    with pytest.raises(UserError, match="has an encoder for text"):
        family_of(tmp_path)


@pytest.mark.skipif(not is_torchvision_available(), reason="torchvision is in no environment unless it is added")
def test_an_added_torchvision_requires_the_torch_that_is_here():
    (wanted,) = [line for line in metadata.requires("torchvision") if re.match(r"torch\b", line)]
    assert metadata.version("torch").partition("+")[0] in Requirement(wanted).specifier
