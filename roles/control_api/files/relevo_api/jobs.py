# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: operations that run, have run, or were cut off. One directory each; what it holds is the whole truth.

``job.json`` is written once, when the job begins. The rest is written by the process of the play (``play_process``),
which also keeps the file ``alive`` locked: the kernel knows whether it lives, whoever asks and whenever.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any, Literal

from pydantic import BaseModel

from . import audit, events
from .files import locked, read_json, try_lock, write_json
from .operations import Operation, is_for_emergencies
from .plays import AWX_JOB, Request
from .problems import Problem, error, problem
from .settings import Settings

State = Literal["running", "succeeded", "failed", "interrupted"]
#: Names in the order of their beginning, to the millisecond.
ID = re.compile(r"\d{8}T\d{9}-[0-9a-f]{8}")
API_JOB = re.compile(r"\(API job (\S+?)\)")
SOURCE = Path(__file__).resolve().parents[1]


class Job(BaseModel):
    """A job as clients see it."""

    id: str
    operation: str
    playbook: str
    cluster: str
    variables: dict[str, Any]
    requested_by: str
    address: str
    created: str
    state: State = "running"
    admitted: bool = False
    backend: str = ""
    ended: str | None = None
    report: str = ""
    problem: Problem | None = None
    found: dict[str, Any] | None = None

    @property
    def href(self) -> str:
        return f"/v1/jobs/{self.id}"


class Busy(Exception):
    """Another job of this service has what a new one needs."""

    def __init__(self, job: Job | None) -> None:
        super().__init__("busy")
        self.job = job


def problem_of(job: Job, failure: dict[str, Any], admitted: bool, url: str = "http://127.0.0.1:8088") -> Problem:
    """A play's failure: 409 where others hold the lock, 412 where a check refused it, 500 where its work failed."""
    sentence, task, holders = failure["sentence"], failure["task"], failure["holders"]
    command = events.command_in(sentence, job.cluster)
    if holders:
        holder = with_job(holders[0])
        return problem(
            409,
            sentence,
            check="operation-lock",
            found=holder.get("sentence", sentence),
            wanted=f"nobody else who works on the cluster {job.cluster}",
            command=f"curl {url}/v1/jobs/{holder['job']}" if holder.get("job") else command,
            holder=holder,
            job=job.id,
        )
    found, wanted = events.parts_of(sentence)
    return problem(
        500 if admitted else 412,
        sentence,
        check=task or job.playbook,
        found=found,
        wanted=wanted or task,
        command=command,
        job=job.id,
    )


def with_job(holder: dict[str, Any]) -> dict[str, Any]:
    """A holder of the operation lock with the number of the job of this API, where it is one."""
    found = API_JOB.search(str(holder.get("requested_by", "")))
    names = ("operation", "requested_by", "since", "job", "sentence")
    kept: dict[str, Any] = {name: holder[name] for name in names if name in holder}
    return {**kept, "job": found[1]} if found else kept


class Jobs:
    """All jobs of the state directory, of this and of every other process of the service."""

    def __init__(self, settings: Settings, settings_file: Path) -> None:
        self.settings = settings
        self.settings_file = settings_file
        self.directory = settings.state_directory / "jobs"
        self.claims = settings.state_directory / "claims"
        self.keys = settings.state_directory / "keys"
        for folder in (self.directory, self.claims, self.keys):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._ended: dict[str, tuple[tuple[int, int], Job]] = {}

    # --- beginning one -----------------------------------------------------------------------------------------------

    def begin(
        self, operation: Operation, cluster: str, values: dict[str, Any], who: str, address: str, key: str = ""
    ) -> Job:
        """Start an operation. The same ``key`` of the same asker gives the job that it has started before.

        Raises Busy, and ProblemError for a key that was used for something else.
        """
        if not key:
            return self._start(operation, self._new(operation, cluster, values, who, address))
        name = hashlib.sha256(f"{who}\0{key}".encode()).hexdigest()
        asked = {"operation": operation.name, "cluster": cluster, "variables": values}
        # One for all keys: nobody may remove a lock that another waits for, and a beginning takes milliseconds.
        with locked(self.keys / "lock"):
            note = self.keys / f"{name}.json"
            known = read_json(note) if note.exists() else None
            if known and known["asked"] != asked:
                raise error(
                    422,
                    f"The Idempotency-Key was used for the job {known['job']}, which was asked for something else.",
                    check="idempotency-key",
                    wanted="a new key for a new operation",
                )
            if known and (job := self.find(known["job"])):
                return job
            job = self._new(operation, cluster, values, who, address)
            return self._start(operation, job, lambda: write_json(note, {"job": job.id, "asked": asked}))

    def _new(self, operation: Operation, cluster: str, values: dict[str, Any], who: str, address: str) -> Job:
        created = datetime.now(UTC)
        return Job(
            id=f"{created:%Y%m%dT%H%M%S}{created.microsecond // 1000:03d}-{secrets.token_hex(4)}",
            operation=operation.name,
            playbook=operation.playbook,
            cluster=cluster,
            variables=values,
            requested_by=who,
            address=address,
            created=created.isoformat(timespec="seconds"),
        )

    def _start(self, operation: Operation, job: Job, before: Callable[[], None] = lambda: None) -> Job:
        """``before``: what has to be on the disk before the play begins, so that nobody begins it twice."""
        held = self._claim(operation, job.cluster, job.id)
        try:
            folder = self.directory / job.id
            folder.mkdir(mode=0o700)
            # Before there is a job that somebody could take for a dead one.
            alive = try_lock(folder / "alive")
            assert alive is not None
            held.append(alive)
            kept = {"id", "operation", "playbook", "cluster", "variables", "requested_by", "address", "created"}
            write_json(folder / "job.json", job.model_dump(include=kept))
            variables = {**operation.fixed, **job.variables, "cluster": job.cluster}
            request = Request(operation.playbook, variables, job.requested_by or "api", f"API job {job.id}")
            write_json(folder / "request.json", request.as_dict())
            before()
            spawn(self.settings_file, folder, held[:-1], alive)
        finally:
            # The process has them now, and they are free when it has ended; where there is none, they are free now.
            for number in held:
                os.close(number)
        self.prune()
        return job

    def _claim(self, operation: Operation, cluster: str, job: str) -> list[int]:
        held: list[int] = []
        for claim in operation.claims:
            path = self.claims / f"{cluster}.{claim}"
            number = try_lock(path)
            if number is None:
                holder = self.find(path.read_text(encoding="utf-8").strip())
                if operation.emergency and holder and not is_for_emergencies(holder.operation):
                    continue
                for one in held:
                    os.close(one)
                raise Busy(holder)
            os.ftruncate(number, 0)
            os.pwrite(number, job.encode(), 0)
            held.append(number)
        return held

    # --- looking -----------------------------------------------------------------------------------------------------

    def find(self, name: str) -> Job | None:
        """A job as it is now; one whose process has died is noted as cut off."""
        folder = self.directory / name
        if not ID.fullmatch(name):
            return None
        outcome = folder / "outcome.json"
        version = version_of(outcome)
        known = self._ended.get(name)
        if known and known[0] == version:
            return known[1]
        if not (folder / "job.json").exists():
            self._ended.pop(name, None)
            return None
        job = self._read(folder)
        # An outcome changes only by what the cluster said of it, and that is another version of the file.
        if version and job.state != "running":
            self._ended[name] = (version, job)
        return job

    def _read(self, folder: Path) -> Job:
        job = Job(**read_json(folder / "job.json"))
        state = folder / "state.json"
        if state.exists():
            known = read_json(state)
            job.admitted, job.backend = known["admitted"], known["backend"]
        outcome = folder / "outcome.json"
        # It may end between the two questions, so the first is asked again.
        if not outcome.exists() and not self._lives(folder) and not outcome.exists():
            self._note_interruption(job, folder)
        if outcome.exists():
            return with_outcome(job, read_json(outcome), self.settings.url)
        return job

    def _lives(self, folder: Path) -> bool:
        number = try_lock(folder / "alive")
        if number is None:
            return True
        os.close(number)
        return False

    def _note_interruption(self, job: Job, folder: Path) -> None:
        with locked(folder / ".interruption"):
            if (folder / "outcome.json").exists():
                return
            admitted = (folder / "state.json").exists() and read_json(folder / "state.json")["admitted"]
            write_json(folder / "outcome.json", {"interrupted": True, "admitted": admitted, "ended": events.now()})
        audit.note(
            self.settings.audit_file,
            who=job.requested_by,
            address=job.address,
            what=job.operation,
            cluster=job.cluster,
            job=job.id,
            result="interrupted",
        )

    def note_found(self, name: str, found: dict[str, Any]) -> None:
        """What the cluster said after a job was cut off."""
        path = self.directory / name / "outcome.json"
        write_json(path, {**read_json(path), "found": found})

    def names(self) -> list[str]:
        """The newest first."""
        return sorted((path.name for path in self.directory.iterdir() if ID.fullmatch(path.name)), reverse=True)

    def page(self, limit: int, offset: int, cluster: str = "", state: State | None = None) -> tuple[int, list[Job]]:
        """How many jobs there are of that kind, and ``limit`` of them after ``offset``; the newest first."""
        if not cluster and state is None:
            names = [name for name in self.names() if (self.directory / name / "job.json").exists()]
            asked = (self.find(name) for name in names[offset : offset + limit])
            return len(names), [job for job in asked if job]
        found = [one for one in self.all() if cluster in ("", one.cluster) and state in (None, one.state)]
        return len(found), found[offset : offset + limit]

    def all(self) -> Iterator[Job]:
        for name in self.names():
            if job := self.find(name):
                yield job

    def events_after(self, name: str, last: int) -> list[dict[str, Any]]:
        path = self.directory / name / "events.jsonl"
        if not path.exists():
            return []
        # They count from 1, one a line, and a text may hold what splitlines would split at. The last one may be half
        # written, in the middle of a character even.
        lines = path.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines[last:]]

    def log(self, name: str) -> str:
        """What the play printed, as at a terminal."""
        path = self.directory / name / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def prune(self) -> None:
        """Remove the oldest that have ended; a key is forgotten with its job.

        Another process of the service may do the same at the same time, and what could not be removed is there the
        next time: it is no reason to call a job failed that has begun.
        """
        for name in self.names()[self.settings.keep_jobs :]:
            folder = self.directory / name
            if (folder / "outcome.json").exists() or not (folder / "job.json").exists():
                shutil.rmtree(folder, ignore_errors=True)
                self._ended.pop(name, None)
        # Those of versions that had one for each key.
        for old in self.keys.glob("*.lock"):
            old.unlink(missing_ok=True)
        for note in self.keys.glob("*.json"):
            try:
                gone = not (self.directory / read_json(note)["job"]).exists()
            except FileNotFoundError:
                continue
            if gone:
                note.unlink(missing_ok=True)


def version_of(path: Path) -> tuple[int, int] | None:
    """Tells one content of a file from another: each is a file of its own (``write_json``)."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return state.st_mtime_ns, state.st_ino


def with_outcome(job: Job, outcome: dict[str, Any], url: str) -> Job:
    job.ended, job.admitted = outcome["ended"], bool(outcome.get("admitted"))
    if outcome.get("interrupted"):
        job.state, job.found = "interrupted", outcome.get("found")
        job.problem = problem(
            500,
            "The job was cut off before it ended: its process is gone. Run the same operation again; it finishes what "
            "it finds unfinished.",
            check="job",
            wanted="a process that lives to the end of its play",
            command=f"ansible-playbook playbooks/{job.playbook} -e cluster={job.cluster}",
            job=job.id,
        )
        if job.backend.startswith(AWX_JOB) and not job.found:
            # Only who followed it is gone.
            job.problem.wanted = f"the end of {job.backend}, which may still run: see AWX before anything else is run"
            job.problem.detail = f"{job.backend} may still run. {job.problem.detail}"
        return job
    job.state = "succeeded" if outcome["succeeded"] else "failed"
    job.report = outcome["text"]
    if outcome["failure"]:
        job.problem = problem_of(job, outcome["failure"], job.admitted, url)
    return job


def spawn(settings_file: Path, folder: Path, claims: Sequence[int] = (), alive: int | None = None) -> Popen[bytes]:
    """Start the process of a play: a session of its own, with the locks that it holds for as long as it lives.

    It gives ``claims`` back when its play has ended, and ``alive`` when that is written down.
    """
    held = [*claims, *([] if alive is None else [alive])]
    with (folder / "process.log").open("ab") as log:
        process = Popen(
            [sys.executable, "-m", "relevo_api.play_process", str(settings_file), str(folder), *map(str, claims)],
            cwd=SOURCE,
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=held,
            start_new_session=True,
        )
        # The play runs: a full disk is no reason to say that it does not.
        with suppress(OSError):
            os.write(log.fileno(), f"process {process.pid}\n".encode())
    return process
