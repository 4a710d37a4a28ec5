import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from syntune.errors import UserError
from syntune.training.zero import refuse_empty_tensors, unpartitioned, zero_config

WORKER = Path(__file__).with_name("zero_worker.py")
needs_deepspeed = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not in this environment"
)


def numbers(value):
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers(part)]
    return [value] if isinstance(value, int | float) else []


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(("stage", "offload"), [(0, False), (2, False), (2, True), (3, False), (3, True)])
def test_the_configuration_is_json_of_whole_numbers(stage, offload, ranks):
    config = zero_config(stage, offload, ranks)
    assert json.loads(json.dumps(config)) == config
    assert all(isinstance(number, int) for number in numbers(config))
    zero = config["zero_optimization"]
    assert ("offload_optimizer" in zero) == offload
    assert (zero.get("stage3_param_persistence_threshold") == 10**12) == (stage == 3 and ranks == 1 and not offload)


@pytest.mark.parametrize(("stage", "offload", "says"), [(1, False, "stage 1"), (0, True, "nothing to offload")])
def test_what_makes_no_sense_is_refused(stage, offload, says):
    with pytest.raises(UserError, match=says):
        zero_config(stage, offload)


def test_an_empty_tensor_in_a_saved_adapter_is_named(tmp_path):
    path = tmp_path / "adapter_model.safetensors"
    save_file({"whole": torch.ones(2)}, path)
    refuse_empty_tensors(path)
    save_file({"whole": torch.ones(2), "layers.0.lora_A": torch.empty(0)}, path)
    with pytest.raises(RuntimeError, match="1 tensors are empty, first layers.0.lora_A"):
        refuse_empty_tensors(path)


def test_an_unpartitioned_part_works_unseen_and_is_put_back():
    tower = torch.nn.Linear(2, 2)
    model = torch.nn.ModuleDict({"tower": tower, "head": torch.nn.Linear(2, 1)})
    names = [name for name, _ in model.named_parameters()]
    with unpartitioned(model, [tower], torch.device("cpu")):
        assert [name for name, _ in model.named_parameters()] == ["head.weight", "head.bias"]
        model["tower"].register_forward_hook(lambda *_: pytest.fail("hooked"))
        assert torch.equal(model["tower"](torch.ones(2)), tower(torch.ones(2)))
        assert model["tower"].weight is tower.weight
        assert not model.eval()["tower"].training and not tower.training
    assert [name for name, _ in model.named_parameters()] == names and model["tower"] is tower


def run(tmp_path, stage, offload, ranks, broken=""):
    """Losses, gradient norms and trained tensors of a short run of a tiny model; stage None is without DeepSpeed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output = tmp_path / f"{stage}-{offload}-{ranks}"
    shared = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks), "OMP_NUM_THREADS": "1",
        "DS_ACCELERATOR": "cpu", "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    workers = [
        subprocess.Popen(
            [sys.executable, WORKER, str(stage), str(int(offload)), output, broken],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(ranks)
    ]  # fmt: skip
    try:
        for worker in reversed(workers):
            said, _ = worker.communicate(timeout=90)
            assert worker.returncode == 0, said[-4000:]
    finally:
        for worker in workers:
            worker.kill()
    return torch.load(output, weights_only=True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(tmp_path_factory.mktemp("plain"), None, False, 1)


@needs_deepspeed
@pytest.mark.parametrize(
    ("stage", "offload", "ranks"),
    [(0, False, 1), (2, False, 2), (2, True, 1), (3, False, 1), (3, True, 1), (3, False, 2)],
)
def test_a_stage_trains_as_without_deepspeed_and_saves_whole_tensors(tmp_path, plain, stage, offload, ranks):
    found = run(tmp_path, stage, offload, ranks)
    assert found["losses"] == pytest.approx(plain["losses"], abs=1e-5)
    assert found["norms"] == pytest.approx(plain["norms"], rel=1e-4)
    assert found["trained"].keys() == plain["trained"].keys()
    for name, tensor in found["trained"].items():
        torch.testing.assert_close(tensor, plain["trained"][name], rtol=1e-4, atol=1e-5)


@needs_deepspeed
def test_an_error_on_one_rank_does_not_wait_for_the_others(tmp_path):
    with pytest.raises(AssertionError, match="a broken row"):
        run(tmp_path, 3, False, 2, "broken")
