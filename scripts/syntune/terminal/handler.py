"""The handler that prints what Snakemake logs: a line a job, and the end of the log of a job that failed."""

import logging
import re
import time
from typing import TextIO

from snakemake.jobs import Job
from snakemake.logging import logger
from snakemake.settings.enums import Quietness
from snakemake.shell import shell
from snakemake.workflow import Workflow
from snakemake_interface_logger_plugins.common import LogEvent

from syntune.formats import plural
from syntune.terminal.calls import this_call
from syntune.terminal.logs import ends_of, last_lines
from syntune.terminal.plan import jobs_to_run, plan_lines
from syntune.terminal.progress import Progress
from syntune.terminal.reasons import name_of, why
from syntune.terminal.screen import Screen

_NOISE = re.compile(
    "Assuming unrestricted shared filesystem|Building DAG of jobs|Using shell|Select jobs to execute|Execute |"
    "Activating conda environment|Complete log|Removing output files of failed job|Shutting down, this|"
    "Exiting because a job execution failed|"
    r"WorkflowError:\s+At least one job did not complete|Job \d+ has been submitted|SLURM run ID|Storing output|"
    "Submitted array job|Array job submission does not allow|"
    "Auto-selected partition|No SLURM account given|No account was given|Unable to guess SLURM account"
)
"""How messages begin that tell a user nothing, or what this handler tells in its own words."""

_COMMAND_FAILED = re.compile(r"returned non-zero exit status|died with <Signals")
_KILLED = re.compile(r"exit status 137|SIGKILL")
"""What is said of a command that was killed: by hand, or as the machine ran out of memory."""

_NO_SACCT = re.compile(r" Detailed failure reason unavailable.*")
_AGAIN = re.compile(r"Trying to restart job (\d+)")
_LOCKED = re.compile("Error: Directory cannot be locked")


def take_over(workflow: Workflow, logs: str) -> None:
    """Print in the place of Snakemake, unless its own text is asked for with ``--verbose`` or ``--printshellcmds``.

    What a job prints goes to its log alone, below the folder ``logs``. A dry run ends with the plan: Snakemake's walk
    through all jobs, which prints each of them, takes as long again.
    """
    settings = workflow.output_settings
    theirs = next((handler for handler in logger.handlers if handler.name == "DefaultStreamHandler"), None)
    if theirs is None or settings.verbose or settings.printshellcmds or settings.debug_dag:
        return
    ours = TerminalHandler(theirs.stream, workflow, logs)
    ours.filters, ours.formatter = theirs.filters, theirs.formatter
    logger.removeHandler(theirs)
    logger.addHandler(ours)
    if settings.dryrun:
        settings.quiet = {Quietness.RULES, Quietness.PROGRESS}
    else:
        shell.prefix("set -euo pipefail; exec > /dev/null; ")


class TerminalHandler(logging.Handler):
    """Prints what a user wants to know of a run; on a terminal, with a last line that says how far it is."""

    def __init__(self, stream: TextIO, workflow: Workflow, logs: str):
        super().__init__()
        self._workflow, self._logs = workflow, logs
        self._screen = Screen(stream, self._status, self.lock)
        self._jobs: dict[int, Job] = {}
        self._reasons: dict[int, str] = {}
        self._failed: set[int] = set()
        self._is_interrupted = False
        self._progress = Progress({})

    def emit(self, record: logging.LogRecord) -> None:
        """Print what a record says to a user, if anything; what is not known here is printed as Snakemake would."""
        try:
            match getattr(record, "event", None):
                case LogEvent.RUN_INFO:
                    lines = self._planned()
                case LogEvent.JOB_INFO:
                    lines = self._started(record.jobid)
                case LogEvent.JOB_FINISHED:
                    lines = self._finished(record.job_id)
                case LogEvent.JOB_ERROR:
                    lines = self._broke(record)
                case None | LogEvent.ERROR | LogEvent.GROUP_ERROR:
                    lines = self._message(record)
                case _:
                    lines = []
            if lines:
                self._screen.say(lines)
        except Exception:
            self.handleError(record)

    def _planned(self) -> list[str]:
        """What will run is known."""
        dag = self._workflow.dag
        if self._workflow.dryrun:
            return plan_lines(dag)
        self._jobs = {job.jobid: job for job in jobs_to_run(dag)}
        self._reasons = {number: why(job, dag) for number, job in self._jobs.items()}
        self._progress = Progress(self._jobs)
        self._screen.start()
        return [f"{plural(len(self._jobs), 'job')} to run; what each one prints is in {self._logs}"]

    def _started(self, number: int) -> list[str]:
        if number not in self._jobs:
            return []
        self._progress.start(number)
        return [f"{time.strftime('%H:%M:%S')}  {name_of(self._jobs[number])}  ({self._reasons[number]})"]

    def _finished(self, number: int) -> list[str]:
        if number not in self._jobs:
            return []
        self._progress.finish(number)
        return []

    def _broke(self, record: logging.LogRecord) -> list[str]:
        """A job failed, or was ended by the user."""
        number = record.jobid
        since = self._progress.stop(number)
        if self._is_interrupted:
            return []
        self._failed.add(number)
        said = [f"  {_NO_SACCT.sub('', record.rule_msg)}"] if record.rule_msg else []
        name = name_of(self._jobs[number]) if number in self._jobs else record.rule_name
        return [f"{time.strftime('%H:%M:%S')}  FAILED: {name}", *said, *ends_of(record.log, since)]

    def _message(self, record: logging.LogRecord) -> list[str]:
        """A line that belongs to no job."""
        text = self.format(record).strip()
        if text.startswith("Elapsed time"):
            return self._ended()
        if self._workflow.dryrun and _LOCKED.match(text):
            return ["another snakemake is at work here, or left its lock; this is the plan of what is there now"]
        if again := _AGAIN.match(text):
            self._failed.discard(int(again[1]))
            return ["  it is tried again"]
        if text.startswith("Terminating processes on user request"):
            self._is_interrupted = True
            return [f"stopping the jobs that run. {self._to_go_on()}"]
        if _COMMAND_FAILED.search(text) and not self._is_interrupted:  # the rest is said of the job
            return ["  a command was killed; is the memory full?"] if _KILLED.search(text) else []
        is_told = self._is_interrupted and getattr(record, "event", None) == LogEvent.ERROR
        return [] if is_told or _NOISE.match(text) else text.splitlines()

    def _ended(self) -> list[str]:
        """How a run ended, and how to go on."""
        self._screen.stop()
        done, total = self._progress.done, self._progress.total
        if done == total:
            return [f"{plural(done, 'job')} done in {self._progress.elapsed()}"]
        failed = [name_of(self._jobs[number]) for number in sorted(self._failed) if number in self._jobs]
        what = f"failed: {', '.join(failed)}" if failed else "stopped"
        return [f"{what}; {done} of {total} jobs are done and kept. {self._to_go_on()}"]

    @staticmethod
    def _to_go_on() -> str:
        return f"To go on: {this_call()}"

    def _status(self) -> str:
        """How far the run is and what the job that started last says last."""
        if not self._progress.running:
            return self._progress.words()
        number, since = list(self._progress.running.items())[-1]
        job = self._jobs[number]
        said = last_lines(job.log[0], since, 1) if job.log else []
        return " | ".join([self._progress.words(), ": ".join([name_of(job), *said])])
