# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only looks: plays that change nothing and print one JSON document. An answer serves all who ask meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import Any

from .events import command_in, parts_of
from .files import locked, read_json, try_lock, write_json
from .jobs import spawn, with_job
from .operations import Operation, View
from .plays import Request
from .problems import error
from .settings import Settings

#: Plays that only look, at the same time: each takes a core.
AT_ONCE = 2
#: Seconds after which one is given up.
LONGEST_S = 300
#: Seconds that its process has to end the play: ansible-runner looks for the signal every 5 s.
ENDING_S = 15
#: Of a process's folder; what is left of a process that is gone can be locked.
LOCK = "lock"


@dataclass(frozen=True)
class Answer:
    document: Any
    at: datetime
    came: float

    @property
    def age_s(self) -> float:
        return round(time.monotonic() - self.came, 1)


def own_folder(parent: Path) -> Path:
    """A folder for this process alone, locked for as long as it lives. Those of processes that are gone are removed."""
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(parent / ".lock"):
        for folder in parent.iterdir():
            if not folder.is_dir():
                continue
            number = try_lock(folder / LOCK)
            if number is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(number)
        made = Path(tempfile.mkdtemp(prefix="process-", dir=parent))
        # Never closed: the kernel does that.
        try_lock(made / LOCK)
    return made


def end(process: Popen[bytes]) -> None:
    """End a play that only looks. Its process ends the play first, which one that is killed cannot."""
    process.terminate()
    try:
        process.wait(ENDING_S)
    except TimeoutExpired:
        process.kill()


class Views:
    """The cache, and the plays behind it."""

    def __init__(self, settings: Settings, settings_file: Path) -> None:
        self.settings = settings
        self.settings_file = settings_file
        self.directory = own_folder(settings.state_directory / "views")
        self.known: dict[tuple[str, str], Answer] = {}
        self.locks: dict[tuple[str, str], asyncio.Lock] = {}
        self.room = asyncio.Semaphore(AT_ONCE)
        # Somebody waits for a plan, while a page that is open asks for the status again and again.
        self.room_for_plans = asyncio.Semaphore(AT_ONCE)

    async def get(self, view: View, cluster: str, max_age: float) -> Answer:
        """An answer that is at most ``max_age`` seconds old."""
        key, asked = (view.name, cluster), time.monotonic()
        async with self.locks.setdefault(key, asyncio.Lock()):
            known = self.known.get(key)
            # One that was made while this request waited is new enough for anybody.
            if known and (known.age_s <= max_age or known.came >= asked):
                return known
            # What the play sees is not newer than its beginning.
            came, at = time.monotonic(), datetime.now(UTC)
            document = await self.run(view.playbook, {**view.fixed, "cluster": cluster}, cluster, last=view.last)
            answer = Answer(document, at, came)
            self.known[key] = answer
            return answer

    async def plan(self, operation: Operation, cluster: str, values: dict[str, Any]) -> Any:
        """The plan of an operation. Raises 412 where not even that can be made."""
        variables = {**operation.fixed, **values, "cluster": cluster, "plan": "json"}
        return await self.run(operation.playbook, variables, cluster, plan=True)

    async def outcome(self, playbook: str, variables: dict[str, Any], plan: bool = False) -> dict[str, Any]:
        """How a play ended, and what it printed. A plan needs no more than the scope read: it is made in check mode."""
        async with self.room_for_plans if plan else self.room:
            folder = Path(tempfile.mkdtemp(dir=self.directory))
            try:
                return await self._outcome(folder, Request(playbook, variables, "api", "", check=plan))
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    async def run(
        self, playbook: str, variables: dict[str, Any], cluster: str, plan: bool = False, last: str = ""
    ) -> Any:
        """The document that a play printed. Raises ProblemError where it failed, unless in its task ``last`` only."""
        outcome = await self.outcome(playbook, variables, plan)
        failure = outcome["failure"]
        if failure and not (last and failure["task"] == last and outcome["document"] is not None):
            holders = failure["holders"]
            found, wanted = parts_of(failure["sentence"])
            raise error(
                409 if holders else 412 if plan else 503,
                failure["sentence"],
                check=failure["task"] or playbook,
                found=found,
                wanted=wanted or failure["task"],
                command=command_in(failure["sentence"], cluster),
                **({"holder": with_job(holders[0])} if holders else {}),
            )
        if outcome["document"] is None:
            raise error(503, f"{playbook} printed no JSON document.", check=playbook, wanted="one JSON document")
        return outcome["document"]

    async def _outcome(self, folder: Path, request: Request) -> dict[str, Any]:
        write_json(folder / "request.json", request.as_dict())
        process = spawn(self.settings_file, folder)
        try:
            await asyncio.wait_for(asyncio.to_thread(process.wait), LONGEST_S)
        except asyncio.CancelledError:
            # The service ends, and would wait for the thread that waits for the play.
            await asyncio.to_thread(end, process)
            raise
        except TimeoutError:
            await asyncio.to_thread(end, process)
            raise error(
                503, f"{request.playbook} did not end within {LONGEST_S} s.", check=request.playbook, wanted="an answer"
            ) from None
        path = folder / "outcome.json"
        if not path.exists():
            said = (folder / "process.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise error(
                503, f"{request.playbook} could not be run: {said[-1]}", check=request.playbook, wanted="a play"
            )
        outcome: dict[str, Any] = read_json(path)
        return outcome
