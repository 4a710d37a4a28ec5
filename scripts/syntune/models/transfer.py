"""Tensors on the GPU, on their way there, and in autocast's precision."""

import torch


def is_half_on_gpu(tensor: torch.Tensor) -> bool:
    """Whether Triton's kernels are for it; in float32 their products would be rounded to TF32."""
    return tensor.is_cuda and tensor.dtype in (torch.bfloat16, torch.float16)


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on ``device``; from the CPU to a GPU without waiting for what the GPU still has to do."""
    if tensor.device.type == "cpu" and device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def autocast_dtype(tensor: torch.Tensor) -> torch.dtype:
    """What autocast makes of a tensor where it is on, else the tensor's own."""
    device = tensor.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tensor.dtype
