"""DeepSpeed ZeRO: its configuration, what it must be told of the model, its engine's wrappers, and tensors gathered."""

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DeepSpeedEngineWrapper
from safetensors import safe_open
from torch import nn

from syntune.errors import UserError
from syntune.settings.methods import METHODS

_EVERYTHING = 10**12
"""More parameters than any model has."""

_FLUSHES = ("_flush_coalesced_reduction_zero12", "_flush_coalesced_reduction_zero3")
"""The engine's methods that reduce what was accumulated."""

_BUCKET = 2**25
"""Elements that are reduced or gathered at a time: 64 MiB in bfloat16."""


def zero_config(stage: int, offload: bool = False, ranks: int = 1) -> dict[str, Any]:
    """DeepSpeed's configuration for the Trainer (``TrainingArguments.deepspeed``).

    "auto" stands where the Trainer fills in its own arguments. All else is explicit, and whole numbers where DeepSpeed
    refuses fractions, so that no size is derived from the model's config.

    On one GPU, ZeRO-3 has nothing to partition: parameters stay where they are after their first use instead of being
    released and gathered for every layer.

    Args:
        stage: 0 partitions nothing, 2 the optimizer's state and the gradients, 3 the parameters too.
        offload: keep the optimizer's state (and with stage 3 the parameters) in the computer's memory.
        ranks: GPUs.

    Raises:
        UserError: the stage is unknown, or has nothing to offload.
    """
    if stage not in (0, 2, 3):
        raise UserError(f"zero: stage {stage} is not one of 0, 2, 3")
    if offload and stage == 0:
        raise UserError("zero: stage 0 has nothing to offload; take stage 2 or 3, or offload: false")
    zero: dict[str, Any] = {"stage": stage}
    if stage:
        zero |= {
            "overlap_comm": ranks > 1,
            "contiguous_gradients": True,
            "reduce_bucket_size": _BUCKET,
            "allgather_bucket_size": _BUCKET,
        }
    if stage == 3:
        resident = ranks == 1 and not offload
        zero |= {
            "reduce_scatter": not resident,
            "stage3_prefetch_bucket_size": _BUCKET,
            "stage3_param_persistence_threshold": _EVERYTHING if resident else 10**5,
            "stage3_max_live_parameters": _EVERYTHING if resident else 10**9,
            "stage3_max_reuse_distance": _EVERYTHING if resident else 10**9,
            "stage3_gather_16bit_weights_on_model_save": True,
        }
    if offload:
        where = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
        zero |= {"offload_optimizer": where} | ({"offload_param": where} if stage == 3 else {})
    return {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "bf16": {"enabled": "auto"},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,  # PyTorch's own AdamW
        "zero_force_ds_cpu_optimizer": False,  # DeepSpeed's would be compiled on the spot
        "steps_per_print": _EVERYTHING,
    }


def prepare_deepspeed() -> None:
    """Call before DeepSpeed starts.

    A process that no launcher started is told that it is alone: DeepSpeed would look for MPI. On a CPU it is kept from
    compiling collectives, for minutes, that gloo has.
    """
    import deepspeed

    if "RANK" not in os.environ:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        alone = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in alone.items()})
    if deepspeed.get_accelerator().device_name() == "cpu":
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def mark_leaf_modules(model: nn.Module) -> None:
    """Call before DeepSpeed wraps the model: a layer's parameters are gathered together, as the layer begins.

    ``_no_split_modules`` names the layers. It saves a gathering for each small linear, and lets a fused layer read the
    parameters of its children (:mod:`syntune.training.gemma`).
    """
    from deepspeed.utils import set_z3_leaf_modules

    names = {name for module in model.modules() for name in getattr(module, "_no_split_modules", None) or ()}
    if classes := {type(module) for module in model.modules() if type(module).__name__ in names}:
        set_z3_leaf_modules(model, list(classes))


@contextmanager
def unpartitioned(model: nn.Module, modules: Iterable[nn.Module], device: torch.device) -> Iterator[None]:
    """Within it, DeepSpeed may wrap and train the model, and doesn't see these modules of it, which go to ``device``.

    To partition a vision tower would save a GiB, and gather it for each micro-batch. One that DeepSpeed doesn't know
    runs without its hooks, in place, and as often as a rank likes.
    """
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if any(child is module for module in modules)
    ]
    for parent, name, child in places:
        parent._modules[name] = _Unseen(child.to(device))
    try:
        yield
    finally:
        for parent, name, child in places:
            parent._modules[name] = child


class _Unseen(nn.Module):
    """Stands for a module that is called and asked for attributes, but doesn't have its parameters."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.__dict__["module"] = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["module"], name)

    def train(self, mode: bool = True) -> "_Unseen":
        """As the module."""
        self.module.train(mode)
        return super().train(mode)

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        """The module's output; the hooks that DeepSpeed gives this one are not run."""
        return self.module(*inputs, **kwargs)


def engine_wrapper(stage: int, method: str) -> type[DeepSpeedEngineWrapper]:
    """What drives the engine: accelerate's way to DeepSpeed, or a better one for this stage and method."""
    if stage == 0:
        return GradNormEngineWrapper
    return DeepSpeedEngineWrapper if METHODS[method].writes == "model" else SingleReductionEngineWrapper


class GradNormEngineWrapper(DeepSpeedEngineWrapper):
    """Accelerate's way to DeepSpeed, for stage 0, where DeepSpeed may tell no gradient norm."""

    def __init__(self, engine: Any) -> None:
        super().__init__(engine)
        self.trained = _trained_parameters(engine)
        self._norm: float | None = None

    def backward(self, loss: torch.Tensor, sync_gradients: bool = True, **kwargs: Any) -> None:
        """Accumulate a micro-batch's gradients; after the last (``sync_gradients``), update the parameters."""
        self.engine.set_gradient_accumulation_boundary(is_boundary=sync_gradients)
        self.engine.backward(loss, **kwargs)
        if sync_gradients:
            gradients = [parameter.grad for parameter in self.trained if parameter.grad is not None]
            self._norm = nn.utils.get_total_norm(gradients).item()
            self.engine.step()

    def get_global_grad_norm(self) -> float | None:
        """The norm of the last step's gradients, before they were clipped."""
        told = super().get_global_grad_norm()
        return self._norm if told is None else told


class SingleReductionEngineWrapper(DeepSpeedEngineWrapper):
    """Accelerate's way to DeepSpeed, but a step's gradients are reduced once, not after every micro-batch.

    Until then each rank keeps the gradients of all trained parameters: little for adapters, more than ZeRO would for a
    whole model. DeepSpeed waits for the GPU each time that it reduces them.
    """

    def __init__(self, engine: Any) -> None:
        super().__init__(engine)
        self.trained = _trained_parameters(engine)
        self._step: ExitStack | None = None

    def backward(self, loss: torch.Tensor, sync_gradients: bool = True, **kwargs: Any) -> None:
        """Accumulate a micro-batch's gradients; after the last (``sync_gradients``), update the parameters."""
        if self._step is None:
            self._step = ExitStack()
            self._step.enter_context(self.engine.coalesce_grad_reduction())
            self._flush_nothing()
        self.engine.backward(loss, **kwargs)
        if sync_gradients:
            for parameter in self.trained:
                if parameter.grad is None:  # of a step of text alone: DeepSpeed would take the last step's again
                    shape = getattr(parameter, "ds_shape", parameter.shape)
                    parameter.grad = torch.zeros(shape, dtype=parameter.dtype, device=parameter.device)
            for name in _FLUSHES:
                delattr(self.engine, name)
            self._step.close()
            self._step = None
            self.engine.set_gradient_accumulation_boundary(True)
            self.engine.step()

    def _flush_nothing(self) -> None:
        """Should an error end the step: DeepSpeed would wait for the other ranks, and they for this one."""
        for name in _FLUSHES:
            setattr(self.engine, name, lambda optimizer: None)


def _trained_parameters(engine: Any) -> list[nn.Parameter]:
    """The parameters that an engine trains."""
    return [parameter for parameter in engine.module.parameters() if parameter.requires_grad]


def trained_tensors(model: nn.Module, frozen_too: bool = False) -> dict[str, torch.Tensor]:
    """The trained parameters by name, gathered and on the CPU, under any stage. Every rank must call it."""
    wanted = {name: weight for name, weight in model.named_parameters() if weight.requires_grad or frozen_too}
    with _gathered(list(wanted.values())):
        return {name: parameter.detach().cpu().clone() for name, parameter in wanted.items()}


def refuse_empty_tensors(path: Path) -> None:
    """Check a safetensors file, reading no tensor.

    Raises:
        RuntimeError: a tensor has no elements: it was saved without gathering its partitions.
    """
    with safe_open(path, "pt") as file:
        empty = [name for name in file.keys() if 0 in file.get_slice(name).get_shape()]  # noqa: SIM118
    if empty:
        raise RuntimeError(f"{path}: {len(empty)} tensors are empty, first {empty[0]}: they were saved ungathered")


def _gathered(parameters: list[nn.Parameter]) -> AbstractContextManager:
    """Within it, parameters that ZeRO-3 has partitioned are gathered."""
    if not any(hasattr(parameter, "ds_id") for parameter in parameters):
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(parameters)
