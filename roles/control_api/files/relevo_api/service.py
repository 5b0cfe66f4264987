# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the routes share: one object for each process of the service."""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import Request

from . import audit
from .access import Access, Caller
from .events import command_in
from .jobs import Busy, Job, Jobs
from .nodes import Watcher
from .operations import CHECK, STATUS, Operation, served
from .plays import AWX_JOB, ENDED, AwxBackend
from .problems import ProblemError, error
from .settings import Awx, Cluster, Settings
from .tokens import Tokens
from .views import Answer, Views

POLL_S = 0.1


class Service:
    """Tokens, jobs, views and the watcher, over one state directory."""

    def __init__(self, settings: Settings, settings_file: Path) -> None:
        self.settings = settings
        self.tokens = Tokens(settings.tokens_file)
        self.access = Access(settings, self.tokens, settings_file)
        self.jobs = Jobs(settings, settings_file)
        self.views = Views(settings, settings_file)
        self.watcher = Watcher(settings.watcher, settings.fresh_s)
        self.operations = served(settings.playbooks)
        self.backup_metrics = ""
        self._asking: set[asyncio.Task[None]] = set()

    # --- who asks ----------------------------------------------------------------------------------------------------

    def needs(self, scope: str) -> Callable[[Request], Awaitable[Caller]]:
        """A dependency of a route."""

        async def caller(request: Request) -> Caller:
            return self.access.require(request, scope)

        return caller

    # --- what is asked about -----------------------------------------------------------------------------------------

    def cluster(self, name: str) -> Cluster:
        """The cluster of that name, or 404."""
        if found := self.settings.find_cluster(name):
            return found
        names = ", ".join(one.name for one in self.settings.clusters)
        raise error(404, f"There is no cluster {name}. There are: {names}.", check="cluster", found=name, wanted=names)

    def only_cluster(self, name: str) -> Cluster:
        """The cluster of that name; where none is named, the one that there is. Raises 400 where there are several."""
        if name:
            return self.cluster(name)
        if len(self.settings.clusters) == 1:
            return self.settings.clusters[0]
        names = ", ".join(one.name for one in self.settings.clusters)
        raise error(
            400,
            f"There are several clusters, and nobody guesses which one is meant: {names}.",
            check="cluster",
            wanted="?cluster=NAME",
        )

    async def status(self, cluster: str, max_age: float) -> Answer:
        """What status.yml says, from after the end of the last job."""
        ended = [job.ended for job in await asyncio.to_thread(self.recent, cluster) if job.ended]
        answer = self.views.known.get((STATUS.name, cluster))
        changed = bool(answer and ended and max(ended) > answer.at.isoformat())
        return await self.views.get(STATUS, cluster, -1 if changed else max_age)

    def recent(self, cluster: str, most: int = 5) -> list[Job]:
        found: list[Job] = []
        for job in self.jobs.all():
            if job.cluster == cluster:
                found.append(job)
            if len(found) == most:
                break
        return found

    # --- changing something ------------------------------------------------------------------------------------------

    async def begin(self, operation: Operation, cluster: str, values: dict[str, Any], caller: Caller, key: str) -> Job:
        """Start an operation, and wait until its play has passed its checks and the cluster's lock.

        Raises ProblemError where another operation is under way, or a check refused it before anything was touched.
        """
        try:
            job = await asyncio.to_thread(self.jobs.begin, operation, cluster, values, caller.name, caller.address, key)
        except Busy as busy:
            raise self._refused(operation, cluster, caller, busy.job) from None
        except ProblemError as failure:
            self._audit(operation, cluster, caller, failure.problem.detail)
            raise
        deadline = time.monotonic() + self.settings.admission_s
        while job.state == "running" and not job.admitted and time.monotonic() < deadline:
            await asyncio.sleep(POLL_S)
            job = self._again(job)
        if job.problem and job.problem.status in (409, 412):
            raise ProblemError(job.problem, {"Location": job.href})
        return job

    async def wait(self, job: Job) -> Job:
        """Wait until a job has ended."""
        while job.state == "running":
            await asyncio.sleep(POLL_S)
            job = self._again(job)
        return job

    def _again(self, job: Job) -> Job:
        found = self.jobs.find(job.id)
        assert found is not None
        return found

    def _refused(self, operation: Operation, cluster: str, caller: Caller, holder: Job | None) -> ProblemError:
        sentence = "Another operation of this service is under way."
        shown: dict[str, Any] = {}
        if holder:
            sentence = (
                f"{holder.playbook} by {holder.requested_by} has been working on cluster {cluster} since "
                f"{holder.created} (job {holder.id})."
            )
            shown = {
                "operation": holder.operation,
                "requested_by": holder.requested_by,
                "since": holder.created,
                "job": holder.id,
                "sentence": sentence,
            }
        self._audit(operation, cluster, caller, sentence)
        return error(
            409,
            f"{sentence} Nothing was changed. Wait until it has ended, then ask again.",
            check="operation",
            found=sentence,
            wanted=f"nobody else who works on the cluster {cluster}",
            command=f"curl {self.settings.url}{holder.href}" if holder else command_in("", cluster),
            holder=shown,
        )

    def _audit(self, operation: Operation, cluster: str, caller: Caller, sentence: str) -> None:
        audit.note(
            self.settings.audit_file,
            who=caller.name,
            address=caller.address,
            what=operation.name,
            cluster=cluster,
            result="refused",
            sentence=sentence,
        )

    # --- what became of jobs that were cut off -----------------------------------------------------------------------

    def ask_about(self, job: Job) -> None:
        """Ask the cluster, in the background, what became of a job whose process is gone."""
        if job.state != "interrupted" or job.found or any(task.get_name() == job.id for task in self._asking):
            return
        task = asyncio.create_task(self._ask(job), name=job.id)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, job: Job) -> None:
        if await asyncio.to_thread(self._goes_on, job):
            # Asked again with the next request for the job.
            return
        try:
            status = (await self.views.get(STATUS, job.cluster, 0)).document
        except ProblemError as failure:
            # Asked again with the next request for the job.
            self.jobs.note_found(job.id, {})
            print(f"job {job.id}: {failure.problem.detail}", flush=True)
            return
        self.jobs.note_found(job.id, after_interruption(status))

    def _goes_on(self, job: Job) -> bool:
        """Whether AWX still runs what only nobody follows any more."""
        backend = self.settings.backend
        if not isinstance(backend, Awx) or not job.backend.startswith(AWX_JOB):
            return False
        state = AwxBackend(backend).state(job.backend)
        return bool(state) and state not in ENDED

    async def check_backups(self) -> None:
        """What catalog_check.yml measures, again and again: it is metrics of ours, too."""
        while (self.settings.playbooks / CHECK.playbook).exists():
            try:
                # It ends with an error where something is past its limit, after it has printed all.
                said = (await self.views.outcome(CHECK.playbook, CHECK.fixed))["text"]
                # It says itself when it looked: who cannot look serves what was seen last, so that alerts can tell.
                self.backup_metrics = said or self.backup_metrics
            except ProblemError as failure:
                print(f"{CHECK.playbook}: {failure.problem.detail}", file=sys.stderr, flush=True)
            except Exception:  # noqa: BLE001
                # Nobody waits for this task, and a full disk must not end it for good.
                print(f"{CHECK.playbook}: {traceback.format_exc()}", file=sys.stderr, flush=True)
            await asyncio.sleep(self.settings.check_s)

    async def look_back(self) -> None:
        """At the start: every job that was cut off meanwhile."""
        for job in await asyncio.to_thread(lambda: list(self.jobs.all())):
            self.ask_about(job)


def after_interruption(status: dict[str, Any]) -> dict[str, Any]:
    """The part of a cluster's status that says what became of an operation, with a sentence."""
    names = ("at", "primary", "primaries", "healthy", "problems", "operations")
    found = {name: status.get(name) for name in names}
    working = [one.get("sentence", "") for one in status.get("operations") or []]
    who = f"{status['primary']} is primary" if status.get("primary") else "nobody is primary"
    health = "nothing is wrong" if status.get("healthy") else "something is wrong, see problems"
    still = f" {working[0]}." if working else ""
    return {**found, "sentence": f"Asked after the job was cut off: {who}, and {health}.{still}"}
