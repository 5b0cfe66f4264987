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
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any, Literal

from pydantic import BaseModel

from . import audit, events
from .files import append_line, locked, read_json, try_lock, write_json
from .operations import Operation
from .plays import Request
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


def problem_of(job: Job, failure: dict[str, Any], admitted: bool) -> Problem:
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
            command=f"curl http://127.0.0.1:8088/v1/jobs/{holder['job']}" if holder.get("job") else command,
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

    # --- beginning one -----------------------------------------------------------------------------------------------

    def begin(
        self, operation: Operation, cluster: str, values: dict[str, Any], who: str, address: str, key: str = ""
    ) -> Job:
        """Start an operation. The same ``key`` of the same asker gives the job that it has started before.

        Raises Busy, and ProblemError for a key that was used for something else.
        """
        if not key:
            return self._start(operation, cluster, values, who, address)
        name = hashlib.sha256(f"{who}\0{key}".encode()).hexdigest()
        asked = {"operation": operation.name, "cluster": cluster, "variables": values}
        with locked(self.keys / f"{name}.lock"):
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
            job = self._start(operation, cluster, values, who, address)
            write_json(note, {"job": job.id, "asked": asked})
            return job

    def _start(self, operation: Operation, cluster: str, values: dict[str, Any], who: str, address: str) -> Job:
        created = datetime.now(UTC)
        job = Job(
            id=f"{created:%Y%m%dT%H%M%S}{created.microsecond // 1000:03d}-{secrets.token_hex(4)}",
            operation=operation.name,
            playbook=operation.playbook,
            cluster=cluster,
            variables=values,
            requested_by=who,
            address=address,
            created=created.isoformat(timespec="seconds"),
        )
        held = self._claim(operation, cluster, job.id)
        try:
            folder = self.directory / job.id
            folder.mkdir(mode=0o700)
            # Before there is a job that somebody could take for a dead one.
            alive = try_lock(folder / "alive")
            assert alive is not None
            kept = {"id", "operation", "playbook", "cluster", "variables", "requested_by", "address", "created"}
            write_json(folder / "job.json", job.model_dump(include=kept))
            request = Request(
                operation.playbook, {**operation.fixed, **values, "cluster": cluster}, who or "api", f"API job {job.id}"
            )
            write_json(folder / "request.json", request.as_dict())
            spawn(self.settings_file, folder, held, alive)
            os.close(alive)
        finally:
            # The process has them now, and they are free when it has ended.
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
                for one in held:
                    os.close(one)
                raise Busy(self.find(path.read_text(encoding="utf-8").strip()))
            os.ftruncate(number, 0)
            os.pwrite(number, job.encode(), 0)
            held.append(number)
        return held

    # --- looking -----------------------------------------------------------------------------------------------------

    def find(self, name: str) -> Job | None:
        """A job as it is now; one whose process has died is noted as cut off."""
        folder = self.directory / name
        if not ID.fullmatch(name) or not (folder / "job.json").exists():
            return None
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
            return with_outcome(job, read_json(outcome))
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

    def all(self) -> Iterator[Job]:
        for name in self.names():
            if job := self.find(name):
                yield job

    def events_after(self, name: str, last: int) -> list[dict[str, Any]]:
        path = self.directory / name / "events.jsonl"
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
        # They count from 1, one a line; the last line may be half written.
        return [json.loads(line) for line in lines[last:] if line.endswith("}")]

    def log(self, name: str) -> str:
        """What the play printed, as at a terminal."""
        path = self.directory / name / "log.txt"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def prune(self) -> None:
        """Remove the oldest that have ended; a key is forgotten with its job."""
        for name in self.names()[self.settings.keep_jobs :]:
            if (self.directory / name / "outcome.json").exists():
                shutil.rmtree(self.directory / name)
        for note in self.keys.glob("*.json"):
            if not (self.directory / read_json(note)["job"]).exists():
                note.unlink()


def with_outcome(job: Job, outcome: dict[str, Any]) -> Job:
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
        return job
    job.state = "succeeded" if outcome["succeeded"] else "failed"
    job.report = outcome["text"]
    if outcome["failure"]:
        job.problem = problem_of(job, outcome["failure"], job.admitted)
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
    append_line(folder / "process.log", f"process {process.pid}")
    return process
