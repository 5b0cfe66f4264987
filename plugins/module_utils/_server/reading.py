# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a service of a node has read its files since they were written.

pgBackRest's TLS server and Redis cannot be asked for it, as PostgreSQL can. What a service was told by a signal is kept
as the time of an empty file below /run, which does not outlive the processes of a machine. Which process it is, its
manager knows: a machine may run others of that name, for somebody else or in containers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import _names
from .._errors import RelevoError
from .marker import start_time
from .service import SERVICE_DIR

PROC = Path("/proc")
#: There where systemd manages the machine.
SYSTEMD = Path("/run/systemd/system")


@dataclass(frozen=True)
class Reader:
    """A service: the name of its program, the word that is among its arguments (empty: whatever they are), its unit."""

    name: str
    program: str
    argument: str = ""
    unit: str = ""
    #: What tells it to read its files again.
    reload: signal.Signals = signal.SIGHUP


READERS = {
    # The master, which starts a worker with the new files; the old one goes on with the sessions that it has (haproxy).
    "haproxy": Reader("haproxy", "haproxy", unit="relevo-haproxy.service", reload=signal.SIGUSR2),
    "pgbackrest": Reader("pgbackrest", "pgbackrest", "server", "relevo-pgbackrest.service"),
    "redis": Reader("redis", "redis-server", unit="redis-server.service"),
}


def process_of(reader: Reader, proc: Path = PROC) -> int | None:
    """The service's process. None: it is down, or still waits for its files under another name."""
    pid = managed_process(reader)
    if pid is None:
        return oldest_process(reader, proc)
    return pid if pid and _is(reader, proc / str(pid)) else None


def managed_process(reader: Reader) -> int | None:
    """What the service's manager says: the number of its process, 0 when it is down; None when no manager knows it."""
    try:
        return int((SERVICE_DIR / reader.name / "supervise" / "pid").read_text().strip() or 0)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return _unit_process(reader.unit) if reader.unit and SYSTEMD.is_dir() else None


def _unit_process(unit: str) -> int | None:
    command = ["systemctl", "show", "--property", "LoadState,MainPID", unit]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        raise RelevoError(f"{' '.join(command)} did not end within 30 s.") from None
    if done.returncode:
        raise RelevoError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    said = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return None if said["LoadState"] == "not-found" else int(said["MainPID"])


def oldest_process(reader: Reader, proc: Path = PROC) -> int | None:
    """The oldest process that looks like the service, not in a container of this machine: those forked look alike."""
    found: dict[int, int] = {}
    for entry in proc.iterdir():
        if entry.name.isdecimal() and _is(reader, entry) and _is_here(entry, proc):
            ticks = start_time(int(entry.name))
            if ticks is not None:
                found[int(entry.name)] = int(ticks)
    return min(found, key=lambda pid: (found[pid], pid)) if found else None


def _is(reader: Reader, entry: Path) -> bool:
    try:
        program = (entry / "comm").read_text().strip()
        arguments = (entry / "cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return program == reader.program and (not reader.argument or reader.argument.encode() in arguments[1:])


def _is_here(entry: Path, proc: Path) -> bool:
    """Whether a process is in our own namespace: a machine sees those of its containers too."""
    try:
        return (entry / "ns" / "pid").readlink() == (proc / "self" / "ns" / "pid").readlink()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def started(pid: int) -> float | None:
    """When a process began, in seconds since 1970, to a hundredth."""
    ticks = start_time(pid)
    if ticks is None:
        return None
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + int(ticks) / os.sysconf("SC_CLK_TCK")


def _told(reader: Reader) -> Path:
    return _names.READING_DIR / reader.name


def is_owed(written: float | None, began: float | None, told: float | None) -> bool:
    """Whether files that were ``written`` last then (seconds since 1970) have still to be read.

    ``began``: when the process did, None when there is none, which reads all of them when it starts; ``told``: when it
    was last told to read them again.
    """
    return written is not None and began is not None and written > max(began, told or 0)


def when_written(files: Sequence[Path]) -> float | None:
    """When the newest of these files came to be where it is, in seconds since 1970; None where none is there."""
    # The time of a change of the entry, not of its content: a file is written first and put in place then.
    return max((path.stat().st_ctime for path in files if path.exists()), default=None)


def when_told(reader: Reader) -> float | None:
    """When it was last told to read its files, in seconds since 1970."""
    told = _told(reader)
    return told.stat().st_mtime if told.exists() else None


def owed(reader: Reader, files: Sequence[Path]) -> bool:
    """Whether the service runs, and has not read these files since they came to be where they are."""
    pid = process_of(reader)
    return is_owed(when_written(files), started(pid) if pid is not None else None, when_told(reader))


def tell(reader: Reader) -> None:
    """Let the service read its files again; it has been told only once this returns."""
    now = time.time()
    pid = process_of(reader)
    if pid is not None:
        os.kill(pid, reader.reload)
        _note(reader, now)


def note_that_it_is_down(reader: Reader) -> None:
    """Whoever does not run now reads, when it starts, what is there now.

    Its start does not tell that: under runit a service waits for its first files, and its process is as old as that.
    """
    now = time.time()
    if process_of(reader) is None:
        _note(reader, now)


def note_that_it_knows(reader: Reader) -> None:
    """It was given by other means what its files say now."""
    _note(reader, time.time())


def _note(reader: Reader, when: float) -> None:
    told = _told(reader)
    told.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    told.touch()
    os.utime(told, (when, when))
