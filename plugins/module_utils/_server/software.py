# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages a node has, which its sources have, and whether its processes still run what was there before.

Debian's packages: docs/reference/platforms.md. A node without ``dpkg`` has none, but its processes can be looked at.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._errors import RelevoError
from .._wait import wait_until
from .server import reading_as_postgres

PGBACKREST, HAPROXY = "pgbackrest", "haproxy"
#: What a server or pgBackRest is made of, beside the packages that are named after the major version.
ALONGSIDE = ("libpq5", PGBACKREST, "postgresql-client-common", "postgresql-common")

#: States in which a package's files are there (dpkg-query(1)); the others are those of one that was removed.
_ABSENT = ("not-installed", "config-files")
#: States that a package is in while dpkg works on it, and stays in when dpkg was cut off.
_UNFINISHED = ("half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending")
#: dpkg's own directory. ``info`` has a list of files for each package, written when it is unpacked; ``updates`` what
#: dpkg has not put into its database yet; the locks are held by whoever works with packages (apt(8), dpkg(1)).
DPKG = Path("/var/lib/dpkg")
LOCKS = ("lock-frontend", "lock")
#: Where dpkg notes what it does: "DATE TIME upgrade PACKAGE:ARCHITECTURE OLD NEW" (dpkg(1), --log).
LOGS = Path("/var/log")
_POLICY = re.compile(r"^(?P<name>[^\s:]+)(?::\S+)?:\n(?:  .*\n)*?  Candidate: (?P<version>\S+)$", re.MULTILINE)
#: Of one question. apt-cache reads its lists first.
TIMEOUT = 60


@dataclass(frozen=True)
class Packages:
    """``installed`` and ``newer`` (what the sources have, where that is newer): versions by package. ``held``: the
    packages of these that the administrator keeps as they are. ``interrupted``: dpkg was cut off, and nobody works with
    packages now."""

    installed: dict[str, str]
    newer: dict[str, str]
    held: list[str]
    interrupted: bool


def belongs(package: str, version: str, more: Collection[str] = ()) -> bool:
    """Whether a package is part of a node of this major version of PostgreSQL; ``more``: others that are."""
    own = (f"postgresql-{version}", f"postgresql-client-{version}")
    return package in (*own, *ALONGSIDE, *more) or package.startswith(f"postgresql-{version}-")


def is_server(package: str, version: str) -> bool:
    """Whether the running server has this package's files in use: the server itself, and its extensions."""
    return package == f"postgresql-{version}" or package.startswith(f"postgresql-{version}-")


def installed_in(listed: str) -> dict[str, str]:
    """The packages in what ``dpkg-query`` printed in the format ``LISTED``."""
    rows = (line.split("\t") for line in listed.splitlines() if line.count("\t") == 2)
    return {name: version for name, version, state in rows if state not in _ABSENT}


LISTED = r"${Package}\t${Version}\t${db:Status-Status}\n"


def candidates_in(policy: str) -> dict[str, str]:
    """The candidates in what ``apt-cache policy`` printed."""
    found = {one["name"]: one["version"] for one in _POLICY.finditer(policy)}
    return {name: version for name, version in found.items() if version != "(none)"}


def unfinished_in(listed: str) -> list[str]:
    """The packages that dpkg has not finished with, in the same format.

    Not ``dpkg --audit``: that also names packages that are whole, but were built without checksums.
    """
    rows = (line.split("\t") for line in listed.splitlines() if line.count("\t") == 2)
    return [name for name, _version, state in rows if state in _UNFINISHED]


def in_use(directory: Path = DPKG) -> bool:
    """Whether another process works with packages: it holds one of dpkg's locks. Takes none, even for a moment."""
    return any(_is_locked(directory / name) for name in LOCKS)


def _is_locked(lock: Path) -> bool:
    # struct flock: type, whence, start, length (0: to the end), pid; the kernel answers in the same shape.
    question = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        with lock.open("rb") as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, question)
    except FileNotFoundError:
        return False
    return bool(struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK)


def _has_journal(directory: Path) -> bool:
    """Whether dpkg has left what it had not put into its database: files whose names are numbers, as apt looks for."""
    updates = directory / "updates"
    return updates.is_dir() and any(entry.name.isdecimal() for entry in updates.iterdir())


def came_anew(package: str, log: str) -> bool:
    """Whether a package was not there before, by what dpkg has noted (``log``, the oldest first): no server can run
    what it replaced. False where the notes tell of anything else that was done with it, or of nothing."""
    done = re.findall(
        rf"^\S+ \S+ (install|upgrade|remove|purge) {re.escape(package)}(?::\S+)? (\S+) ", log, re.MULTILINE
    )
    return done == [("install", "<none>")]


def dpkg_log(directory: Path = LOGS) -> str:
    """What dpkg has noted in this month and the one before, the oldest first; empty where it keeps no notes."""
    files = [directory / name for name in ("dpkg.log.1", "dpkg.log")]
    return "".join(path.read_text(errors="replace") for path in files if path.exists())


def newer_than(
    packages: Collection[str], version: str, began: float | None, now: float, info: Path, log: str = ""
) -> list[str]:
    """Those packages of the server that were unpacked after it ``began`` (seconds since 1970; None: it is down).

    It may still run what they replaced, above all the libraries of extensions: its own program has not changed then.
    ``info``: dpkg's directory of lists. What is dated later than ``now`` tells nothing, and no restart would help.
    ``log``: dpkg's notes; by these one that has replaced nothing is left out.
    """
    if began is None:
        return []
    found = []
    for name in sorted(packages):
        lists = [info / f"{name}.list", *info.glob(f"{name}:*.list")]
        written = [path.stat().st_mtime for path in lists if path.exists()]
        after = is_server(name, version) and any(began < when <= now for when in written)
        if after and not came_anew(name, log):
            found.append(name)
    return found


def packages(version: str, more: Collection[str] = (), wait: float = 0) -> Packages:
    """Ask dpkg and apt of this node, which change nothing; ``wait``: seconds for others that work with packages."""
    if shutil.which("dpkg-query") is None:
        return Packages({}, {}, [], False)
    if wait:
        wait_until(lambda: not in_use(DPKG), "another process that works with the packages of this node", wait, 0.5)
    # Before the question and after it: what was at work then is not called cut off because it has ended, or just begun.
    busy = in_use(DPKG)
    text = _ask(["dpkg-query", "--show", f"--showformat={LISTED}"])
    interrupted = (bool(unfinished_in(text)) or _has_journal(DPKG)) and not (busy or in_use(DPKG))
    listed = installed_in(text)
    installed = {name: of for name, of in sorted(listed.items()) if belongs(name, version, more)}
    found = candidates_in(_ask(["apt-cache", "policy", *installed])) if installed else {}
    newer = {name: of for name, of in found.items() if name in installed and _is_newer(of, installed[name])}
    held = sorted(set(_ask(["apt-mark", "showhold"]).split()) & set(installed))
    return Packages(installed, newer, held, interrupted)


def upgrades(newer: Mapping[str, str]) -> list[str]:
    """What of it one host may get before the others, as apt takes it: all but pgBackRest."""
    return [f"{name}={version}" for name, version in newer.items() if name != PGBACKREST]


def _is_newer(one: str, other: str) -> bool:
    return _run(["dpkg", "--compare-versions", one, "gt", other]).returncode == 0


def _ask(command: Sequence[str]) -> str:
    done = _run(command)
    if done.returncode:
        raise RelevoError(f"{' '.join(command[:2])} failed on this node: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    # In another locale the words are translated. As root, who may read what apt keeps.
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise RelevoError(f"{' '.join(command[:2])} did not end on this node within {TIMEOUT} s.") from None


def runs_replaced(pid: int | None, program: Path, proc: Path = Path("/proc")) -> bool:
    """Whether a process runs another file than the one that ``program`` is now; false where there is no process.

    The kernel keeps the file that a process was started from, and says "(deleted)" of it once dpkg has put another one
    in its place. Its number would say the same, but not on the file system of a container.
    """
    if pid is None:
        return False
    link = proc / str(pid) / "exe"
    try:
        return link.readlink() != program.resolve()
    except FileNotFoundError:
        return False  # It has ended meanwhile.
    except PermissionError:
        # A root without CAP_SYS_PTRACE, as in a container. The process is one of postgres.
        with reading_as_postgres():
            return link.readlink() != program.resolve()


def release(version: str) -> str:
    """The program's own version in that of its Debian package: hosts may have it from different sources."""
    found = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", version)
    return found[1] if found else version
