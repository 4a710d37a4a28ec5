"""How many optimizer steps a number of rows makes."""

from syntune.errors import UserError
from syntune.settings.runs import TrainedRunSettings


def whole_steps(rows: int, epochs: float, global_batch_size: int) -> int:
    """Steps of exactly ``global_batch_size`` rows in so many passes over a dataset.

    Raises:
        UserError: not one.
    """
    taken = int(rows * epochs)
    if taken < global_batch_size:
        raise UserError(
            f"global_batch_size: {taken} rows in {epochs:g} epochs do not fill one step of {global_batch_size}; lower "
            "it, or give more rows or epochs"
        )
    return taken // global_batch_size


def refuse_too_few_rows(run: str, settings: TrainedRunSettings, rows: int | None) -> None:
    """Check, before anything is loaded, that a dataset of so many rows fills a step of a run; None is not known.

    Raises:
        UserError: it does not.
    """
    if rows is not None and settings.max_steps is None:
        try:
            whole_steps(rows, settings.epochs, settings.global_batch_size)
        except UserError as error:
            raise UserError(f"runs.{run}.{error}") from error
