# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The holders of operation locks, on the repository host: a process each, which dies with the play that it stands for.

A holder keeps its record file locked (``flock``), so a record whose lock is free is a dead one's, whatever it says. It
lives for as long as beats come through its pipe; a play that ended says so, one that was killed falls silent.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from .. import _names
from .._errors import RelevoError
from .operation_lock import TIME_FORMAT, Record, in_the_way, refusal, shown

#: Seconds between two beats, and seconds without one after which a holder ends: three beats may be lost.
INTERVAL = 3.0
PATIENCE = 12.0
#: What a beat says: the play goes on, or it has ended.
BEAT, END = b"b", b"e"
#: The name under which a holder is seen by ps.
TITLE = "relevo-lock"


@dataclass(frozen=True)
class Taken:
    """The lock is held: beats go to ``pipe``. ``started`` is false where this play held it already."""

    pipe: Path
    started: bool


@dataclass(frozen=True)
class Holder:
    """A process that lives, by its files."""

    path: Path
    record: Record

    @property
    def pipe(self) -> Path:
        return self.path.with_suffix(".beat")

    @property
    def last_beat(self) -> int:
        """Only to be compared with an earlier one: no clock is asked."""
        try:
            return self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0


class Holders:
    """All holders of this repository host."""

    def __init__(self, directory: Path = _names.OPERATION_LOCK_DIR, patience: float = PATIENCE) -> None:
        self.directory = directory
        self.patience = patience

    def living(self) -> list[Record]:
        """Who holds a lock now. Changes nothing but that it sweeps away what dead holders left."""
        if not self.directory.is_dir():
            return []
        with self._alone():
            return [holder.record for holder in self._living()]

    def take(self, wanted: Record, wait: float = 0, prove: bool = True) -> Taken:
        """Hold the lock for ``wanted.play`` until its beats end; what that play held before is given up.

        Waits ``wait`` seconds for those in the way, and, unless ``prove`` is false, until each has shown a sign of
        life: nobody is refused because of a play that was killed a moment ago. Raises ``RelevoError`` with the
        details ``refused`` and ``holders``.
        """
        self._make_directory()
        deadline = time.monotonic() + wait
        # A holder ends by itself after this, so only a bug or a stopped process lets this pass.
        last = time.monotonic() + max(wait, self.patience * 2)
        seen: dict[Path, int] = {}
        while True:
            with self._alone():
                living = self._living()
                records = in_the_way(wanted, [holder.record for holder in living])
                if not records:
                    return self._hold(wanted, living)
            blocking = [holder for holder in living if holder.record in records]
            beats = {holder.path: holder.last_beat for holder in blocking}
            seen = beats | seen
            alive = not prove or all(beat != seen[path] for path, beat in beats.items())
            now = time.monotonic()
            if (alive and now >= deadline) or now >= last:
                holders = [shown(record, datetime.now(UTC)) for record in records]
                raise RelevoError(refusal([holder["sentence"] for holder in holders]), refused=True, holders=holders)
            time.sleep(0.1)

    # --- files -------------------------------------------------------------------------------------------------

    def _make_directory(self) -> None:
        self.directory.parent.mkdir(mode=0o755, exist_ok=True)
        self.directory.mkdir(mode=0o711, exist_ok=True)
        # Whoever logs in reaches the pipe that he was told of, and cannot list the others.
        self.directory.chmod(0o711)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        handle = os.open(self.directory / "mutex", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _living(self) -> list[Holder]:
        found = []
        for path in sorted(self.directory.glob("*.json")):
            try:
                file = path.open()
            except FileNotFoundError:
                continue  # A holder that ends asks nobody before it removes its own.
            with file:
                if self._is_locked(file.fileno()):
                    found.append(Holder(path, Record.from_dict(json.load(file))))
                else:
                    path.with_suffix(".beat").unlink(missing_ok=True)
                    path.unlink(missing_ok=True)
        return found

    @staticmethod
    def _is_locked(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False

    def _hold(self, wanted: Record, living: list[Holder]) -> Taken:
        for own in living:
            if own.record.play == wanted.play:
                same = (own.record.operation, own.record.clusters) == (wanted.operation, wanted.clusters)
                since = own.record.since if same else _now()
                own.path.write_text(json.dumps(replace(wanted, since=since).as_dict()))
                return Taken(own.pipe, started=False)
        # Nobody else on this host may end or prolong the lock, so nobody can guess the pipe's name.
        holder = Holder(self.directory / f"{secrets.token_hex(16)}.json", replace(wanted, since=wanted.since or _now()))
        record = os.open(holder.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(record, fcntl.LOCK_EX)
        os.write(record, json.dumps(holder.record.as_dict()).encode())
        os.mkfifo(holder.pipe)
        # The login user sends the beats, without become: sudo would log each of them.
        holder.pipe.chmod(0o622)
        # Open for writing too, or it would be at its end after each beat.
        pipe = os.open(holder.pipe, os.O_RDWR | os.O_NONBLOCK)
        if os.fork() == 0:
            _live(holder, record, pipe, self.patience)
        os.close(record)
        os.close(pipe)
        return Taken(holder.pipe, started=True)


def _now() -> str:
    return datetime.now(UTC).strftime(TIME_FORMAT)


def _live(holder: Holder, record: int, pipe: int, patience: float) -> NoReturn:
    """What the holder does; it never returns into the module that started it."""
    try:
        os.setsid()
        os.chdir("/")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        detach({record, pipe})
        changed = select.poll()
        changed.register(pipe, select.POLLIN)
        while changed.poll(patience * 1000):
            if END in os.read(pipe, 4096):
                break
            os.utime(record)
        holder.pipe.unlink(missing_ok=True)
        holder.path.unlink(missing_ok=True)
    finally:
        os._exit(0)


def detach(keep: set[int]) -> None:
    """Let go of all files but these, so that nobody who waits for the end of an output waits for this process."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    for entry in list(Path("/proc/self/fd").iterdir()) if Path("/proc/self/fd").is_dir() else []:
        if int(entry.name) > 2 and int(entry.name) not in keep:
            try:
                os.close(int(entry.name))
            except OSError:
                continue  # The one that listed them.
    if Path("/proc/self/comm").exists():
        Path("/proc/self/comm").write_text(TITLE)
