"""Moments inside a module, made to last until the fault is injected.

Each freezes the process whose work would end the moment, so nothing depends on how fast the machine is.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from cluster import PGDATA, psql, shell, wait_until
from scene import FENCE, Scene, signal_if_there, signal_process, status, wait_inside
from table import RESTORED

REPLICATION_CONF = "/etc/relevo/conf.d/90-replication.conf"
# Looks for a process by its command line, as often as it can, and freezes it.
FREEZE = r"""
import os, signal, sys, time
from pathlib import Path
wanted, deadline = [one.encode() for one in sys.argv[1:]], time.monotonic() + 100
while time.monotonic() < deadline:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command, *arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if os.path.basename(command) == wanted[0] and set(wanted[1:]) <= set(arguments):
                os.kill(int(entry.name), signal.SIGSTOP)
                print(entry.name, flush=True)
                sys.exit(0)
    time.sleep(0.005)
sys.exit("no such process came")
"""

Release = Callable[[], None]


@dataclass(frozen=True)
class Moment:
    """``task``: where the play is held to make the moment last. ``arm`` does that; the function that it returns waits
    for the moment once the play goes on, and returns what lets it pass."""

    task: str
    arm: Callable[[Scene], Callable[[], Release]]


def release(node: str, *pids: str) -> Release:
    def thaw() -> None:
        # With the container its processes are gone.
        if status(node) == "running":
            for pid in pids:
                signal_if_there(node, pid, "CONT")

    return thaw


def backend(node: str, kind: str) -> str:
    return psql(node, f"SELECT pid FROM pg_stat_activity WHERE backend_type = '{kind}'")


def window(scene: Scene) -> Callable[[], Release]:
    """The primary is fenced and stopping; the candidate replays nothing, so it is not promoted."""
    startup = backend(scene.standby, "startup")
    signal_process(scene.standby, startup, "STOP")

    def reached() -> Release:
        wait_inside(scene.primary, f"[ -e {FENCE} ]", "the fence marker")
        return release(scene.standby, startup)

    return reached


def requested(scene: Scene) -> Callable[[], Release]:
    """The candidate was asked to take over, and its postmaster has not heard of it."""
    marked = window(scene)

    def reached() -> Release:
        thaw = marked()
        postmaster = shell(scene.standby, "head", "-1", f"{PGDATA}/postmaster.pid").strip()
        signal_process(scene.standby, postmaster, "STOP")
        thaw()
        wait_inside(scene.standby, f"[ -e {PGDATA}/promote ]", "the request of the promotion")
        return release(scene.standby, postmaster)

    return reached


def end_wal_receiver(node: str) -> None:
    """One that hangs on the dead connection could not be ended without the process that is to be frozen."""

    def ended() -> bool:
        pid = psql(node, "SELECT pid FROM pg_stat_wal_receiver")
        if pid:
            # pg_terminate_backend() knows only processes that clients and background workers have.
            signal_if_there(node, pid, "TERM")
        return not pid

    wait_until(ended, "the WAL receiver to end", 30)


def salvage(scene: Scene) -> Callable[[], Release]:
    """The candidate has left the dead primary and has not replayed what was saved of its WAL."""
    end_wal_receiver(scene.standby)
    startup = backend(scene.standby, "startup")
    signal_process(scene.standby, startup, "STOP")

    def reached() -> Release:
        condition = f"grep -q \"primary_conninfo = ''\" {REPLICATION_CONF}"
        wait_inside(scene.standby, condition, "the candidate to leave the dead primary")
        return release(scene.standby, startup)

    return reached


def backup(scene: Scene) -> Callable[[], Release]:
    """pgBackRest waits for the checkpoint with which a backup begins."""
    checkpointer = backend(scene.primary, "checkpointer")
    signal_process(scene.primary, checkpointer, "STOP")
    begun = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_backup_start%' AND pid <> pg_backend_pid()"

    def reached() -> Release:
        wait_until(lambda: psql(scene.primary, begun) == "1", "the backup to begin", 60)
        return release(scene.primary, checkpointer)

    return reached


def at_work(role: str, *program: str) -> Callable[[Scene], Callable[[], Release]]:
    """A program (its name, and arguments that it must have) is at work on a node; it makes no progress."""

    def arm(scene: Scene) -> Callable[[], Release]:
        node = scene.node(role)
        command = ["docker", "exec", node, "python3", "-c", FREEZE, *program]
        watcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

        def reached() -> Release:
            pid = watcher.communicate(timeout=120)[0].strip()
            assert watcher.returncode == 0, f"{' '.join(program)} was not started on {node}"
            return release(node, pid)

        return reached

    return arm


MOMENTS = {
    "in the write window": Moment("Hand over to", window),
    "promotion requested": Moment("Hand over to", requested),
    "salvage replaying": Moment("Promote the candidate", salvage),
    "backup under way": Moment("Make the backup$", backup),
    "pg_rewind under way": Moment("Make the other nodes follow$", at_work("standby", "pg_rewind")),
    "base backup under way": Moment("Follow the primary$", at_work("standby", "pg_basebackup")),
    "data being replaced": Moment(RESTORED, at_work("primary", "pgbackrest", "restore")),
    "scratch instance being copied": Moment(RESTORED, at_work("repository", "pgbackrest", "restore")),
    "drill's copy being made": Moment("Restore the backup, look at it", at_work("repository", "pgbackrest", "restore")),
    # Not the question what would expire, which comes first.
    "expiry under way": Moment(
        "Remove what is not kept", at_work("repository", "pgbackrest", "expire", "--reset-repo1-retention-diff")
    ),
}
