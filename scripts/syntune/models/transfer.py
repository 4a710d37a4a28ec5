"""Tensors on their way to the GPU."""

import torch


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on ``device``; from the CPU to a GPU without waiting for what the GPU still has to do."""
    if tensor.device.type == "cpu" and device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
