# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process on the controller that keeps an operation lock for as long as a play lives.

Ansible runs each task in a process that ends with it, so this one leaves its task, and watches the process of the play.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Protocol

from ansible import constants

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.operation_lock_holder import INTERVAL, detach
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

#: Seconds that one beat may take: over a network that is gone a connection waits for minutes.
BEAT_TIMEOUT = 10


def play_name() -> str:
    """What names this run of ansible-playbook in the records of the lock."""
    return f"{platform.node()}/{Path(constants.DEFAULT_LOCAL_TMP).name}"


def play_process() -> int:
    """The number of the process of ansible-playbook, which is in the name of its directory.

    A task is a child of that process. But once somebody has killed it the child's parent is the first process of all,
    and a lock that is bound to that one is never given back.
    """
    # The last eight characters are those of tempfile, digits among them.
    found = re.fullmatch(r"ansible-local-(\d+).{8}", Path(constants.DEFAULT_LOCAL_TMP).name)
    return int(found[1]) if found else os.getppid()


class UnreachableError(RelevoError):
    """The repository host does not answer."""


class LockLostError(Exception):
    """The holder on the repository host is gone."""


class Link(Protocol):
    """How the keeper reaches the repository host."""

    def take(self) -> dict[str, Any]:
        """Take the lock, or take it again. Raises ``RelevoError``."""

    def beat(self, pipe: str) -> None:
        """Raises ``LockLostError``, or ``UnreachableError``."""

    def end(self, pipe: str) -> None:
        """Give the lock back."""


class PlayProcess:
    """The process of ansible-playbook."""

    def __init__(self, number: int) -> None:
        self.number = number
        # Of Linux; elsewhere the number is looked at.
        self.handle: int | None = os.pidfd_open(number) if hasattr(os, "pidfd_open") else None

    def ended(self, timeout: float) -> bool:
        """Wait for its end, at most this long."""
        if self.handle is not None:
            poll = select.poll()
            poll.register(self.handle, select.POLLIN)
            return bool(poll.poll(timeout * 1000))
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                os.kill(self.number, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.2)
        return False


class Note:
    """What the keeper lets the play's tasks know: a file that it keeps locked for as long as it lives."""

    def __init__(self, path: Path) -> None:
        """A keeper that comes later takes the place of the one before."""
        self.path = path
        new = path.with_name(f"{path.name}.{os.getpid()}")
        self.handle = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        fcntl.flock(self.handle, fcntl.LOCK_EX)
        self.say("")
        new.replace(path)

    def say(self, lost: str) -> None:
        os.ftruncate(self.handle, 0)
        os.pwrite(self.handle, json.dumps({"lost": lost}).encode(), 0)

    def replaced(self) -> bool:
        try:
            return self.path.stat().st_ino != os.fstat(self.handle).st_ino
        except FileNotFoundError:
            return False  # Ansible has removed its directory: the play is at its end.


def kept(path: Path) -> str | None:
    """Why the play no longer has its lock; empty while it has it, None when it never took one."""
    try:
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return str(json.load(file)["lost"])
    except FileNotFoundError:
        return None
    return "the process on the controller that kept it was killed"


def keep(play: PlayProcess, link: Link, note: Note, pipe: str, interval: float = INTERVAL) -> None:
    """Send beats until the play has ended, then give the lock back. One that was lost is taken again if it is free."""
    while not play.ended(interval):
        if note.replaced():
            return
        try:
            with_deadline(link.beat, pipe)
        except LockLostError:
            try:
                pipe = str(link.take()["pipe"])
            except UnreachableError:
                continue
            except RelevoError as error:
                note.say(lost_to(error))
                # The play's tasks look at the note, so it stays until the play has ended.
                while not play.ended(interval):
                    continue
                return
        except (UnreachableError, TimeoutError):
            continue  # The holder has patience; it may be reached again before that ends.
    with_deadline(link.end, pipe)


def lost_to(error: RelevoError) -> str:
    """Who has the lock by now, or why it cannot be taken again; without a full stop."""
    sentences = [str(holder["sentence"]) for holder in error.details.get("holders", [])]
    return ". ".join(sentences) or error.message.rstrip(".")


def with_deadline(work: Callable[[str], None], pipe: str, seconds: int = BEAT_TIMEOUT) -> None:
    """Raise TimeoutError in the midst of ``work``; only in a process's main thread."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(seconds)
    try:
        work(pipe)
    finally:
        signal.alarm(0)


def start(work: Callable[[Callable[[dict[str, Any]], None]], None], keep_open: set[int]) -> dict[str, Any]:
    """Run ``work`` in a process that outlives this task, and return what it reports (the argument's argument).

    The connection to the repository host is made in that process and used there only.
    """
    answer, report_to = os.pipe()
    child = os.fork()
    if child == 0:
        _run(work, report_to, keep_open)
    os.close(report_to)
    with os.fdopen(answer, "rb") as stream:
        text = stream.read()
    os.waitpid(child, 0)
    if not text:
        raise RelevoError("The process that keeps the operation lock ended before it held it. Nothing was changed.")
    answered: dict[str, Any] = json.loads(text)
    return answered


def _run(work: Callable[[Callable[[dict[str, Any]], None]], None], report_to: int, keep_open: set[int]) -> NoReturn:
    """Never returns: what stands above it on the stack belongs to the task."""
    try:
        if os.fork():
            os._exit(0)
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        detach(keep_open | {report_to})

        def report(answered: dict[str, Any]) -> None:
            with os.fdopen(report_to, "wb") as stream:
                stream.write(json.dumps(answered).encode())

        work(report)
    finally:
        os._exit(0)
