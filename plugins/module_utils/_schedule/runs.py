# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the runs of a schedule: one small file per job, which status.yml and the metrics are made from.

Whether a run goes on is asked of the kernel: its process keeps a file locked. So a run that was killed, or cut off with
its machine, is never taken for one that goes on.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from .._durable import replace_file
from .._tables import format_duration

State = Literal["running", "succeeded", "failed"]
RECORD, LOCK = "run.json", "running"
#: How long a sentence may be that a notification carries.
LONGEST = 2000


@dataclass(frozen=True)
class Run:
    """The last run of a job. Times are ISO 8601 in UTC, empty where there is none; ``code`` is the play's exit status.

    ``invocation``: systemd's name of the run. ``failures``: how many runs in a row have failed, this one included.
    ``untold``: why the notify command could not tell of it.
    """

    name: str
    unit: str
    cluster: str = ""
    playbook: str = ""
    invocation: str = ""
    started: str = ""
    ended: str = ""
    state: State = "running"
    code: int | None = None
    sentence: str = ""
    failures: int = 0
    untold: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Run:
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in given.items() if name in known})

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def seconds(self) -> float:
        """How long it took; 0 where that is not known."""
        if not self.started or not self.ended:
            return 0.0
        return (datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.started)).total_seconds()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def read(directory: Path) -> Run | None:
    """The last run of the job that has this directory; None where there was none, or its record cannot be read."""
    try:
        return Run.of(json.loads((directory / RECORD).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write(directory: Path, run: Run) -> None:
    # Whoever runs status.yml reads it.
    replace_file(directory / RECORD, json.dumps(run.as_dict(), indent=2) + "\n", 0o644, None)


def lock(directory: Path) -> int | None:
    """Be the one run of this job, for as long as the process lives; None when another is."""
    handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    os.fchmod(handle, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def goes_on(directory: Path) -> bool:
    try:
        with (directory / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def runs_of(schedule: Path) -> list[Run] | None:
    """The last run of each job, by name; None where this machine has no schedule."""
    jobs = schedule / "jobs"
    if not jobs.is_dir():
        return None
    found = []
    for directory in sorted(jobs.iterdir()):
        run = read(directory)
        if run is not None:
            found.append(run if run.state != "running" or goes_on(directory) else cut_off(run))
    return found


def cut_off(run: Run) -> Run:
    """A run that says that it goes on, and does not. One whose play has ended is judged by that."""
    if run.code is not None:
        return judge(run, run.invocation, "exit-code", 0, now())
    sentence = "It did not end by itself: it was killed, or its machine went down."
    return replace(run, state="failed", sentence=sentence, failures=run.failures + 1)


# --- what became of it -----------------------------------------------------------------------------------------------


def sentence_in(lines: Iterable[str]) -> str:
    """Why a play failed, from what it printed: its last ``[ERROR]``, without the words of Ansible before it."""
    found: list[str] = []
    reading = False
    for line in lines:
        if line.startswith("[ERROR]: "):
            found, reading = [line.removeprefix("[ERROR]: ")], True
        elif reading and line.strip() and not line.startswith(("Origin: ", "<<<", "Task failed: ")):
            found.append(line)
        else:
            reading = False
    text = " ".join(" ".join(found).split())
    for words in ("Task failed: ", "Action failed: ", "Module failed: "):
        text = text.removeprefix(words)
    return text[:LONGEST]


def judge(run: Run, invocation: str, service_result: str, limit: int, at: str) -> Run:
    """The run as it ended. ``service_result`` is systemd's ``$SERVICE_RESULT``; ``limit`` is seconds."""
    if run.invocation != invocation:
        # Nothing was noted of this one.
        run = replace(run, started=at, code=None, invocation=invocation, sentence="")
        unknown = f"It could not begin ({service_result})."
    elif service_result == "timeout":
        unknown = f"It was ended because it took longer than its time limit, {format_duration(limit)}."
    else:
        # To systemd a run that somebody stops and one that is killed are alike: "signal".
        unknown = f"It was stopped or killed ({service_result})."
    if run.code == 0:
        return replace(run, ended=at, state="succeeded", sentence="", failures=0, untold="")
    said = run.sentence or f"Its play ended with {run.code}."
    return replace(
        run,
        ended=at,
        state="failed",
        sentence=unknown if run.code is None else said,
        failures=run.failures + 1,
        untold="",
    )


def message(run: Run, machine: str, failed_before: int) -> str:
    """What the notify command is told, in one line; empty where there is nothing to tell."""
    what = f"{run.name} of cluster {run.cluster}" if run.cluster else run.name
    if run.state == "failed":
        again = f" ({run.failures} times in a row)" if run.failures > 1 else ""
        return (
            f"relevo: the scheduled {what} failed on {machine} at {run.ended}{again}. {run.sentence} "
            f"journalctl -u {run.unit} shows all of it."
        )
    if failed_before:
        return f"relevo: the scheduled {what} works again on {machine} since {run.ended}."
    return ""


def report(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The metrics, in the shape of the reports of catalog_check.yml."""
    reports = []
    for run in (one for one in runs if one.ended):
        labels = {"name": run.name}
        values = {
            "relevo_scheduled_run_failed": float(run.state == "failed"),
            "relevo_scheduled_run_timestamp_seconds": datetime.fromisoformat(run.ended).timestamp(),
            "relevo_scheduled_run_duration_seconds": run.seconds,
        }
        metrics = [{"name": name, "value": value, "labels": labels} for name, value in values.items()]
        reports.append({"cluster": run.cluster, "metrics": metrics})
    return reports
