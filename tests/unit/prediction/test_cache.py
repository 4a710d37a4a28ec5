"""An answer is found again by content: of model, prompt, image and decoding, and by nothing else."""

import json
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from syntune.errors import UserError
from syntune.models.mgm.family import MgmFamily
from syntune.prediction.cache import AnswerCache
from syntune.prediction.identity import chain_content
from syntune.prediction.plan import GeneratedAnswer, hash_images
from syntune.settings.pixels import PixelSettings
from syntune.settings.prediction import PredictionSettings

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """Gets the number of prompts of each call of the model."""
    sizes = []
    generate = MgmFamily.generate

    def counted(self, model, processor, rows, *args):
        sizes.append(len(rows))
        return generate(self, model, processor, rows, *args)

    monkeypatch.setattr(MgmFamily, "generate", counted)
    monkeypatch.setattr("syntune.models.margins.ROUNDING", 0.0)  # nothing is asked again
    return sizes


def test_nothing_is_asked_twice(answer, textvqa, tmp_path, asked):
    first = answer(textvqa, cache=tmp_path / "cache")
    assert sum(asked) == 11
    assert answer(textvqa, cache=tmp_path / "cache", batch_size=3) == first
    assert sum(asked) == 11


def test_another_adapter_at_the_same_path_answers_itself(answer, textvqa, checkpoints, make_adapter, tmp_path, asked):
    adapter = shutil.copytree(checkpoints[1], tmp_path / "adapter")
    shutil.copy(f"{checkpoints[1]}.manifest.json", tmp_path)
    chain, cache = [checkpoints[0], adapter], tmp_path / "cache"
    before = answer(textvqa, folders=chain, cache=cache)
    assert before == answer(textvqa, cache=cache)  # the same content in another place
    assert sum(asked) == 11
    make_adapter(checkpoints[0], adapter, 2)
    after = answer(textvqa, folders=chain, cache=cache)
    assert sum(asked) == 22
    assert [line["text"] for line in after] != [line["text"] for line in before]


def test_a_checkpoint_that_its_manifest_does_not_describe_is_refused(answer, textvqa, checkpoints, tmp_path):
    adapter = shutil.copytree(checkpoints[1], tmp_path / "adapter")
    shutil.copy(f"{checkpoints[1]}.manifest.json", tmp_path)
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="adapter_config.json: missing, or not the file .*adapter.manifest.json"):
        answer(textvqa, folders=[checkpoints[0], adapter])


def test_another_adapter_under_the_old_manifest_is_refused(answer, textvqa, checkpoints, make_adapter, tmp_path, asked):
    """Of the same rank, its files have the sizes that the manifest names."""
    adapter = shutil.copytree(checkpoints[1], tmp_path / "adapter")
    other = make_adapter(checkpoints[0], tmp_path / "other", 2)
    shutil.copy(f"{checkpoints[1]}.manifest.json", tmp_path)
    for file in adapter.glob("*.safetensors"):
        assert file.stat().st_size == (other / file.name).stat().st_size
        shutil.copy(other / file.name, file)
    with pytest.raises(UserError, match="safetensors: missing, or not the file that .*adapter.manifest.json describes"):
        answer(textvqa, folders=[checkpoints[0], adapter])
    assert not asked


def test_a_manifest_of_another_checkpoint_is_refused(checkpoints):
    manifests = [folder.with_name(f"{folder.name}.manifest.json") for folder in checkpoints]
    with pytest.raises(UserError, match="adapter.manifest.json: not the manifest of the checkpoint .*base; give"):
        chain_content(checkpoints, manifests[::-1])
    with pytest.raises(UserError, match="2 checkpoints, but 1 manifests"):
        chain_content(checkpoints, manifests[:1])


def test_an_ignored_orientation_is_asked_where_there_is_one(answer, textvqa, tmp_path, asked):
    turned = Path(textvqa.settings.images) / "i1.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(turned).save(turned, exif=exif)
    of_it = [q.id for q in textvqa.questions() if q.image == turned]
    upright = answer(textvqa, cache=tmp_path / "cache")
    assert sum(asked) == 11
    stored = answer(textvqa, cache=tmp_path / "cache", pixels=PixelSettings(orientation="ignore"))
    assert sum(asked) == 11 + len(of_it)
    for lines, orientation in ((upright, "apply"), (stored, "ignore")):
        tags = {line["question_id"]: line["orientation"] for line in lines if "orientation" in line}
        assert tags == dict.fromkeys(of_it, orientation)
    assert answer(textvqa, cache=tmp_path / "cache") == upright
    assert sum(asked) == 11 + len(of_it)


def test_transparent_pixels_on_another_ground_are_asked_about_again(answer, textvqa, tmp_path, asked):
    image = Path(textvqa.settings.images) / "i1.jpg"
    Image.new("RGBA", (30, 20), (9, 9, 9, 0)).save(image, "PNG")
    of_it = [q.id for q in textvqa.questions() if q.image == image]
    on_white = answer(textvqa, cache=tmp_path / "cache")
    on_black = answer(textvqa, cache=tmp_path / "cache", pixels=PixelSettings(transparency="black"))
    assert sum(asked) == 11 + len(of_it)
    for lines, shown in ((on_white, "white"), (on_black, "black")):
        told = {line["question_id"]: line["transparency"] for line in lines if "transparency" in line}
        assert told == dict.fromkeys(of_it, shown)


def test_other_prompts_images_and_lengths_are_asked(answer, textvqa, tmp_path, asked):
    cache = tmp_path / "cache"
    answer(textvqa, cache=cache)
    shutil.copy(f"{textvqa.settings.images}/i0.jpg", f"{textvqa.settings.images}/i1.jpg")
    answer(textvqa, cache=cache)
    changed = sum(asked) - 11
    assert changed == sum(question.group == "i1" for question in textvqa.questions())
    textvqa.settings = textvqa.settings.model_copy(update={"max_new_tokens": 5})
    answer(textvqa, cache=cache)
    assert sum(asked) == 22 + changed


KILLED_AT_THE_THIRD_BATCH = """
import os, pickle, signal, sys
sys.path.insert(0, sys.argv[1])
from syntune.prediction.cache import AnswerCache
from syntune.prediction.predictions import predict
add, calls = AnswerCache.add, []
def add_or_die(self, answers):
    calls.append(answers)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, answers)
AnswerCache.add = add_or_die
protocol, settings, arguments = pickle.loads(sys.stdin.buffer.read())
predict(protocol, settings, **arguments)
"""


def test_a_killed_job_loses_its_last_batch_alone(answer, textvqa, checkpoints, tmp_path, asked):
    cache = tmp_path / "cache"
    arguments = {
        "name": "test", "checkpoints": checkpoints, "device": torch.device("cpu"), "dtype": torch.float32, "threads": 1,
        "manifests": [folder.with_name(folder.name + ".manifest.json") for folder in checkpoints], "slice_index": 0,
        "cache": cache, "output": tmp_path / "killed.jsonl",
    }  # fmt: skip
    job = subprocess.run(
        [sys.executable, "-c", KILLED_AT_THE_THIRD_BATCH, SCRIPTS],
        input=pickle.dumps((textvqa, PredictionSettings(batch_size=3), arguments)), capture_output=True, timeout=120,
    )  # fmt: skip
    assert job.returncode == -signal.SIGKILL, job.stderr.decode()[-2000:]
    resumed = answer(textvqa, cache=cache, batch_size=3)
    assert sum(asked) == 11 - 6
    assert resumed == answer(textvqa)


def test_damaged_records_count_for_nothing(answer, textvqa, tmp_path, asked):
    cache = tmp_path / "cache"
    first = answer(textvqa, cache=cache)
    (journal,) = cache.glob("*/*.jsonl")
    lines = journal.read_text().splitlines()
    poisoned = json.loads(lines[0])
    poisoned[1] = "another answer"
    lines[0] = json.dumps(poisoned)
    lines[1:3] = ["not a record", "7"]
    journal.write_text("\n".join(lines)[:-5])  # and the last one was half written
    assert answer(textvqa, cache=cache) == first
    assert sum(asked) == 11 + 4


def test_two_jobs_share_a_cache(textvqa, tmp_path):
    one, other, *_ = hash_images(textvqa.questions())
    way = {"model": "m", "decoding": {}}
    with AnswerCache(tmp_path, way) as first, AnswerCache(tmp_path, way) as second:
        first.add([(one, GeneratedAnswer("a\u2028\n", 1))])
        second.add([(other, GeneratedAnswer("b", 2))])
        first.add([(other, GeneratedAnswer("b", 2))])
    found = AnswerCache(tmp_path, way)
    assert [found.get(one), found.get(other)] == [GeneratedAnswer("a\u2028\n", 1), GeneratedAnswer("b", 2)]
    assert AnswerCache(tmp_path, way | {"model": "n"}).get(one) is None
    for path in found.folder.glob("*.jsonl"):  # another model's answers do not become its own by a copy
        shutil.copy(path, AnswerCache(tmp_path, way | {"model": "n"}).folder)
    assert AnswerCache(tmp_path, way | {"model": "n"}).get(one) is None


def test_a_folder_that_cannot_be_written_is_named(answer, textvqa, tmp_path, asked):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match="cache: cannot be written"):
        answer(textvqa, cache=tmp_path / "cache")
    assert not asked
