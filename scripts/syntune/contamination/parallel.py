"""Work spread over processes, its results in order."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    processes: int,
    prepare: Callable[..., None] | None = None,
    *arguments: Any,
) -> Iterator[Result]:
    """Yield ``function`` of each task; each process first calls ``prepare`` with ``arguments``.

    With one process the work is done in this one.
    """
    if processes == 1:
        if prepare:
            prepare(*arguments)
        yield from map(function, tasks)
        return
    # fork would copy the locks of Arrow's threads as they are
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=prepare, initargs=arguments) as pool:
        yield from pool.map(function, tasks)
