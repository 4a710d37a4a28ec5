"""Whole runs of a few steps: what they leave, that they are exact, and that they go on where they were killed."""

import json
import os
import pickle
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_samples import again, picture, sample_rows, talk, write_dataset

import export_checkpoint
from syntune.artifacts.clearances import rehearsed_fingerprint
from syntune.artifacts.manifests import read_manifest
from syntune.errors import UserError
from syntune.files import write_json
from syntune.models.checkpoints import load_chain
from syntune.settings.runs import TrainedRunSettings
from syntune.training.notice import noticed
from syntune.training.run import train_run

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


def metrics(checkpoint: Path) -> list[dict]:
    return [json.loads(line) for line in (checkpoint / "metrics.jsonl").read_text().splitlines()]


def losses(checkpoint: Path) -> list[float]:
    return [line["loss"] for line in metrics(checkpoint)]


def validation(run) -> dict:
    return json.loads((run.checkpoint / "summary.json").read_text())["validation"]


def weights(checkpoint: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(checkpoint.glob("*.safetensors"))}


@pytest.fixture
def trained(job):
    done = job()
    train_run(done)
    return done


def test_a_run_leaves_what_the_next_stages_need(trained, base):
    folder = trained.checkpoint
    assert {file.name for file in folder.iterdir()} == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "config.json", "events", "finetuning.log",
        "metrics.jsonl", "non_lora_trainables.safetensors", "summary.json",
    }  # fmt: skip
    summary = json.loads((folder / "summary.json").read_text())
    lines = metrics(folder)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert (summary["steps"], summary["samples"], summary["healthy"]) == (6, 36, True)
    assert summary["parameters"]["lora"] > 0 < summary["parameters"]["beside_lora"]
    assert summary["first_loss"] == lines[0]["loss"] > summary["final_loss"] == lines[-1]["loss"]
    assert {check["name"] for check in summary["verdicts"] if check["status"] != "ok"} == {"steps", "learned"}
    manifest = json.loads(trained.manifest.read_text())
    assert [told.split(":")[0] for told in manifest["details"]["warnings"]] == ["steps", "learned"]
    assert (manifest["rows_in"], manifest["rows_out"], manifest["dropped"]) == (24, 24, {})
    assert {part["path"] for part in manifest["parts"]} == {
        f"run/{name}" for name in (*weights(folder), "adapter_config.json", "config.json")
    }
    assert list((folder / "events").iterdir())
    beside = load_file(folder / "non_lora_trainables.safetensors")
    assert "base_model.model.model.mm_projector.0.weight" in beside
    assert "base_model.model.model.vlm_uni_query_projector.1.weight" in beside
    load_chain([base, folder], torch.float32)


def test_the_cards_command_makes_one_checkpoint(trained, tmp_path, monkeypatch):
    """Which the reference MGM loads; its layout has tests of its own."""
    command = re.search(r"```sh\n(.*?)```", (trained.checkpoint / "README.md").read_text(), re.DOTALL)[1]
    words = shlex.split(command.replace("\\\n", " "))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    export_checkpoint.main(export_checkpoint.parser().parse_args(words[words.index("python") + 2 :]))
    assert json.loads(Path("run/config.json").read_text())["model_type"] == "mgm_gemma"


def test_the_first_loss_is_the_plain_computation(job, base):
    """Summed over all supervised tokens of the step and divided by their number, whatever the micro-batches."""
    plain = {"lora": {"r": 4, "alpha": 8, "dropout": 0.0}, "optimizer": {"warmup_ratio": 0.0}, "max_steps": 1}
    one, several = job("one", **plain), job("several", **plain, micro_batch_tokens=1000)
    for run in (one, several):
        train_run(run)
    assert json.loads((one.checkpoint / "summary.json").read_text())["micro_batches"] > 1
    assert json.loads((several.checkpoint / "summary.json").read_text())["micro_batches"] == 1

    from syntune.training.batching import StepPlan
    from syntune.training.rows import TrainingRows, index_rows
    from syntune.training.shards import Shards

    loaded = load_chain([base], torch.float32)
    shards = Shards(one.dataset)
    index = index_rows(shards, loaded.processor, one.checkpoint.parent / "tokens", 120, "truncate")
    plan = StepPlan(index.lengths, index.images, 6, random_seed=42)
    rows = TrainingRows(shards, index, loaded.processor)
    total, count = 0.0, 0
    for number in plan.rows(0):
        row = loaded.processor.collate([rows[int(number)]])
        output = loaded.model.eval()(**row)
        _, expanded = loaded.model.merge_inputs(row["input_ids"], row["attention_mask"], row["labels"], **images(row))
        labels = expanded.labels[0, 1:]
        logits = output.logits[0, :-1][labels != -100]
        total += float(torch.nn.functional.cross_entropy(logits, labels[labels != -100], reduction="sum"))
        count += int((labels != -100).sum())
    assert losses(one.checkpoint)[0] == pytest.approx(total / count, abs=2e-6)
    assert losses(several.checkpoint)[0] == pytest.approx(total / count, abs=2e-6)
    assert metrics(one.checkpoint)[0]["supervised_tokens"] == count


def images(row):
    return {"images": row["images"], "images_aux": row["images_aux"]}


def test_two_runs_are_the_same_to_the_byte(trained):
    other = again(trained, "other")
    train_run(other)
    assert losses(other.checkpoint) == losses(trained.checkpoint)
    assert weights(other.checkpoint) == weights(trained.checkpoint)
    found, wanted = (json.loads(run.manifest.read_text()) for run in (other, trained))
    assert [part["sha256"] for part in found["parts"]] == [part["sha256"] for part in wanted["parts"]]
    assert found["details"] == wanted["details"]


def test_a_rehearsal_takes_the_heaviest_step_of_the_run_and_says_what_it_took(job, caplog):
    run = replace(job(max_steps=40, optimizer={"warmup_ratio": 0.0}), rehearsed_steps=2)
    train_run(run)
    first, second = metrics(run.checkpoint)
    assert first["tokens"] == second["tokens"]
    assert re.search(r"heaviest step took [\d.]+ s and at most [\d.]+ GiB \(resident\); 40 such", caplog.text)


def test_rows_that_no_step_takes_are_counted(job):
    run = job(max_steps=None, global_batch_size=10)
    train_run(run)
    manifest = read_manifest(run.manifest)
    assert (manifest.rows_in, manifest.rows_out, manifest.dropped) == (24, 20, {"taken by no step": 4})
    summary = json.loads((run.checkpoint / "summary.json").read_text())
    assert (summary["rows"], summary["rows_left_over"], summary["samples"]) == (20, 4, 20)
    assert "24 rows, 20 trained on" in (run.checkpoint / "README.md").read_text()
    assert "4 of 24 rows are taken by no step" in (run.checkpoint / "finetuning.log").read_text()


def test_a_run_that_did_not_learn_keeps_its_checkpoint_and_is_not_called_healthy(job):
    dead = job(optimizer={"learning_rate": 1e-9}, max_steps=12)
    train_run(dead)
    summary = json.loads((dead.checkpoint / "summary.json").read_text())
    assert (summary["learned"], summary["healthy"]) == ("failed", False)
    assert read_manifest(dead.manifest).details["learned"] == "failed"
    alive = job("alive", max_steps=12)
    train_run(alive)
    assert read_manifest(alive.manifest).details["learned"] == "ok"


def test_the_only_step_of_a_run_is_no_warm_up(job):
    run = job(max_steps=1)
    train_run(run)
    assert metrics(run.checkpoint)[0]["learning_rate"] == 1e-2


def test_a_rehearsal_refuses_fewer_rows_than_a_step_of_the_run_takes(job):
    run = job(max_steps=None, global_batch_size=128)
    few = replace(job(max_steps=1, global_batch_size=4), stage="rehearse_training", rehearses=run.settings)
    with pytest.raises(UserError, match="global_batch_size: 24 rows in 1 epochs do not fill one step of 128; lower it"):
        train_run(few)


KILLED = """
import os, pickle, signal, sys
sys.path.insert(0, sys.argv[1])
import syntune.training.engine as engine
from syntune.settings.runs import TrainedRunSettings
from syntune.training.run import train_run
job, victim, when = pickle.loads(sys.stdin.buffer.read())
original = getattr(engine.PlannedTrainer, victim)
def dying(self, *args, **kwargs):
    result = original(self, *args, **kwargs)
    if self.state.global_step >= when:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(engine.PlannedTrainer, victim, dying)
train_run(job)
"""


@pytest.mark.parametrize(
    ("victim", "when", "resumed"),
    [("compute_loss", 3, 2), ("save_model", 4, 2), ("_save_checkpoint", 4, 4), ("_save_checkpoint", 6, 6)],
    ids=["in a step", "while saving", "after saving", "at the end"],
)
def test_a_killed_run_goes_on_to_the_same_end(trained, victim, when, resumed):
    job = again(trained, "killed")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(SCRIPTS)], input=pickle.dumps((job, victim, when)), capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    assert not job.checkpoint.exists()
    train_run(job)
    assert json.loads((job.checkpoint / "summary.json").read_text())["resumed_from"] == resumed
    assert losses(job.checkpoint) == losses(trained.checkpoint)
    assert weights(job.checkpoint) == weights(trained.checkpoint)
    assert "going on after step" in (job.checkpoint / "finetuning.log").read_text()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGURG])
def test_a_run_whose_time_is_up_saves_the_step_that_it_is_in(trained, monkeypatch, sent):
    from syntune.training import engine

    job = again(trained, "stopped")
    compute_loss = engine.PlannedTrainer.compute_loss

    def told(self, *args, **kwargs):
        if self.state.global_step == 2:
            os.kill(os.getpid(), sent)
        return compute_loss(self, *args, **kwargs)

    with monkeypatch.context() as context, noticed(ranks=1) as notice:
        context.setattr(engine.PlannedTrainer, "compute_loss", told)
        with pytest.raises(UserError, match=rf"stopped by {sent.name} after step 3 of 6, and saved; it goes on from"):
            train_run(job, notice)
    assert not job.checkpoint.exists()
    train_run(job)
    assert json.loads((job.checkpoint / "summary.json").read_text())["resumed_from"] == 3
    assert weights(job.checkpoint) == weights(trained.checkpoint)


RANKS = """
import os, pickle, signal, sys
sys.path.insert(0, sys.argv[1])
from syntune.errors import UserError
from syntune.training.launch import run_ranks
if "RANK" not in os.environ:
    try:
        sys.exit(run_ranks(sys.argv, 2, timeout=5))
    except UserError as error:
        sys.exit(f"error: {error}")

import syntune.training.engine as engine
from syntune.training.notice import noticed
from syntune.training.run import train_run
with open(sys.argv[2], "rb") as file:
    job, when = pickle.load(file)
told_now = os.environ["RANK"] == "1" and when is not None
compute_loss = engine.PlannedTrainer.compute_loss
def told(self, *args, **kwargs):
    if told_now and self.state.global_step == when:
        os.kill(os.getpid(), signal.SIGURG)
    return compute_loss(self, *args, **kwargs)
engine.PlannedTrainer.compute_loss = told
with noticed(ranks=2) as notice:
    if told_now and when < 0:
        os.kill(os.getpid(), signal.SIGURG)
    try:
        train_run(job, notice)
    except UserError as error:
        sys.exit(f"error: {error}")
"""


@pytest.mark.slow
def test_two_ranks_of_which_one_is_told_stop_together_and_go_on_to_the_same_end(job, tmp_path):
    (tmp_path / "ranks.py").write_text(RANKS)

    def run_two(run, when: int | None) -> str:
        (tmp_path / "job").write_bytes(pickle.dumps((run, when)))
        command = [sys.executable, tmp_path / "ranks.py", SCRIPTS, tmp_path / "job"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == (0 if when is None else 1), done.stderr[-4000:]
        return done.stderr

    stopped, whole = job("stopped"), job("whole")
    for when, said in ((-1, "before its step 1 of 6"), (2, "after step 3 of 6, and saved")):
        told = run_two(stopped, when)
        assert f"was stopped by SIGURG {said}; it goes on from there" in told
        assert f"was stopped by a notice to another rank {said}" in told
        assert not stopped.checkpoint.exists()
    for run in (stopped, whole):
        run_two(run, None)
    assert json.loads((stopped.checkpoint / "summary.json").read_text())["resumed_from"] == 3
    assert weights(stopped.checkpoint) == weights(whole.checkpoint)


@pytest.mark.parametrize(("resumed", "step"), [(False, 1), (True, 5)])
def test_a_run_whose_time_is_up_before_its_first_step_leaves_at_once(job, monkeypatch, resumed, step):
    run = job()
    if resumed:
        shutil.rmtree(stopped_at_the_end(run, monkeypatch) / "checkpoint-6")
    with noticed(ranks=1) as notice:
        os.kill(os.getpid(), signal.SIGURG)
        with pytest.raises(UserError, match=f"was stopped by SIGURG before its step {step} of 6; it goes on from"):
            train_run(run, notice)
    train_run(run)
    assert json.loads((run.checkpoint / "summary.json").read_text())["resumed_from"] == (step - 1 or None)


def flip(path, place=0.5):
    """Change one bit of a file, as a failing disk does."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 1
    path.write_bytes(content)


def stopped_at_the_end(job, monkeypatch):
    """A job that stopped before its checkpoint was written, and its work folder."""
    from syntune.training import run as module

    with monkeypatch.context() as context:
        context.setattr(module, "write_checkpoint", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train_run(job)
    return next(job.work.iterdir())


@pytest.mark.parametrize("file", ["trained.safetensors", "optimizer.pt", "complete.json"])
@pytest.mark.parametrize("fault", ["a flipped bit", "cut short"])
def test_a_damaged_checkpoint_of_the_work_folder_is_passed_over(trained, monkeypatch, file, fault):
    job = again(trained, f"damaged {file} {fault}")
    damaged = stopped_at_the_end(job, monkeypatch) / "checkpoint-6" / file
    if fault == "cut short":
        damaged.write_bytes(damaged.read_bytes()[:-100])
    else:
        flip(damaged)
    train_run(job)
    assert json.loads((job.checkpoint / "summary.json").read_text())["resumed_from"] == 4
    assert f"damaged ({file}); the checkpoint before it is taken" in (job.checkpoint / "finetuning.log").read_text()
    assert weights(job.checkpoint) == weights(trained.checkpoint)


@pytest.mark.parametrize(
    ("file", "told", "to_delete"),
    [
        ("tokens/labels.npy", "tokens: damaged, not what was written; delete it and run snakemake again", "tokens"),
        ("metrics.jsonl", "does not hold whole lines of the 6 steps that are done; delete .* and run snakemake", "."),
    ],
)
def test_damaged_tokens_and_metrics_stop_a_run_and_come_back_as_the_message_says(
    trained, monkeypatch, file, told, to_delete
):
    stopped = again(trained, "stopped")
    work = stopped_at_the_end(stopped, monkeypatch)
    flip(work / file)
    with pytest.raises(UserError, match=told):
        train_run(stopped)
    shutil.rmtree(work / to_delete)
    train_run(stopped)
    assert weights(stopped.checkpoint) == weights(trained.checkpoint)


def test_another_number_of_ranks_is_refused(job, monkeypatch):
    stopped = job()
    work = stopped_at_the_end(stopped, monkeypatch)
    mark = work / "checkpoint-6/complete.json"
    other = json.loads(mark.read_text().replace('"ranks": 1', '"ranks": 2'))
    mark.write_text(json.dumps({key: value for key, value in other.items() if key != "seal"}))
    with pytest.raises(UserError, match=r"ranks 2 \(now 1\).* set it back .* or delete"):
        train_run(stopped)


@pytest.mark.parametrize(
    ("method", "more", "files"),
    [
        ("qlora", {}, {"adapter_config.json", "adapter_model.safetensors", "non_lora_trainables.safetensors"}),
        ("align", {}, {"non_lora_trainables.safetensors", "config.json"}),
        ("full", {}, {"model.safetensors", "config.json", "tokenizer.json", "processor_config.json"}),
        ("full", {"train_vision": True}, {"model.safetensors"}),
        (
            "lora",
            {"lora": {"r": 2, "train_connector": False, "targets": r".*layers\.\d+\.mlp\.\w+_proj"}},
            {"adapter_config.json"},
        ),
    ],
    ids=["qlora", "align", "full", "full with vision", "adapter alone"],
)
def test_methods_train_what_they_say(job, base, method, more, files):
    done = job(method=method, max_steps=2, **more)
    train_run(done)
    written = {file.name for file in done.checkpoint.iterdir()}
    assert files <= written
    before = load_chain([base], torch.float32).model.state_dict()
    chain = [done.checkpoint] if method == "full" else [base, done.checkpoint]
    after = load_chain(chain, torch.float32).model.state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    connector = {"mining", "mm_projector"}
    vision = {"vision_tower", "vision_tower_aux"}
    wanted = {
        "align": connector,
        "full": {"model", "lm_head"} | connector | (vision if more else set()),
        "lora": {"model"},
        "qlora": {"model"} | connector,
    }[method]
    assert changed == wanted
    assert (done.checkpoint / "non_lora_trainables.safetensors").exists() == (method in ("align", "qlora"))


def test_a_step_of_text_alone_leaves_the_connector_be(job):
    """One row a step: rows without an image have no gradient for what reads images."""
    done = job("text", method="align", global_batch_size=1, max_steps=24)
    train_run(done)
    norms = [line["grad_norm"] for line in metrics(done.checkpoint)]
    assert sum(norm == 0 for norm in norms) == 4
    assert min(norm for norm in norms if norm) > 1e-3


def test_stages_chain(job, base):
    """align, then LoRA on the aligned connector, then LoRA on that."""
    stage = job("align", method="align", max_steps=2)
    train_run(stage)
    chain = [base, stage.checkpoint]
    for name in ("first", "second"):
        manifests = [Path(f"{folder}.manifest.json") for folder in chain]
        tuned = replace(job(name, max_steps=2), starts=list(chain), start_manifests=manifests)
        train_run(tuned)
        chain.append(tuned.checkpoint)
    load_chain(chain, torch.float32)


def test_rows_without_an_answer_are_refused_with_their_names(job, tmp_path):
    rows = [
        *sample_rows(8),
        {"id": "silent", "images": [picture("red")], "messages": talk("<image>\n" + "why " * 99, "x")},
    ]
    manifest = write_dataset(tmp_path / "d", rows)
    with pytest.raises(UserError, match=r"masked share: 1 of 9 rows \(11.1%\) .* \(first silent\)"):
        train_run(job(rows=manifest))
    allowed = job("allowed", rows=manifest, health={"max_masked_share": 0.2})
    train_run(allowed)
    summary = json.loads((allowed.checkpoint / "summary.json").read_text())
    assert (summary["masked_rows"], summary["rows"]) == (1, 8)


def test_an_unhealthy_run_becomes_no_checkpoint(job):
    wild = job(
        optimizer={"learning_rate": 100.0, "warmup_ratio": 0.0, "max_grad_norm": 1e9}, max_steps=40, save_steps=1
    )
    with pytest.raises(
        UserError, match="run run is not healthy: .* rows of the micro-batch with the largest loss: row-"
    ):
        train_run(wild)
    assert not wild.checkpoint.exists() and not wild.manifest.exists()
    (work,) = wild.work.iterdir()
    assert list(work.glob("checkpoint-*"))


def test_more_gpus_than_there_are_is_one_line(job):
    with pytest.raises(UserError, match="gpus: 8 are asked for, but PyTorch .* sees"):
        train_run(job(gpus=8, global_batch_size=8))


def test_workers_change_no_bit(job):
    """Nor does a parent with several threads keep its forked workers from working."""
    alone, helped = job("alone", threads=2), job("helped", threads=2, workers=2)
    for run in (alone, helped):
        train_run(run)
    assert weights(helped.checkpoint) == weights(alone.checkpoint)


def test_gradient_checkpointing_changes_no_bit(trained, job):
    other = job("checkpointed", gradient_checkpointing=True)
    train_run(other)
    assert weights(other.checkpoint) == weights(trained.checkpoint)


@pytest.mark.parametrize(
    ("method", "ranks", "zero"),
    [
        ("lora", 2, None), ("lora", 1, {"stage": 3}), ("lora", 2, {"stage": 3}), ("lora", 2, {"stage": 2}),
        ("full", 2, {"stage": 3}),
    ],
)  # fmt: skip
def test_ranks_and_zero_train_the_same(trained, holdout, method, ranks, zero, tmp_path):
    """With gloo, several ranks through torchrun; text-only rows among them, and nothing is saved empty."""
    without = {"lora": trained.settings.lora.model_copy(update={"dropout": 0.0}), "method": method, "eval_steps": 3}
    settings = trained.settings.model_copy(update=without)
    plain = replace(again(trained, "plain"), settings=settings, holdout=holdout)
    train_run(plain)
    settings = json.loads(settings.model_dump_json()) | {"zero": zero}
    other = again(trained, "other")
    started = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", "--"] if ranks > 1 else []
    arguments = {
        "--run": "run", "--settings": json.dumps(settings), "--dataset-manifest": other.dataset, "--holdout": holdout,
        "--start": other.starts[0], "--start-manifests": other.start_manifests[0], "--work": other.work,
        "--checkpoint": other.checkpoint, "--manifest": other.manifest, "--base-manifest": other.start_manifests[0],
        "--cleared": tmp_path / "cleared", "--rehearsed": tmp_path / "rehearsed.json",
        "--finished": tmp_path / "finished",
    }  # fmt: skip
    manifests = (read_manifest(path) for path in (other.dataset, other.start_manifests[0]))
    rehearsed = rehearsed_fingerprint(TrainedRunSettings.model_validate(settings), *manifests)
    write_json(tmp_path / "cleared", {"fingerprint": rehearsed, "upstream": ""})
    guarded = "import sys, runpy; import syntune.command as c; c.require_environment = lambda name: None; "
    guarded += f"sys.argv[0] = {str(SCRIPTS / 'train.py')!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
    script = tmp_path / "start.py"
    script.write_text(guarded)
    done = subprocess.run(
        [sys.executable, *started, script, *(str(word) for pair in arguments.items() for word in pair)],
        env={**os.environ, "PYTHONPATH": f"{SCRIPTS}:{os.environ.get('PYTHONPATH', '')}", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    assert losses(other.checkpoint) == pytest.approx(losses(plain.checkpoint), abs=2e-4)
    validated = [[line["loss"] for line in validation(run)["losses"]] for run in (other, plain)]
    assert len(validated[0]) == 3 and validated[0] == pytest.approx(validated[1], abs=2e-4)
    name = "adapter_model.safetensors" if method == "lora" else "model.safetensors"
    found, wanted = (load_file(run.checkpoint / name) for run in (other, plain))
    assert found.keys() == wanted.keys()
    for name, tensor in found.items():
        assert tensor.numel() and tensor.shape == wanted[name].shape
        torch.testing.assert_close(tensor, wanted[name], rtol=0, atol=2e-3)
