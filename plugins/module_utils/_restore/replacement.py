# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replace the data of this node by those of a backup, recovered to a target: a restore in place on its node.

Each step may be killed. A second run begins anew where the target was not reached, and goes on where it was: the
outcome is on the disk before anything leaves the private server. The node needs the restore marker for it, which keeps
its own server down.
"""

from __future__ import annotations

import json
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import _names, _process
from .._cluster import synchronous
from .._durable import sync_directory, write_file
from .._errors import RelevoError
from .._repository.command import FIRST, config_of, restore_command
from .._repository.pgbackrest import PgBackRest
from .._server import abandoned_timelines, marker
from .._server.lsn import timeline_of_history
from .._server.server import Server
from .._server.service import Service
from .._wait import wait_until
from . import blame, instance, scratch
from .in_place import Undo
from .plan import RestorePlan
from .private_server import REACHED, PrivateServer

#: One below those of scratch instances: no client of the cluster asks there.
PORT = scratch.FIRST_PORT - 1
#: What was reached, on the node that was restored. It stays until the next restore: removed before the record of the
#: restore, whoever finishes that would do it again, and lose what was written since.
OUTCOME = "restore-outcome.json"


@dataclass(frozen=True)
class Task:
    """``order`` names the restore (the record's ``at``); ``newest_timeline``: the newest that anybody knows.

    ``undo``: the way back to what the cluster was before, as the record has it; None where there is none.
    """

    cluster: str
    order: str
    plan: RestorePlan
    newest_timeline: int
    process_max: int | None = None
    timeout: float = instance.DAY
    undo: Undo | None = None

    @property
    def ways_out(self) -> str:
        """The end of a sentence about a target that cannot be reached."""
        again = "The cluster stays down. Fix that and run this again, or give another target."
        # Not to somebody who is on it.
        if self.undo is None or (self.plan.type, self.plan.timeline) == ("latest", self.undo.timeline):
            return again
        return f"{again} The way back to what it was, until {self.undo.until}: {self.undo.command(self.cluster)}"


def outcome_of(order: str, directory: Path = _names.MARKER_DIR) -> dict[str, Any] | None:
    """What the restore of that name has reached on this node; None where it did not get so far."""
    path = directory / OUTCOME
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found if found.get("order") == order else None


def private_settings(plan: RestorePlan, cluster: str) -> dict[str, Any]:
    """What the recovering server has other than the node's own configuration: nobody gets in before the target."""
    return {
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": _names.SOCKET_DIR,
        # With it the server would stand still where the old one had more of something than the configuration gives.
        "hot_standby": "off",
        "synchronous_standby_names": "",
        "primary_conninfo": "",
        # Its WAL stays ready for the node's own server. With a repository of two that is away its archiver would keep
        # this one from ending for minutes.
        "archive_command": "",
        "max_logical_replication_workers": 0,
        # Its messages are read.
        "logging_collector": "off",
        "log_destination": "stderr",
        "lc_messages": "C",
        # Of the first one only: another one that hangs would be asked for each file.
        "restore_command": restore_command(cluster, config_of(FIRST)),
        **scratch.recovery_settings(plan.target, plan.timeline, plan.position),
    }


def known_timelines(server: Server) -> int:
    """The newest timeline that this node's disk knows; 0 where it has no data."""
    wal = server.pgdata / "pg_wal"
    histories = [timeline_of_history(path.name) or 0 for path in wal.glob("*.history")]
    control = server.control_data().newest_timeline if server.initialised else 0
    return max([control, *histories])


@dataclass
class Replacement:
    """Carries out a ``Task`` on this node."""

    task: Task
    service: Service
    server: Server = field(default_factory=Server)
    directory: Path = _names.MARKER_DIR

    @property
    def private(self) -> PrivateServer:
        return PrivateServer(
            self.server,
            self.task.plan.version,
            PORT,
            self.directory / "restore.log",
            _names.CONFIG_FILE,
            "the restore in place",
            private_settings(self.task.plan, self.task.cluster),
        )

    def run(self) -> tuple[dict[str, Any], bool]:
        """What was reached, and whether anything was done for it."""
        marker.ensure_directory(self.directory)
        with instance.held_file(self.directory / "restore.lock", "the restore of this node", self.task.timeout) as lock:
            found = outcome_of(self.task.order, self.directory)
            if found is None:
                found = self._reach(lock)
                write_file(self.directory / OUTCOME, json.dumps(found))
                changed = True
            else:
                changed = False
            return found, self._serve() or changed

    # --- to the target -------------------------------------------------------------------------------------------

    def _reach(self, lock: int) -> dict[str, Any]:
        if marker.read("restore", self.directory) is None:
            raise RelevoError("This node is not marked as one that is being restored, so its data were not touched.")
        # What a killed run has left. Its data are replaced, so they need not be flushed.
        self.private.stop(signal.SIGQUIT, 120)
        copied = self._copy(lock)
        self._prepare()
        started = time.monotonic()
        self.private.start()
        self._wait_open()
        recovered = time.monotonic() - started
        with self.private.session() as asked:
            row = asked.query(REACHED)[0]
            # Without it a backup fails until the next one comes by itself.
            asked.query("CHECKPOINT")
        plan = self.task.plan
        if not instance.read_to_the_end(str(row["lsn"]), plan.at_least):
            # To the server a segment that could not be read is the end of the archive.
            raise blame.FaultError(
                f"The recovery ended at {row['lsn']}, and the archive goes on after {plan.at_least}: a segment from "
                f"that position on cannot be read. {self.task.ways_out}"
            )
        return {
            "order": self.task.order,
            "lsn": row["lsn"],
            "last_commit": row["last_commit"],
            "timeline": int(row["timeline"]),
            "recovered_timeline": plan.timeline,
            "backup": plan.label,
            "copy_s": round(copied, 1),
            "recovery_s": round(recovered, 1),
        }

    def _copy(self, lock: int) -> float:
        plan, more = self.task.plan, list[str]()
        if self.task.process_max:
            more.append(f"--process-max={self.task.process_max}")
        self.server.remove_stale_lock_files()
        if not self.server.pgdata.is_dir():
            self.server.pgdata.mkdir(mode=0o700, parents=True)
            instance.own(self.server.pgdata.parent, self.server.pgdata)
        # We write what ends the recovery ourselves.
        way = scratch.way_options(plan.timeline)
        command = PgBackRest(self.task.cluster).line(
            "restore", "--delta", f"--set={plan.label}", *way, *more, level="error"
        )
        done = _process.run_with_lock(command, self.task.timeout, lock)
        if done.returncode:
            raise blame.fault(
                f"pgBackRest could not restore the backup {plan.label}: {instance.first_error(done.stdout)}. "
                f"{self.task.ways_out}",
                done.stdout,
                rc=done.returncode,
                stderr=done.stdout[-4000:],
            )
        return done.seconds

    def _prepare(self) -> None:
        pgdata = self.server.pgdata
        self.server.clean_auto_conf()
        write_file(pgdata / "recovery.signal", "")
        (pgdata / "standby.signal").unlink(missing_ok=True)
        sync_directory(pgdata)
        # A number that anybody has used before would be given to another history.
        abandoned_timelines.reserve(self.server, self.task.plan.timeline, self.task.newest_timeline)
        # What this node was before it was restored.
        self.server.write_replication_conf("", "")
        synchronous.drop_requirement()

    def _wait_open(self) -> None:
        def answer() -> bool:
            if self.server.postmaster_pid() is None:
                log = self.private.said()
                raise blame.fault(
                    f"The target was not reached. {scratch.failure_in(log)} {self.task.ways_out}",
                    log,
                    log=log[-4000:],
                )
            return self.private.is_open()

        wait_until(answer, "the restored server to reach its target", self.task.timeout, interval=0.2)

    # --- from the target on --------------------------------------------------------------------------------------

    def _serve(self) -> bool:
        """Have the node's service run the restored server; returns whether it did not yet."""
        if self.server.postmaster_pid() is not None and not self.private.is_there():
            self.server.wait_ready(self.task.timeout, standby=False)
            return False
        self.private.stop()
        for kind in ("restore", "rejoin", "fence"):
            marker.remove(kind, self.directory)
        marker.write_start_pass(self.directory)
        self.service.start()
        self.server.wait_ready(300, standby=False)
        return True
