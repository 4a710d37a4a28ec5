"""A notice that a training's time is up: it saves after the step that it is in, and leaves.

SIGTERM is what systems send, and SIGURG what the SLURM profile asks for some minutes before a job's time limit. All
processes of a job get it, and only those that ask for SIGURG take note: the shell and Snakemake around a training live
on. Of several ranks only SIGURG is taken: SIGTERM ends those that wait in vain for a rank that failed.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class Stopped(Exception):
    """A training left before its end, with a checkpoint in its work folder."""


class Notice(TrainerCallback):
    """Saves and stops after the step in which a notice came to any rank."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.stopped_after: int | None = None

    def come(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal."""
        self.signal = signal.Signals(number)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Have all ranks save and stop together, unless the run is at its end anyway."""
        if self._came_to_any(args) and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
            self.stopped_after = state.global_step

    def _came_to_any(self, args: TrainingArguments) -> bool:
        if args.world_size == 1:
            return self.signal is not None
        came = torch.tensor(float(self.signal is not None), device=args.device)
        torch.distributed.all_reduce(came, torch.distributed.ReduceOp.MAX)
        return bool(came)


@contextmanager
def noticed(trainer: Trainer) -> Iterator[None]:
    """Within it, a notice ends the training.

    Raises:
        Stopped: one came before the last step.
    """
    notice = Notice()
    trainer.add_callback(notice)
    signals = [signal.SIGURG]
    if trainer.args.world_size == 1:
        signals.append(signal.SIGTERM)
    before = {number: signal.signal(number, notice.come) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if notice.stopped_after is not None:
        told = notice.signal.name if notice.signal else "a notice to another rank"
        raise Stopped(
            f"was stopped by {told} after step {notice.stopped_after} of {trainer.state.max_steps}, and saved"
        )
