# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making one backup: which servers it sees, what its end means, what it left in the repository."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from .._drill_note import carried
from .._errors import RelevoError
from .._recovery_window import of_newest_system
from .errors import is_locked
from .in_use import in_use
from .pgbackrest import Finished, PgBackRest, annotation_options, find_backup, labels_of, running_backup
from .pins import days_to_keep, fulls_to_keep, pinned_until

#: How pgBackRest says that a standby did not get as far as the backup's beginning: src/db/db.c, ``dbReplayWait``.
STANDBY_BEHIND = "before standby replayed"

#: What pgBackRest made, by the last letter of the label.
TYPES = {"F": "full", "D": "diff", "I": "incr"}


@dataclass(frozen=True)
class BackupRequest:
    """What a backup is asked for; ``host`` names the server to copy from in offline mode."""

    type: str
    annotations: Mapping[str, str]
    online: bool = True
    force: bool = False
    host: str | None = None
    process_max: int | None = None
    retention_full: int | None = None
    timeout: float | None = None
    connect_timeout: float = 5

    def validate(self) -> None:
        if self.force and self.online:
            raise RelevoError("force belongs to offline backups. Set online=false too, or leave force out.")

    def options(self, force: bool = False, keep: int | None = None) -> list[str]:
        """pgBackRest's options for the request; ``force`` copies a running server's files and marks the backup.

        ``keep``: how many full backups must stay, or those of how many days, where that is more than retention keeps.
        """
        annotations = dict(self.annotations)
        given = [f"--type={self.type}"]
        if not self.online:
            given.append("--no-online")
        if force:
            given.append("--force")
            annotations["relevo-consistent"] = "false"
        if self.process_max is not None:
            given.append(f"--process-max={self.process_max}")
        if keep is not None or self.retention_full is not None:
            given.append(f"--repo1-retention-full={keep or self.retention_full}")
        return given + annotation_options(annotations)


@dataclass(frozen=True)
class BackupMade:
    """What became of a request; without ``backup`` nothing had changed since the last one, and none was made."""

    backup: dict[str, Any] | None
    expired: list[str]
    unreachable: list[str]
    forced: bool
    finished: Finished


def choose_hosts(pgbackrest: PgBackRest, request: BackupRequest) -> tuple[list[str], list[str]]:
    """The options that choose the servers, and the names of those that were left out because they do not answer."""
    if request.online:
        return pgbackrest.reachable(request.connect_timeout)
    if request.host:
        return pgbackrest.only_host(request.host), []
    if len(pgbackrest.hosts()) > 1:
        # Offline, pgBackRest asks no server who is primary: it copies pg1, which may be a standby.
        raise RelevoError(
            f"Stanza {pgbackrest.stanza} has several servers, and an offline backup does not find the primary. "
            "Set host to the address of the primary."
        )
    return [], []


def keep_for_pins(
    pgbackrest: PgBackRest, request: BackupRequest, backups: Sequence[Mapping[str, Any]], now: datetime | None = None
) -> int | None:
    """How many full backups the expiry after this one must leave, for what is pinned or being read to stay.

    Days where the retention is by time, which is the same option of pgBackRest's. None where none of that would go.
    """
    moment = now or datetime.now(UTC)
    labels = [str(backup["label"]) for backup in backups]
    needed = [str(backup["label"]) for backup in backups if pinned_until(backup, moment)]
    needed += in_use(pgbackrest.stanza, labels)
    if not needed:
        return None
    # Here, with all that an expiry knows of: mostly nothing is pinned, and a program compiles what it loads.
    from .expire import configured_retention

    retention = configured_retention(pgbackrest)
    configured = request.retention_full or retention.full
    if not configured:
        return None
    if retention.by_time:
        keep = days_to_keep(backups, needed, configured, moment)
    else:
        keep = fulls_to_keep(backups, needed, configured, coming=1)
    return keep if keep > configured else None


def make_backup(pgbackrest: PgBackRest, request: BackupRequest) -> BackupMade:
    """Make one backup, and expire what retention no longer keeps."""
    request.validate()
    before = pgbackrest.require_stanza()
    known = of_newest_system(before.get("backup") or [], before.get("db") or [])
    request = replace(request, annotations={**carried(known), **request.annotations})
    hosts, unreachable = choose_hosts(pgbackrest, request)
    keep = keep_for_pins(pgbackrest, request, before.get("backup") or [])

    def attempt(force: bool, *more: str) -> Finished:
        options = [*request.options(force, keep), *hosts, *more]
        # Asked to end, pgBackRest stops the backup on the server; that may take a while.
        return pgbackrest.try_run("backup", *options, timeout=request.timeout, level="info", grace=20)

    finished, forced = attempt(force=False), False
    if finished.returncode and "postmaster.pid exists" in finished.stderr and request.force:
        # Only now is it known that the server runs, and so that the copy must be marked as not consistent.
        finished, forced = attempt(force=True), True
    if finished.returncode and STANDBY_BEHIND in finished.stderr:
        # pgBackRest takes a standby that answers, and gives up where its replay is paused, delayed or blocked.
        finished = attempt(False, "--backup-standby=n")
    if finished.nothing_changed:
        return BackupMade(None, [], unreachable, forced, finished)
    if finished.returncode:
        raise with_progress(pgbackrest, pgbackrest.failure("backup", finished, unreachable))
    after = pgbackrest.info()
    label = finished.label
    backup = find_backup(after, label) if label else None
    if backup is None:
        raise RelevoError(
            f"pgBackRest reported success, but its repository does not list the backup {label or '(no label)'}. Look "
            "at its log and at 'pgbackrest info' on the repository host.",
            stderr=finished.stderr,
        )
    expired = [known for known in labels_of(before) if known not in labels_of(after)]
    return BackupMade(backup, expired, unreachable, forced, finished)


def is_busy(error: RelevoError) -> bool:
    """Whether a call of pgBackRest failed since another one holds the lock, which lets go of it by itself."""
    return is_locked(int(error.details.get("rc") or 0), str(error.details.get("stderr") or ""))


def with_progress(pgbackrest: PgBackRest, error: RelevoError) -> RelevoError:
    """Say how far the backup is that holds the lock, where that was the failure."""
    if not is_busy(error):
        return error
    running = running_backup(pgbackrest.info())
    progress = f" ({running})" if running else ""
    return RelevoError(
        f"A backup of stanza {pgbackrest.stanza} is already running{progress}. Run this again when it has ended.",
        **error.details,
    )


def wait_for_idle(
    pgbackrest: PgBackRest, timeout: float, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Return the information once no backup holds the stanza's lock; ``RelevoError`` after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        entry = pgbackrest.info()
        running = running_backup(entry)
        if running is None:
            return entry
        if time.monotonic() >= deadline:
            raise RelevoError(
                f"A backup of stanza {pgbackrest.stanza} is already running ({running}). Run this again when it has "
                "ended.",
                status=entry.get("status"),
            )
        sleep(1)
