# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PostgreSQL server of this node, seen from its own disk: control file, standby signal, settings, processes."""

from __future__ import annotations

import os
import pwd
import re
import signal
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .. import _names, _process
from .._durable import sync_directory, write_file
from .._errors import RelevoError
from .._wait import wait_until
from .installation import configured_version, configured_wal_level
from .peer import Peer

#: Settings that a restore or a rewind leaves in postgresql.auto.conf, where they would override our own file.
FOREIGN_SETTINGS = ("primary_conninfo", "primary_slot_name", "restore_command", "recovery_")
#: What a standby needs to keep copies of the primary's failover slots, beside the database in ``primary_conninfo``.
SLOT_SYNC = "hot_standby_feedback = 'on'\nsync_replication_slots = 'on'\n"
SLOT_SYNC_SINCE = 17
#: Our word for the state of a server that was stopped in the middle of its recovery from a crash. Its control file
#: calls that "shut down in recovery", as it does a standby's; but a standby has a point up to which it must recover.
HALF_RECOVERED = "shut down in crash recovery"
DB_SHUTDOWNED, DB_SHUTDOWNED_IN_RECOVERY = 1, 2  # src/include/catalog/pg_control.h, enum DBState


@dataclass(frozen=True)
class ControlData:
    """What ``pg_controldata`` says, as far as we need it; LSNs in bytes."""

    system_identifier: str
    state: str
    checkpoint_lsn: str
    timeline: int
    min_recovery_lsn: str
    min_recovery_timeline: int

    @property
    def newest_timeline(self) -> int:
        """The timeline that the server is on: before its first checkpoint a promoted one has it in one field only."""
        return max(self.timeline, self.min_recovery_timeline)


@contextmanager
def reading_as_postgres() -> Iterator[None]:
    """What is read in this block is read as the user postgres; only for root."""
    account, user, group = pwd.getpwnam("postgres"), os.geteuid(), os.getegid()
    os.setegid(account.pw_gid)
    try:
        os.seteuid(account.pw_uid)
        yield
    finally:
        os.seteuid(user)
        os.setegid(group)


def state_of(state: str, min_recovery_lsn: str) -> str:
    """The control file's state of a server, told apart by ``HALF_RECOVERED``."""
    return HALF_RECOVERED if state == "shut down in recovery" and min_recovery_lsn == "0/0" else state


class Server:
    """The one server of this node; without ``pgdata``, the one that its configuration names."""

    def __init__(self, pgdata: Path | None = None, replication_conf: Path = _names.REPLICATION_CONF) -> None:
        self._pgdata = pgdata
        self.replication_conf = replication_conf

    # Read when it is first needed: a node that is not configured yet is an error of the one who needs it.
    @cached_property
    def pgdata(self) -> Path:
        return self._pgdata or _names.data_directory(configured_version())

    @property
    def version(self) -> int:
        """Its major version."""
        return int(self.pgdata.parent.name)

    @property
    def bin_directory(self) -> Path:
        """The programs of this server's major version."""
        return _names.bin_directory(self.pgdata.parent.name)

    # --- what is there -------------------------------------------------------------------------------------------

    @property
    def initialised(self) -> bool:
        return (self.pgdata / "PG_VERSION").is_file()

    def control_data(self) -> ControlData:
        """Read the control file with ``pg_controldata``."""
        done = _process.run([str(self.bin_directory / "pg_controldata"), str(self.pgdata)], timeout=10)
        if done.returncode:
            raise RelevoError(f"pg_controldata failed on {self.pgdata}: {done.stderr.strip()}")
        values = dict(line.split(":", 1) for line in done.stdout.splitlines() if ":" in line)
        found = {key.strip(): value.strip() for key, value in values.items()}
        return ControlData(
            system_identifier=found["Database system identifier"],
            state=state_of(found["Database cluster state"], found["Minimum recovery ending location"]),
            checkpoint_lsn=found["Latest checkpoint location"],
            timeline=int(found["Latest checkpoint's TimeLineID"]),
            min_recovery_lsn=found["Minimum recovery ending location"],
            min_recovery_timeline=int(found["Min recovery ending loc's timeline"]),
        )

    def wal_segment_size(self) -> int | None:
        """In MB, as ``initdb`` was told; None where there is no control file to ask."""
        done = _process.run([str(self.bin_directory / "pg_controldata"), str(self.pgdata)], timeout=10)
        found = re.search(r"^Bytes per WAL segment:\s+(\d+)$", done.stdout, re.MULTILINE)
        return int(found[1]) // 2**20 if found else None

    def configured(self, name: str) -> str:
        """A setting as the files have it, in its own unit and without a name for that; empty where they are no good."""
        where = ["-D", str(self.pgdata), "-c", f"config_file={_names.CONFIG_FILE}"]
        done = _process.run([str(self.bin_directory / "postgres"), *where, "-C", name], timeout=10)
        return "" if done.returncode else done.stdout.strip()

    def quick_state(self) -> tuple[int, int]:
        """State and checkpoint LSN straight from ``global/pg_control``, for use inside the write window.

        Starting ``pg_controldata`` costs 5 ms each time. Layout of ControlFileData (PostgreSQL 13 to 18): system
        identifier (8 bytes), versions (4 + 4), state (4, then 4 of padding), time (8), checkpoint LSN (8).
        """
        with (self.pgdata / "global" / "pg_control").open("rb") as file:
            data = file.read(40)
        state: int
        checkpoint: int
        # "x" skips a byte: all but the state and the checkpoint.
        state, checkpoint = struct.unpack("=16xi12xQ", data)
        return state, checkpoint

    def postmaster_pid(self) -> int | None:
        """The postmaster's process id, or None when no such process lives, as on a node that is not configured."""
        if self._pgdata is None and not _names.CONFIG_FILE.exists():
            return None
        try:
            pid = int((self.pgdata / "postmaster.pid").read_text().split("\n", 1)[0])
            os.kill(pid, 0)
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return None
        # After a restart of the node another process may have the number.
        name = Path(f"/proc/{pid}/comm")
        return pid if name.exists() and name.read_text().strip() == "postgres" else None

    def processes(self) -> list[int]:
        """The processes that work in PGDATA: the postmaster, its children, and what those have started."""
        everybody = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        found, hidden = self._working_here(everybody)
        if hidden and os.geteuid() == 0:
            # A root without CAP_SYS_PTRACE, as in a container, sees of others' processes no directory. Their user does.
            with reading_as_postgres():
                found += self._working_here(hidden)[0]
        return found

    def _working_here(self, entries: list[Path]) -> tuple[list[int], list[Path]]:
        """Which of these processes work in PGDATA, and of which that cannot be seen."""
        # The kernel names directories without links on the way, and so one that somebody has removed under them.
        real = self.pgdata.resolve()
        here = (real, real.with_name(f"{real.name} (deleted)"))
        found, hidden = [], []
        for entry in entries:
            try:
                if (entry / "cwd").readlink() in here:
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # It has ended.
            except PermissionError:
                hidden.append(entry)
        return found, hidden

    @property
    def is_standby_configured(self) -> bool:
        return (self.pgdata / "standby.signal").exists()

    # --- changing it ---------------------------------------------------------------------------------------------

    def signal_postmaster(self, number: signal.Signals) -> None:
        pid = self.postmaster_pid()
        if pid is not None:
            os.kill(pid, number)

    def terminate(self, backends: Iterable[int]) -> list[int]:
        """What ``pg_terminate_backend`` does, on a server that no longer answers; returns those that still lived."""
        postmaster = self.postmaster_pid()
        living = []
        for pid in backends:
            try:
                # The number may be another process's by now. The parent is the second field after the name.
                parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == postmaster:
                    os.kill(pid, signal.SIGTERM)
                    living.append(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
        return living

    def remove_stale_lock_files(self) -> None:
        """Remove ``postmaster.pid`` and the socket's lock file when nobody works in PGDATA any more.

        After the restart of a container the number in them often belongs to another process of user postgres, and
        PostgreSQL would then refuse to start for good.
        """
        if self.processes():
            return
        (self.pgdata / "postmaster.pid").unlink(missing_ok=True)
        for lock in _names.SOCKET_DIR.glob(".s.PGSQL.*.lock"):
            # Its second line names the data directory: the socket may be another server's.
            if lock.read_text().splitlines()[1:2] == [str(self.pgdata)]:
                lock.unlink(missing_ok=True)

    def reload(self) -> None:
        self.signal_postmaster(signal.SIGHUP)

    def _replication_conf(
        self, primary_conninfo: str, slot: str, restore_command: str, target_timeline: str = ""
    ) -> str:
        settings = {
            "primary_conninfo": primary_conninfo,
            "primary_slot_name": slot,
            "restore_command": restore_command,
        }
        if target_timeline:
            settings["recovery_target_timeline"] = target_timeline
        # The text is compared, so it names no module: a rename would have every standby pointed at its primary anew.
        lines = ["# Written by relevo.postgres: edits are lost."]
        lines += [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
        return "\n".join([*lines, ""]) + (SLOT_SYNC if slot and self.can_synchronise_slots() else "")

    def can_synchronise_slots(self) -> bool:
        """Whether this node's server has ``wal_level = logical``, and will have it at its next start.

        With less, one older than 17.6 ends as soon as it is told to synchronise slots.
        """
        if configured_wal_level() != "logical" or self.version < SLOT_SYNC_SINCE:
            return False
        if self.postmaster_pid() is None:
            return True
        # Here for the reason in wait_ready.
        from .session import Session, SessionError

        try:
            with Session.local(timeout=3) as session:
                return bool(session.value("SHOW wal_level") == "logical")
        except SessionError:
            return False

    def adjust_slot_sync(self) -> bool:
        """After a start with another ``wal_level``; returns whether the server has to read its configuration."""
        if not self.replication_conf.exists() or not self.is_standby_configured:
            return False
        content = self.replication_conf.read_text()
        follows = "primary_slot_name = ''" not in content
        wanted = content.removesuffix(SLOT_SYNC) + (SLOT_SYNC if follows and self.can_synchronise_slots() else "")
        if wanted != content:
            write_file(self.replication_conf, wanted)
        return wanted != content

    def replication_conf_is(
        self, primary_conninfo: str, slot: str, restore_command: str = "", target_timeline: str = ""
    ) -> bool:
        """Whether ``write_replication_conf`` would change nothing."""
        return self._has(self._replication_conf(primary_conninfo, slot, restore_command, target_timeline))

    def _has(self, replication_conf: str) -> bool:
        return self.replication_conf.exists() and self.replication_conf.read_text() == replication_conf

    def write_replication_conf(
        self, primary_conninfo: str, slot: str, restore_command: str = "", target_timeline: str = ""
    ) -> bool:
        """Say whom this node follows when it is a standby; returns whether the file changed."""
        # Worked out once: it may take a session at the server.
        content = self._replication_conf(primary_conninfo, slot, restore_command, target_timeline)
        if self._has(content):
            return False
        write_file(self.replication_conf, content)
        return True

    def become_standby_at_next_start(self) -> None:
        """Put ``standby.signal`` in place and remove what would end recovery."""
        write_file(self.pgdata / "standby.signal", "")
        (self.pgdata / "recovery.signal").unlink(missing_ok=True)
        self.clean_auto_conf()
        sync_directory(self.pgdata)

    def clean_auto_conf(self) -> None:
        """Drop settings of replication and recovery from ``postgresql.auto.conf``; the server must be stopped."""
        auto = self.pgdata / "postgresql.auto.conf"
        lines = auto.read_text().splitlines(keepends=True) if auto.exists() else []
        kept = [line for line in lines if not re.match(rf"\s*({'|'.join(FOREIGN_SETTINGS)})", line)]
        if kept != lines:
            write_file(auto, "".join(kept))

    def wait_ready(self, timeout: float, standby: bool | None = None) -> None:
        """Wait until the server takes local connections, in the role given (None: either)."""
        role = {None: "answer", True: "answer as a standby", False: "take writes"}[standby]
        what = f"the server of this node to {role} (its log is under {_names.LOG_DIR})"
        wait_until(lambda: self.answers(standby), what, timeout)

    def answers(self, standby: bool | None = None) -> bool:
        """Whether it takes a local connection now, in the role given (None: either)."""
        # Here, since the start guard needs the rest of this file and a standby's start must not wait for the library.
        from .session import Session, SessionError

        try:
            with Session.local(timeout=3) as session:
                return standby is None or session.flag("SELECT pg_is_in_recovery()") == standby
        except SessionError:
            return False


def primary_conninfo(primary: Peer, standby: str) -> str:
    """How ``standby`` follows ``primary``: the password comes from the passfile, never from a setting.

    Keepalives and ``wal_receiver_timeout`` end a connection to a host that has gone without a word.
    """
    settings = {
        "host": primary.host,
        "port": str(primary.port),
        "user": _names.REPLICATION_ROLE,
        # Streaming has no use for it, the synchronisation of slots has.
        "dbname": _names.OWN_DATABASE,
        "application_name": standby,
        "passfile": str(_names.PASSFILE),
        "sslmode": "verify-full",
        "sslrootcert": str(_names.CA_FILE),
        "connect_timeout": "5",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
    }
    return " ".join(f"{key}={value}" for key, value in settings.items())
