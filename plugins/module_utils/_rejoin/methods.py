# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to turn this node's data into a standby's, each for a stopped server and each safe to repeat.

Before data is overwritten a rejoin marker forbids every start; it goes once ``standby.signal`` is on the disk.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .. import _names, _process
from .._durable import sync_directory, write_file
from .._errors import RelevoError
from .._repository.archive import config_that_answers, push
from .._repository.away import answering, each
from .._repository.command import CONFIG, repositories, restore_command
from .._repository.pgbackrest import PgBackRest
from .._server import marker
from .._server.lsn import SEGMENT, history_name
from .._server.server import Server, primary_conninfo
from .._server.session import Session
from .._wait import wait_until
from .plan import Method, Request, Situation, Source, backup_to_restore

#: Up to 15 pg_rewind reads the primary's timeline from its control file, which a promotion changes only with the next
#: checkpoint: minutes later it may still say that nothing has to be rewound.
REWIND_KNOWS_PROMOTION = 16
#: A line of progress, the same of pg_rewind and pg_basebackup: "52132/1048576 kB (4%)".
PROGRESS = re.compile(r"^\s*(\d+)/\d+ kB \(\d+%\).*$", re.MULTILINE)


def connection(request: Request, user: str, dbname: str) -> str:
    """How a client program reaches the primary; the password comes from the passfile."""
    return (
        f"host={request.primary.host} port={request.primary.port} user={user} dbname={dbname} connect_timeout=10 "
        f"application_name=relevo_rejoin passfile={_names.PASSFILE} sslmode=verify-full sslrootcert={_names.CA_FILE}"
    )


def standby_settings(request: Request, restore: bool = False, config: Path = CONFIG) -> tuple[str, str, str]:
    """primary_conninfo, primary_slot_name and restore_command.

    ``restore``: to fetch what the primary no longer has, by this configuration of pgBackRest.
    """
    return (
        primary_conninfo(request.primary, request.node),
        _names.slot_name(request.node),
        restore_command(request.stanza, config) if restore else "",
    )


def base_backup_command(request: Request, target: Path, bin_directory: Path) -> list[str]:
    # Not under the node's own name: with a slot pg_basebackup reports what it has flushed, and the primary would take a
    # copy that is not complete for its synchronous standby.
    source = primary_conninfo(request.primary, f"relevo_copy_{request.node}")
    return [
        str(bin_directory / "pg_basebackup"),
        f"--pgdata={target}",
        f"--dbname={source}",
        "--no-password",
        "--checkpoint=fast",
        "--wal-method=stream",
        f"--slot={_names.slot_name(request.node)}",
        "--progress",
    ]


def restore_options(backup: str) -> list[str]:
    """pgBackRest's options for a standby from a backup, over the data that are there."""
    return ["--delta", "--type=standby", f"--set={backup}"]


def copied_bytes(output: str) -> int | None:
    """How much a program says that it has copied; None when it has shown no progress."""
    seen = PROGRESS.findall(output)
    return int(seen[-1]) * 1024 if seen else None


def last_words(output: str) -> str:
    """The last three lines of a program that failed, its progress left out."""
    lines = [line.strip() for line in PROGRESS.sub("", output).splitlines() if line.strip()]
    return " ".join(lines[-3:]) or "no message"


def make_directory(directory: Path) -> None:
    """For the server's data, with the parents that are missing."""
    account = pwd.getpwnam("postgres")
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700)
        os.chown(path, account.pw_uid, account.pw_gid)


@dataclass
class Copier:
    """Prepares the stopped server of this node; afterwards its next start is one as a standby of the primary."""

    request: Request
    source: Source
    read_history: Callable[[int], str | None]
    lock: int
    server: Server = field(default_factory=Server)
    #: Of the last copy: how long its program ran, and what that said that it copied.
    copy_seconds: float | None = None
    copied: int | None = None

    def apply(self, method: Method, situation: Situation) -> None:
        {
            "clean": self._clean,
            "rewind": self._rewind,
            "restore": self._restore,
            "basebackup": self._basebackup,
        }[method](situation)

    def configure(self, restore: bool) -> bool:
        """Say whom to follow; ``restore``: fetch from the archive what the primary no longer has."""
        config = config_that_answers(self.request.stanza) if restore else CONFIG
        return self.server.write_replication_conf(*standby_settings(self.request, restore, config))

    @property
    def unfinished(self) -> Path:
        """Where a base backup grows; after one that was cut off it only takes up room."""
        return self.server.pgdata.with_name(f"{self.server.pgdata.name}.new")

    # --- the methods ---------------------------------------------------------------------------------------------

    def _clean(self, situation: Situation) -> None:
        # With the history at hand recovery leaves the old timeline where the primary did. Without it the server would
        # first replay all that it has of the old one, possibly beyond the fork, and then not find its way.
        for timeline in range(situation.timeline + 1, self.source.timeline + 1):
            text = self.read_history(timeline)
            if text is not None:
                write_file(self.server.pgdata / "pg_wal" / history_name(timeline), text)
        self._become_standby(restore=False)

    def _rewind(self, situation: Situation) -> None:
        self._forbid_start("rewind")
        if self.server.version < REWIND_KNOWS_PROMOTION:
            with Session.remote(self.request.primary, _names.HANDOVER_ROLE, timeout=30) as session:
                session.query("CHECKPOINT", timeout=300)
        self.server.remove_stale_lock_files()
        if not situation.state.startswith("shut down"):
            # pg_rewind first lets the server recover in single-user mode, which refuses to run as a standby.
            for name in ("standby.signal", "recovery.signal"):
                (self.server.pgdata / name).unlink(missing_ok=True)
        # The planner takes pg_rewind's list of the primary's files for 50 million rows and compiles the query: up to
        # 2 s of compiling for 20 ms of work.
        options = f"-c jit=off {_names.unlimited(self.server.version)}".replace("\\", "\\\\")
        source = f"{connection(self.request, _names.REWIND_ROLE, 'postgres')} options='{options}'"
        command = [
            str(self.server.bin_directory / "pg_rewind"),
            f"--target-pgdata={self.server.pgdata}",
            f"--source-server={source}",
            f"--config-file={_names.CONFIG_FILE}",
            "--progress",
        ]
        if self.request.repository:
            # To look for the fork it may need old segments that this node has recycled.
            self.configure(restore=True)
            command.append("--restore-target-wal")
        self._copy(command)
        self._remove_foreign_wal()
        self._become_standby(restore=False)

    def _remove_foreign_wal(self) -> None:
        """pg_rewind keeps this node's own segments since the fork, which belong to nobody's history any more.

        A newer timeline in their names would pass for the one that this node follows (see ``probe.PROBE``).
        """
        wal = self.server.pgdata / "pg_wal"
        for segment in wal.iterdir():
            name = segment.name.removesuffix(".partial")
            if SEGMENT.fullmatch(name) and int(name[:8], 16) not in self.source.timelines:
                segment.unlink()
                for mark in (wal / "archive_status").glob(f"{segment.name}.*"):
                    mark.unlink()

    def backup(self) -> str:
        """The backup that a restore begins with; ``RelevoError`` where there is none."""
        return backup_to_restore(PgBackRest(self.request.stanza).require_stanza(), self.source)

    def _restore(self, situation: Situation) -> None:
        backup = self.backup()
        self._forbid_start("restore")
        self.server.remove_stale_lock_files()
        if not self.server.pgdata.is_dir():
            make_directory(self.server.pgdata)
        self._copy(PgBackRest(self.request.stanza).line("restore", *restore_options(backup), level="error"))
        found = self.server.control_data().system_identifier
        if found != self.source.system_identifier:
            raise RelevoError(f"The backup {backup} is of another cluster (system identifier {found}).")
        self._become_standby(restore=True)

    def _basebackup(self, situation: Situation) -> None:
        new = self.unfinished
        if new.exists():
            shutil.rmtree(new)
        with Session.remote(self.request.primary, _names.HANDOVER_ROLE, timeout=30) as session:
            if self.server.pgdata.exists() and not self._room_for_two(session):
                self._forbid_start("basebackup")
                shutil.rmtree(self.server.pgdata)
            self._wait_for_slot(session)
        make_directory(new)
        self._copy(base_backup_command(self.request, new, self.server.bin_directory))
        # Complete before it gets its name: a service that waits for data may start it at once.
        self.configure(restore=False)
        Server(new, self.server.replication_conf).become_standby_at_next_start()
        if self.server.pgdata.exists():
            self._forbid_start("basebackup")
            shutil.rmtree(self.server.pgdata)
        new.rename(self.server.pgdata)
        sync_directory(self.server.pgdata.parent)
        self._allow_start()

    # --- what they share -----------------------------------------------------------------------------------------

    def _copy(self, command: list[str]) -> None:
        done = _process.run_with_lock(command, self.request.copy_timeout, self.lock)
        if done.returncode:
            said = last_words(done.stdout)
            raise RelevoError(f"{Path(command[0]).name} failed with {done.returncode}: {said}")
        self.copied = copied_bytes(done.stdout)
        self.copy_seconds = round(done.seconds, 2)

    def _forbid_start(self, method: Method) -> None:
        request = self.request
        marker.write(
            marker.Marker.now(
                "rejoin", node=request.node, by="pg_rejoin", successor=request.primary.name, reason=method
            )
        )

    def _become_standby(self, restore: bool) -> None:
        self.configure(restore)
        self.server.become_standby_at_next_start()
        self._allow_start()

    def _allow_start(self) -> None:
        """Only now that ``standby.signal`` is on the disk: without it the fence alone keeps a primary from starting."""
        for kind in ("rejoin", "fence", "restore", "removed"):
            marker.remove(kind)

    def _room_for_two(self, session: Session) -> bool:
        """Whether the copy fits beside the old data, which is kept until the copy is complete if it does."""
        needed = int(session.value("SELECT sum(pg_database_size(oid)) FROM pg_database WHERE datallowconn"))
        return shutil.disk_usage(self.server.pgdata.parent).free > needed * 1.1 + (1 << 30)

    def _wait_for_slot(self, session: Session) -> None:
        """The sender of a standby that died without a word occupies its slot until wal_sender_timeout (60 s)."""
        name = _names.slot_name(self.request.node)
        wait_until(
            lambda: session.flag("SELECT NOT active FROM pg_replication_slots WHERE slot_name = $1", (name,)),
            f"the slot {name} on {self.request.primary.name} to be left by an earlier connection",
            timeout=75,
        )


@dataclass
class Archived:
    """What became of the files that only this node had, by name."""

    pushed: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def _push_to(repository: int, stanza: str, path: Path, deadline: float) -> bool:
    return push(PgBackRest(stanza, repository=repository), path, deadline)


def push_unarchived(server: Server, stanza: str, timelines: set[int], deadline: float = 30.0) -> Archived:
    """Archive what only this node has: ``pg_rewind`` and a standby's checkpoints delete segments marked ``.ready``.

    Only of the ``timelines`` of the primary's history. With one that this node opened on its own the archive would
    lead every later restore onto it, and away from the primary.
    """
    wal = server.pgdata / "pg_wal"
    done, numbers = Archived(), repositories()
    for ready in sorted((wal / "archive_status").glob("*.ready")):
        name = ready.name.removesuffix(".ready")
        if not (wal / name).exists():
            continue
        if int(name[:8], 16) not in timelines:
            done.foreign.append(name)
            continue
        # To each of two; what one that is away lacks it gets from the other one when it is back (``ArchiveGap``).
        if not (done.pushed or done.different):
            numbers, _silent = answering(stanza, numbers)
        answers, _away = each(numbers, partial(_push_to, stanza=stanza, path=wal / name, deadline=deadline))
        # Once: it would fail, or hang, for each of what the server has kept back for it.
        numbers = list(answers)
        kept = all(answers.values())
        # The archive keeps its own version of a file that it holds with another content.
        (done.pushed if kept else done.different).append(name)
        ready.rename(ready.with_name(f"{name}.done"))
    return done
