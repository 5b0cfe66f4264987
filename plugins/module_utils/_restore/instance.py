# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a scratch instance, looking at those that are there, and removing one; on the host that has them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pwd
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from .. import _names, _process
from .._durable import write_file
from .._errors import RelevoError
from .._repository import scratch_roots
from .._repository.command import CONFIG, restore_command
from .._repository.pgbackrest import PgBackRest
from .._server.lsn import parse_lsn
from .._server.server import Server
from .._server.session import NotConnected, Session, SessionError
from .._wait import wait_until
from . import scratch
from .blame import FaultError, FullError, blames_data, fault
from .plan import RestorePlan
from .private_server import REACHED, PrivateServer
from .scratch import Files
from .target import Target

#: "running" is one whose target was reached; "unfinished" one whose restore was cut off, or is at work.
State = Literal["running", "stopped", "unfinished"]
DAY = 86400.0
PROC = Path("/proc")
#: What its log says as soon as it takes logins: there is no hot standby.
READY = "database system is ready to accept connections"


@dataclass(frozen=True)
class Instance:
    """What there is of an instance. ``request`` is what was asked for, ``reached`` is empty before the target was."""

    name: str
    cluster: str
    state: State
    port: int
    size: int
    request: Mapping[str, Any]
    reached: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Order:
    """What is to be made: from the backup ``label`` along ``timeline`` to ``target``.

    ``position`` and ``at_least``: see RestorePlan. ``asked`` is what somebody typed, by which a second run knows its
    own; ``version`` the server's major version. ``plan``: the whole plan as plain values, kept with the instance.
    """

    cluster: str
    target: Target
    label: str
    timeline: int
    version: str
    asked: Mapping[str, Any]
    read_only: bool = False
    preload: str = ""
    process_max: int | None = None
    nice: int = 0
    timeout: float = DAY
    position: str = ""
    at_least: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)


def tree_size(path: Path) -> int:
    """Bytes on disk of all files below a directory; what goes away meanwhile is not counted."""
    total = 0
    for folder, _folders, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(folder) / name).lstat().st_blocks * 512
    return total


def found(root: Path = scratch.DIRECTORY) -> list[Instance]:
    """The instances of this host, by name."""
    if not root.is_dir():
        return []
    names = sorted(path.name for path in root.iterdir() if path.is_dir())
    return [look(Files(root, name)) for name in names if (root / name / scratch_roots.NOTE).exists()]


def planned(files: Files) -> RestorePlan | None:
    """The plan of one whose target was reached, of which nothing is left to do; None before, or where none was kept."""
    kept = json.loads(files.note.read_text()).get("plan") if files.outcome.exists() else None
    if not kept:
        return None
    why = "it is restored, and its server is only started where it does not run"
    return replace(RestorePlan.from_dict(kept), why=why, segments=0, needed=0, expected_s=0, notes=[])


def owed(files: Files) -> int:
    """Bytes that other instances, unfinished ones, still need of the file system that this one is made on."""
    total = 0
    for root in scratch_roots.roots():
        for other, note in _notes(root):
            if other.home == files.home or other.outcome.exists() or _device(root) != _device(files.root):
                continue
            total += max(int((note.get("plan") or {}).get("needed") or 0) - tree_size(other.home), 0)
    return total


def _device(path: Path) -> int:
    return next(one for one in (path, *path.parents) if one.exists()).stat().st_dev


def _notes(root: Path) -> Iterator[tuple[Files, Mapping[str, Any]]]:
    for path in sorted(root.glob("*/instance.json")):
        # One may be removed meanwhile.
        with contextlib.suppress(FileNotFoundError):
            yield Files(root, path.parent.name), json.loads(path.read_text())


def look(files: Files) -> Instance:
    note = json.loads(files.note.read_text())
    done = files.outcome.exists()
    runs = Server(files.data).postmaster_pid() is not None
    state: State = "unfinished" if not done else "running" if runs else "stopped"
    reached = json.loads(files.outcome.read_text()) if done else {}
    return Instance(
        files.name, note["cluster"], state, int(note["port"]), tree_size(files.home), note["request"], reached
    )


def held(files: Files, timeout: float) -> contextlib.AbstractContextManager[int]:
    """Be the only one who works on an instance; what an earlier run left behind is waited for."""
    _directory(files.root)
    return held_file(files.lock, f"the scratch instance {files.name}", timeout)


@contextlib.contextmanager
def held_file(path: Path, what: str, timeout: float) -> Iterator[int]:
    """Hold a lock file, whose handle every copy must inherit; ``what`` names what is worked on."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:

        def take() -> bool:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        wait_until(take, f"whoever works on {what}", timeout, interval=0.5)
        yield handle
    finally:
        os.close(handle)


def make(files: Files, order: Order, config: Path = CONFIG) -> tuple[Instance, bool]:
    """The instance with its target reached, and whether anything had to be done for it."""
    with held(files, order.timeout) as lock:
        if files.note.exists():
            there = look(files)
            if not is_for(there, order.cluster, order.asked):
                raise RelevoError(conflict(there))
            if there.state == "running":
                return there, False
            if there.state == "stopped":
                _start(files, order.version, there.port)
                _wait_open(files, order.version, there.port, order.timeout)
                return look(files), True
        _clear(files)
        try:
            reached = _restore(files, order, _reserve(files, order), lock, config)
            write_file(files.outcome, json.dumps(reached))
        except (FullError, OSError) as error:
            # The repository's WAL may go to the same disk.
            if isinstance(error, FullError) or error.errno in (errno.ENOSPC, errno.EDQUOT):
                _clear(files)
            raise
        return look(files), True


def is_for(there: Instance, cluster: str, asked: Mapping[str, Any]) -> bool:
    """Whether it was made of this cluster, and for just this."""
    return there.cluster == cluster and dict(there.request) == dict(asked)


def conflict(there: Instance) -> str:
    asked = ", ".join(f"{key}={value}" for key, value in {"cluster": there.cluster, **there.request}.items() if value)
    return (
        f"There is a scratch instance {there.name} already, made for something else ({asked}). Remove it with "
        f"restore.yml -e remove={there.name}, or give this one another name with -e scratch=NAME."
    )


def remove(files: Files, timeout: float = 600) -> bool:
    """Stop and remove an instance, also a half-made one, and one at which somebody works: that ends.

    Returns whether there was one.
    """
    if not files.home.exists():
        return False
    _ours(files)
    # A copy that was left behind goes on, and holds the lock for as long.
    _end_copies(files)
    Server(files.data).signal_postmaster(signal.SIGQUIT)
    with held(files, timeout):
        _clear(files)
    files.lock.unlink(missing_ok=True)
    return True


# --- the steps --------------------------------------------------------------------------------------------------


def _postgres() -> tuple[int, int]:
    account = pwd.getpwnam(_process.POSTGRES)
    return account.pw_uid, account.pw_gid


def _directory(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True)
        own(path)


def own(*paths: Path) -> None:
    """Give these to the user postgres."""
    for path in paths:
        os.chown(path, *_postgres())


def _reserve(files: Files, order: Order) -> int:
    """Write its note, with a port that no other instance of this host has, wherever that is; the port."""
    lock = scratch_roots.lock_file()
    own(lock.parent)
    with held_file(lock, "the ports of scratch instances", 60):
        scratch_roots.add(files.root)
        port = _port()
        _write_note(files, order, port)
    return port


def _port() -> int:
    """The first that nobody has."""
    taken = {int(note["port"]) for root in scratch_roots.roots() for _files, note in _notes(root)}
    port = scratch.FIRST_PORT
    while port in taken or (_names.SOCKET_DIR / f".s.PGSQL.{port}").exists():
        port += 1
    return port


def _copies(files: Files) -> list[int]:
    """pgBackRest's processes that work for an instance."""
    found = []
    for path in PROC.glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if f"--config={files.repository}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def _end_copies(files: Files) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _copies(files):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        with contextlib.suppress(RelevoError):
            wait_until(lambda: not _copies(files), "pgBackRest to end", 10)


def _clear(files: Files) -> None:
    """Stop its server, and remove its files; its note last, so that what was cut off is found again."""
    if not files.home.exists():
        return
    _ours(files)
    server = Server(files.data)
    # No data have to survive. The processes that have its data open end with the postmaster.
    server.signal_postmaster(signal.SIGQUIT)
    wait_until(lambda: not server.processes(), f"the server of {files.name} to end", 60)
    for path in sorted(files.home.iterdir(), key=lambda one: one == files.note):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    files.home.rmdir()


def _ours(files: Files) -> None:
    """``RelevoError`` for a directory that is no instance: without a note it has nothing but what precedes that."""
    if files.note.exists():
        return
    made_before = (files.data, files.tablespaces, files.home / "lock")
    strange = [
        path.name
        for path in (sorted(files.home.iterdir()) if files.home.is_dir() else [files.home])
        if path.name != f".{files.note.name}.new" and (path not in made_before or any(path.iterdir()))
    ]
    if strange:
        raise RelevoError(
            f"{files.home} is not a scratch instance: it has no {files.note.name}, and it holds {', '.join(strange)}. "
            "It is left as it is. Take another name (-e scratch=NAME) or directory (restore_directory), or move it "
            "away."
        )


def _write_note(files: Files, order: Order, port: int) -> None:
    for path in (files.home, files.data, files.tablespaces, files.home / "lock"):
        _directory(path)
    note = {
        "cluster": order.cluster,
        # A cleanup leaves it alone until the target is reached (_repository/in_use.py).
        "backup": order.label,
        "port": port,
        "request": dict(order.asked),
        "plan": dict(order.plan),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_file(files.note, json.dumps(note))


def _restore(files: Files, order: Order, port: int, lock: int, config: Path) -> dict[str, Any]:
    """The three phases, each with its seconds."""
    text = scratch.repository_configuration(config.read_text(), order.cluster, files, order.process_max)
    write_file(files.repository, text)
    pgbackrest = PgBackRest(order.cluster, files.repository)
    # We write what ends the recovery ourselves: a wrong line of the old server must not remain (_configure).
    command = pgbackrest.line(
        "restore",
        f"--set={order.label}",
        *scratch.way_options(order.timeline),
        f"--tablespace-map-all={files.tablespaces}",
        "--archive-mode=off",
    )
    copied = _process.run_with_lock(["nice", "-n", str(order.nice), *command], order.timeout, lock)
    if copied.returncode:
        raise fault(
            f"pgBackRest could not restore the backup {order.label}: {first_error(copied.stdout)}.",
            copied.stdout,
            rc=copied.returncode,
            stderr=copied.stdout[-4000:],
        )
    _configure(files, order, port)
    started = time.monotonic()
    _start(files, order.version, port, order.nice)
    _wait_open(files, order.version, port, order.timeout)
    recovered = time.monotonic() - started
    with session(files, port) as asked:
        row = asked.query(REACHED)[0]
    if not read_to_the_end(str(row["lsn"]), order.at_least):
        # To the server a segment that could not be read is the end of the archive.
        # Also one that could not be fetched.
        log = files.log.read_text(errors="replace")
        raise (FaultError if blames_data(log) or "ERROR: [" not in log else RelevoError)(
            f"The recovery ended at {row['lsn']}, and the archive goes on after {order.at_least}: a segment from that "
            f"position on cannot be read. pgBackRest's words are in {files.log} on that host."
        )
    return {
        "lsn": row["lsn"],
        "last_commit": row["last_commit"],
        "timeline": int(row["timeline"] or 0),
        "backup": order.label,
        "copy_s": round(copied.seconds, 1),
        "recovery_s": round(recovered, 1),
    }


def read_to_the_end(replayed: str, at_least: str) -> bool:
    """Whether a recovery that ended at ``replayed`` has read something of the last segment, which begins at
    ``at_least``; that is empty where nothing is expected.

    Replay of a segment that was switched ends exactly where the next one begins.
    """
    return not at_least or parse_lsn(replayed) > parse_lsn(at_least)


def _configure(files: Files, order: Order, port: int) -> None:
    data = Server(files.data)
    programs = _names.bin_directory(order.version)
    shown = _process.run([str(programs / "pg_controldata"), str(data.pgdata)], timeout=10)
    settings = scratch.server_settings(
        files, port, scratch.limits_of(shown.stdout), read_only=order.read_only, preload=order.preload
    )
    settings |= {"restore_command": restore_command(order.cluster, files.repository)}
    settings |= scratch.recovery_settings(order.target, order.timeline, order.position)
    write_file(files.settings, scratch.settings_text(settings))
    write_file(files.hba, scratch.HBA)
    write_file(files.ident, scratch.ident(order.version))
    # What somebody once set with ALTER SYSTEM overrides a configuration file: preloaded libraries, an archive command.
    write_file(files.data / "postgresql.auto.conf", "")
    write_file(files.data / "recovery.signal", "")
    (files.data / "standby.signal").unlink(missing_ok=True)


def _private(files: Files, version: str, port: int) -> PrivateServer:
    return PrivateServer(
        Server(files.data), version, port, files.log, files.settings, f"the scratch instance {files.name}", {}
    )


def _start(files: Files, version: str, port: int, nice: int = 0) -> None:
    _private(files, version, port).start(nice)


def _wait_open(files: Files, version: str, port: int, timeout: float) -> None:
    """Until it accepts writes, which it does once the target is reached; it ends where that cannot be."""
    private = _private(files, version, port)
    refused = ""

    def answer() -> bool:
        nonlocal refused
        log = private.said()
        if private.server.postmaster_pid() is None:
            log = private.said()
            raise fault(
                f"The target was not reached. {scratch.failure_in(log)} The cluster was not touched; the scratch "
                f"instance {files.name} is left as it is (restore.yml -e remove={files.name}).",
                log,
                log=log[-4000:],
            )
        try:
            with session(files, port, timeout=3) as asked:
                return not asked.flag("SELECT pg_is_in_recovery()")
        except SessionError as error:
            refused = error.message
            if isinstance(error, NotConnected) and READY in log and "the database system is" not in refused:
                raise RelevoError(
                    f"The server of the scratch instance {files.name} has reached its target, and refuses our login: "
                    f"{refused}. What was restored is left as it is (restore.yml -e remove={files.name})."
                ) from None
            return False

    def what() -> str:
        said = f" (it said last: {refused})" if refused else ""
        return f"the scratch instance {files.name} to reach its target{said}"

    wait_until(answer, what, timeout, interval=0.2)


def first_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
    return (errors or lines or ["it gave no reason"])[0].rstrip(".: ")


def session(files: Files, port: int, dbname: str = "postgres", timeout: float = 10) -> Session:
    """A superuser's session at this instance; ``RelevoError`` where another server has its port."""
    opened = Session.at_socket(port, dbname, "the scratch instance", timeout, options=scratch.SESSION)
    data = str(opened.value("SHOW data_directory"))
    if Path(data).resolve() != files.data.resolve():
        opened.close()
        raise RelevoError(
            f"On port {port}, that of the scratch instance {files.name}, the server of {data} answers. Run this again, "
            f"or remove the instance (restore.yml -e remove={files.name}), and it gets another port."
        )
    return opened
