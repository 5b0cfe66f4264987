# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that systemd starts for a scheduled job, and the one that it starts when that has ended.

``run DIRECTORY`` runs the playbook; what it prints goes to the journal. ``ended DIRECTORY``, the unit's ExecStopPost,
comes after every run, also after one that was killed: it writes down what became of it, writes the metrics, and
tells the notify command. The directory is the job's, with its ``job.json``.
"""

from __future__ import annotations

import collections
import fcntl
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.operation_lock_holder import TITLE
from ansible_collections.relevo.postgres.plugins.module_utils._durable import replace_file
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._schedule import runs
from ansible_collections.relevo.postgres.plugins.module_utils._schedule.jobs import Task
from ansible_collections.relevo.postgres.plugins.module_utils._wait import wait_until
from ansible_collections.relevo.postgres.plugins.plugin_utils import _metrics

#: Lines of a play that are kept to find its last error in.
KEPT_LINES = 400
NOTIFY_TIMEOUT = 60
#: The keeper of the operation lock gives it back when the play has ended: systemd would kill it before.
KEEPER_TIMEOUT = 15


def task_of(directory: Path) -> Task:
    return Task(**json.loads((directory / "job.json").read_text()))


def run(directory: Path) -> int:
    """Run the playbook, and return its exit status; 75 where the job runs already."""
    task = task_of(directory)
    handle = runs.lock(directory)
    if handle is None:
        before = runs.read(directory)
        since = f" since {before.started}" if before else ""
        print(f"The scheduled {task.name} runs already{since}. Nothing was changed.", flush=True)
        return 75
    try:
        return _run(directory, task)
    finally:
        os.close(handle)


def _run(directory: Path, task: Task) -> int:
    before = runs.read(directory)
    failures = before.failures if before else 0
    begun = runs.Run(
        task.name,
        task.unit,
        task.cluster,
        task.playbook,
        os.environ.get("INVOCATION_ID", ""),
        runs.now(),
        failures=failures,
    )
    runs.write(directory, begun)
    code, sentence = play(task)
    runs.write(directory, replace(begun, code=code, sentence=sentence))
    let_the_lock_go()
    return code


def play(task: Task) -> tuple[int, str]:
    """Run the play and pass on what it prints; returns its exit status and why it failed."""
    kept: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
    with subprocess.Popen(
        list(task.command),
        cwd=task.directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            kept.append(line.rstrip("\n"))
    return process.returncode, runs.sentence_in(kept) if process.returncode else ""


def let_the_lock_go() -> None:
    """Wait until no keeper of the operation lock is left among the processes of this unit."""
    try:
        wait_until(lambda: not keepers(), "the operation lock to be given back", KEEPER_TIMEOUT)
    except RelevoError as error:
        print(f"{error.message} It is free a few seconds after this.", flush=True)


def keepers() -> list[int]:
    """The processes of this control group that keep an operation lock."""
    own = Path("/proc/self/cgroup").read_text().strip().rpartition(":")[2]
    try:
        members = Path(f"/sys/fs/cgroup{own}/cgroup.procs").read_text().split()
    except OSError:
        return []  # cgroups of the first version; then the lock is free a few seconds later.
    return [int(number) for number in members if _title(number) == TITLE]


def _title(number: str) -> str:
    try:
        return Path(f"/proc/{number}/comm").read_text().strip()
    except OSError:
        return ""


def ended(directory: Path) -> int:
    """Note what became of the run, count it, and tell of it."""
    task, machine = task_of(directory), platform.node()
    if runs.goes_on(directory):
        return 0  # This one was refused, since another goes on: the record is that one's.
    before = runs.read(directory) or runs.Run(task.name, task.unit, task.cluster, task.playbook)
    judged = runs.judge(
        before,
        os.environ.get("INVOCATION_ID", ""),
        os.environ.get("SERVICE_RESULT", "success"),
        task.time_limit,
        runs.now(),
    )
    runs.write(directory, judged)
    write_metrics(directory.parent.parent, Path(task.metrics))
    told = runs.message(judged, machine, before.failures)
    if not told:
        return 0
    print(told, flush=True)
    if task.notify and (untold := notify(task.notify, told, judged)):
        print(untold, flush=True)
        runs.write(directory, replace(judged, untold=untold))
    return 0


def write_metrics(schedule: Path, path: Path) -> None:
    if _metrics.IMPORT_ERROR is not None:
        print(f"{path} was not written: the Python library prometheus-client is missing.", flush=True)
        return
    # Two jobs may end at once.
    with (path.parent / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        replace_file(path, _metrics.text_of(runs.report(runs.runs_of(schedule) or [])), 0o644, None)


def notify(command: Sequence[str], text: str, run: runs.Run) -> str:
    """Give the sentence to the user's command on its standard input; returns why it was not told, or nothing.

    No shell is between: what a play said is never read as a command.
    """
    environment = {"RELEVO_JOB": run.name, "RELEVO_CLUSTER": run.cluster, "RELEVO_STATE": run.state}
    try:
        done = subprocess.run(
            list(command),
            input=text + "\n",
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=NOTIFY_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"Nobody was told: the notify command did not end within {NOTIFY_TIMEOUT} s."
    except OSError as error:
        return f"Nobody was told: the notify command could not be started ({error.strerror})."
    if done.returncode == 0:
        return ""
    said = " ".join(f"{done.stdout} {done.stderr}".split())[:300]
    return f"Nobody was told: the notify command ended with {done.returncode} ({said or 'without a word'})."


def main(arguments: Sequence[str]) -> int:
    entries: dict[str, Any] = {"run": run, "ended": ended}
    if len(arguments) != 2 or arguments[0] not in entries:
        print("usage: run|ended DIRECTORY", file=sys.stderr)
        return 64
    return int(entries[arguments[0]](Path(arguments[1])))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
