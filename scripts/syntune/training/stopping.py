"""A training that is told that its time is up: it saves after the step that it is in, and leaves."""

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from syntune.training.notice import Notice


class Stopped(Exception):
    """A training left before its end; its message says when, and what told it to."""


class StopOnNotice(TrainerCallback):
    """Saves and stops after the step in which a notice came to any rank; before the first, if it came by then."""

    def __init__(self, notice: Notice) -> None:
        """``notice`` is this rank's."""
        self.notice = notice
        self.stopped_after: int | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Leave if a notice came while the model was loaded: all ranks together, as nothing is to be saved."""
        if self._came_to_any(args):
            raise Stopped(f"was stopped by {self._told()} before its step {state.global_step + 1} of {state.max_steps}")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Have all ranks save and stop together, unless the run is at its end anyway."""
        if self._came_to_any(args) and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
            self.stopped_after = state.global_step

    def leave_if_stopped(self, steps: int) -> None:
        """Once Trainer is done: raise :class:`Stopped` if it was not at the last of so many ``steps``."""
        if self.stopped_after is not None:
            raise Stopped(f"was stopped by {self._told()} after step {self.stopped_after} of {steps}, and saved")

    def _came_to_any(self, args: TrainingArguments) -> bool:
        if args.world_size == 1:
            return self.notice.signal is not None
        came = torch.tensor(float(self.notice.signal is not None), device=args.device)
        torch.distributed.all_reduce(came, torch.distributed.ReduceOp.MAX)
        return bool(came)

    def _told(self) -> str:
        return self.notice.signal.name if self.notice.signal else "a notice to another rank"


def stop_on_notice(trainer: Trainer, notice: Notice) -> StopOnNotice:
    """Have a trainer, before it has other callbacks that take long, stop on a notice."""
    stopping = StopOnNotice(notice)
    trainer.add_callback(stopping)
    return stopping
