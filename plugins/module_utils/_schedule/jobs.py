# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of a schedule: what runs when, and what cannot be meant. Pure.

A job runs one playbook. Its own file tells the process that systemd starts all that it needs, so that no variable is in
a unit, in the list of processes or in the journal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .._errors import RelevoError

#: They take no operation lock, and so need not wait for it.
LOOKS_ONLY = frozenset({"catalog.yml", "catalog_check.yml", "fence_test.yml", "status.yml"})
#: Of a job in ``schedule_more_jobs``: its fields, and which of them it must have.
FIELDS = ("name", "playbook", "calendar", "cluster", "variables", "time_limit", "random_delay")
REQUIRED = ("name", "playbook", "calendar")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


@dataclass(frozen=True)
class Job:
    """One job. ``calendar`` is systemd's (``*-*-* 02:30:00``) without a time zone; times are seconds.

    ``cluster`` empty means all of the inventory; ``playbook`` is one of ours by its name, or a path.
    """

    name: str
    playbook: str
    calendar: Sequence[str]
    cluster: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    time_limit: int = 43200
    random_delay: int = 300

    @property
    def what(self) -> str:
        """As sentences name it: ``backup of cluster main``."""
        return f"{self.name} of cluster {self.cluster}" if self.cluster else self.name


@dataclass(frozen=True)
class Task:
    """What the process that systemd starts is told: a job, made concrete."""

    name: str
    unit: str
    cluster: str
    playbook: str
    command: Sequence[str]
    directory: str
    time_limit: int
    notify: Sequence[str] = ()
    metrics: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def jobs_of(given: Mapping[str, Any], clusters: Sequence[str]) -> list[Job]:
    """The jobs that the variables of the role ask for. Raises RelevoError where one cannot be meant.

    ``given``: ``cluster``, the calendars ``backup``, ``check`` and ``drill`` (empty: no such job), ``more_jobs``,
    ``time_limit`` and ``random_delay``. ``clusters``: all of the inventory.
    """
    common: dict[str, Any] = {"time_limit": int(given["time_limit"]), "random_delay": int(given["random_delay"])}
    cluster = str(given["cluster"])
    if cluster and cluster not in clusters:
        raise RelevoError(
            f"There is no cluster {cluster} in the inventory: it has {', '.join(clusters)}. Nothing was changed."
        )
    jobs = []
    for name, playbook in (("backup", "backup.yml"), ("check", "catalog_check.yml")):
        if given[name]:
            jobs.append(Job(name, playbook, _calendars(name, given[name]), cluster, **common))
    if given["drill"]:
        # A drill tries a backup of one cluster: with several there is a job for each.
        chosen = [cluster] if cluster or len(clusters) == 1 else list(clusters)
        for one in chosen:
            name = "drill" if len(chosen) == 1 else f"drill-{one}"
            jobs.append(Job(name, "drill.yml", _calendars(name, given["drill"]), one, **common))
    jobs += [_job({**common, "cluster": cluster, **more}, more) for more in given["more_jobs"]]
    for job in jobs:
        if fault := fault_of(job, clusters):
            raise RelevoError(f"{fault} Nothing was changed.")
    names = [job.name for job in jobs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RelevoError(f"Two jobs have the name {twice[0]}. Give each its own. Nothing was changed.")
    if not jobs:
        raise RelevoError(
            "No job is left: every calendar is empty. -e schedule_state=absent removes a schedule. Nothing was changed."
        )
    return jobs


def _calendars(name: str, given: Any) -> list[str]:
    found = [given] if isinstance(given, str) else list(given)
    if not all(isinstance(one, str) for one in found):
        raise RelevoError(f"The calendar of the job {name} is neither a text nor a list of texts. Nothing was changed.")
    return [one.strip() for one in found]


def _job(whole: Mapping[str, Any], given: Mapping[str, Any]) -> Job:
    name = given.get("name", "without a name")
    if missing := [key for key in REQUIRED if not given.get(key)]:
        raise RelevoError(f"The job {name} in schedule_more_jobs lacks {' and '.join(missing)}. Nothing was changed.")
    if unknown := sorted(set(given) - set(FIELDS)):
        raise RelevoError(
            f"The job {name} in schedule_more_jobs has {', '.join(unknown)}, which no job has: it takes "
            f"{', '.join(FIELDS)}. Nothing was changed."
        )
    return Job(
        str(name),
        str(whole["playbook"]),
        _calendars(str(name), whole["calendar"]),
        str(whole["cluster"]),
        dict(whole.get("variables") or {}),
        int(whole["time_limit"]),
        int(whole["random_delay"]),
    )


def fault_of(job: Job, clusters: Sequence[str]) -> str:
    """Why a job cannot be meant; empty when it can."""
    if not NAME.fullmatch(job.name):
        return f"The name {job.name!r} of a job is not one: use a-z, 0-9, - and _, as it becomes the name of a unit."
    if job.cluster and job.cluster not in clusters:
        return f"The job {job.name} names the cluster {job.cluster}, and the inventory has {', '.join(clusters)}."
    if not job.playbook.startswith("/") and not re.fullmatch(r"[a-z_]+\.yml", job.playbook):
        return f"The playbook {job.playbook} of the job {job.name} is neither a name such as backup.yml nor a path."
    if any(not one or not one.isprintable() for one in job.calendar):
        return f"A calendar of the job {job.name} is empty or not one line."
    if job.time_limit < 60:
        return f"The time limit of the job {job.name} is {job.time_limit} s. Give at least 60 s."
    if job.random_delay < 0:
        return f"The random delay of the job {job.name} is {job.random_delay} s. Give 0 or more."
    return ""


def missing_playbooks(jobs: Sequence[Job], playbooks: str, exists: Callable[[str], bool]) -> list[str]:
    """The playbooks of jobs that are not there."""
    return [path for path in (playbook_path(job, playbooks) for job in jobs) if not exists(path)]


def playbook_path(job: Job, playbooks: str) -> str:
    return job.playbook if job.playbook.startswith("/") else f"{playbooks}/{job.playbook}"


def variables_of(job: Job, wait: int) -> dict[str, Any]:
    """What the job gives its playbook as extra variables."""
    cluster = {"cluster": job.cluster} if job.cluster else {}
    waits = {} if job.playbook in LOOKS_ONLY else {"wait_for_lock": wait}
    return {**waits, **cluster, **job.variables}
