"""How far a run is, and about how long the rest takes."""

import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import mean

from snakemake.jobs import Job


class Progress:
    """The jobs of a run: those that wait, run and are done.

    A job is expected to take what it took last time, by its timing, or what others of its rule took.
    """

    def __init__(self, jobs: Mapping[int, Job]):
        self._rules: dict[int, str] = {}
        self._last: dict[int, float] = {}
        self._took: defaultdict[str, list[float]] = defaultdict(list)
        self._start = time.time()
        self._busy = 0.0
        self.running: dict[int, float] = {}
        """When each job that runs started, in seconds since 1970; the newest is the last."""
        for number, job in jobs.items():
            self._rules[number] = job.rule.name
            if seconds := _timed(job):
                self._last[number] = seconds
                self._took[job.rule.name].append(seconds)
        self.total, self.done = len(self._rules), 0

    def start(self, number: int) -> None:
        """A job starts, or is submitted."""
        if number in self._rules:
            self.running[number] = time.time()

    def stop(self, number: int) -> float:
        """A job ends, done or not; returns when it started, or 0."""
        started = self.running.pop(number, 0.0)
        self._busy += time.time() - started if started else 0
        return started

    def finish(self, number: int) -> None:
        """A job is done."""
        if started := self.stop(number):
            self._took[self._rules.pop(number)].append(time.time() - started)
            self.done += 1

    def words(self) -> str:
        """How many jobs are done and how long the others take; without the rules of which nobody knows."""
        left = self._seconds_left()
        return f"{self.done} of {self.total} jobs done" + (f", {left}" if left else "")

    def elapsed(self) -> str:
        """How long the run has taken."""
        return roughly(time.time() - self._start)

    def _seconds_left(self) -> str:
        now = time.time()
        rules = {rule: mean(times) for rule, times in self._took.items() if times}
        known = {number: self._last.get(number, rules[rule]) for number, rule in self._rules.items() if rule in rules}
        ran = {number: now - started for number, started in self.running.items()}
        seconds = sum(max(expected - ran.get(number, 0), 0) for number, expected in known.items())
        at_once = max((self._busy + sum(ran.values())) / max(now - self._start, 1), 1)
        if not seconds:
            return ""
        outrun = any(taken > known.get(number, taken) for number, taken in ran.items())  # nobody knows by how much
        sure = len(known) == len(self._rules) and not outrun
        return f"{'about' if sure else 'at least'} {roughly(seconds / at_once)} left"


def roughly(seconds: float) -> str:
    """Seconds, rounded as an estimate is: ``40 s``, ``8 min``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _timed(job: Job) -> float:
    """The seconds that a job took last time, by its benchmark file; 0 if it has none."""
    try:
        return float(Path(job.benchmark).read_text().splitlines()[1].split("\t")[0])
    except (TypeError, OSError, IndexError, ValueError):
        return 0.0
