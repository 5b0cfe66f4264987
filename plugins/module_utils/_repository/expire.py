# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing backups, by pgBackRest's own commands: each may be killed, and the next one finishes what it left."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from .._server.lsn import SEGMENT
from .archive import OTHERS_PUSH
from .cleanup import ALL, RETENTION, Holdings, Removal
from .command import answer_in
from .in_use import in_use
from .pgbackrest import (
    ON_DISK,
    STATUS_NO_DATA,
    STATUS_NO_STANZA,
    PgBackRest,
    labels_of,
    parse_config,
    repository_directory,
    running_backup,
)
from .pins import pinned_until

#: More full backups than anybody has: nothing but what is named expires (pgBackRest's own limit).
EVERY = 9999999
#: Seconds for another expiry, or an annotation, to give the lock of the backups back. A backup is not waited for.
LOCK_TIMEOUT = 60.0
#: Seconds for a segment to arrive, where the configuration does not give it longer.
CHECK_TIMEOUT = 60.0
_EXPIRES = re.compile(r"repo\d+: expire .*backup")
_LABEL = re.compile(r"\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?")
_SEGMENT = re.compile(rf"(?:^|/)({SEGMENT.pattern})-[0-9a-f]{{40}}")


@dataclass(frozen=True)
class Retention:
    """What the configuration keeps: ``full`` backups, or days where ``by_time``; 0 for all."""

    full: int
    by_time: bool = False

    @property
    def text(self) -> str:
        if not self.full:
            return ""
        return f"{self.full} {'days' if self.by_time else 'full backup' if self.full == 1 else 'full backups'}"


def _configured(pgbackrest: PgBackRest, name: str, otherwise: str) -> str:
    """An option in the configuration file on this host, which must be the repository's."""
    parser = parse_config(pgbackrest.config.read_text())
    for section in (pgbackrest.stanza, "global"):
        if parser.has_option(section, name):
            return parser.get(section, name)
    return otherwise


def configured_retention(pgbackrest: PgBackRest) -> Retention:
    """From pgBackRest's configuration file."""
    full = _configured(pgbackrest, "repo1-retention-full", "0")
    return Retention(int(full), _configured(pgbackrest, "repo1-retention-full-type", "count") == "time")


def _archive_timeout(pgbackrest: PgBackRest) -> float:
    """How many seconds the configuration gives a segment: with a second repository more. 0 where it has a unit."""
    given = _configured(pgbackrest, "archive-timeout", "0")
    return float(given) if given.isdigit() else 0.0


def would_expire(pgbackrest: PgBackRest) -> list[str]:
    """The labels that the configured retention no longer keeps, by pgBackRest's own word."""
    said = pgbackrest.run_when_free("expire", "--dry-run", timeout=LOCK_TIMEOUT, level="info").messages("INFO")
    return sorted({label for line in said if _EXPIRES.search(line) for label in _LABEL.findall(line)})


def sizes_on_disk(pgbackrest: PgBackRest, timeout: float = 300) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes in the repository by label, and by archived segment; of any kind of repository."""
    backups: dict[str, int] = {}
    for name, size in _files(pgbackrest, f"backup/{pgbackrest.stanza}", timeout):
        label = name.partition("/")[0]
        if _LABEL.fullmatch(label):
            backups[label] = backups.get(label, 0) + size
    wal: dict[str, int] = {}
    for name, size in _files(pgbackrest, f"archive/{pgbackrest.stanza}", timeout):
        found = _SEGMENT.search(name)
        if found:
            wal[found[1]] = wal.get(found[1], 0) + size
    return backups, wal


def _files(pgbackrest: PgBackRest, path: str, timeout: float) -> list[tuple[str, int]]:
    answer = pgbackrest.read("repo-ls", "--recurse", "--output=json", path=path, timeout=timeout)
    listed = json.loads(answer_in(answer.stdout) or "{}")
    return [(name, int(one.get("size") or 0)) for name, one in listed.items() if one.get("type") == "file"]


def _is_empty(pgbackrest: PgBackRest) -> bool:
    """Whether the repository is a directory of this host without a trace of pgBackRest: a deletion leaves some."""
    text = pgbackrest.config.read_text()
    if parse_config(text).get("global", "repo1-type", fallback="posix") not in ON_DISK:
        return False
    directory = repository_directory(text)
    return not any((directory / name).is_dir() for name in ("archive", "backup"))


def holdings(pgbackrest: PgBackRest, now: datetime | None = None, operation: str = "") -> Holdings:
    """All that decides what may be removed, without the catalog's part."""
    entry = pgbackrest.info()
    retention = configured_retention(pgbackrest).text
    if entry["status"]["code"] == STATUS_NO_STANZA:
        return Holdings([], retention=retention, exists=False, mounted=not _is_empty(pgbackrest))
    if entry["status"]["code"] == STATUS_NO_DATA and operation == ALL:
        # A deletion that was cut off: pgBackRest removes the lists of what there is first, and then the files.
        sizes, wal = sizes_on_disk(pgbackrest)
        return Holdings([], retention=retention, sizes=sizes, wal=wal, exists=False)
    pgbackrest.require_stanza()
    backups = entry.get("backup") or []
    moment = now or datetime.now(UTC)
    pinned = {str(one["label"]): until for one in backups if (until := pinned_until(one, moment))}
    needed = {label: f"is pinned until {until:%Y-%m-%d %H:%M} UTC" for label, until in pinned.items()}
    sizes, wal = sizes_on_disk(pgbackrest)
    running = running_backup(entry) or ""
    return Holdings(
        backups,
        needed=in_use(pgbackrest.stanza, labels_of(entry)) | needed,
        # Even a dry run wants the lock that a backup holds, and beside one nothing is removed.
        expired=would_expire(pgbackrest) if backups and not running else [],
        retention=retention,
        sizes=sizes,
        wal=wal,
        running=running,
    )


def thin_out(pgbackrest: PgBackRest, planned: Removal, timeout: float) -> None:
    """Remove what ``keep`` or ``retention`` has decided on, and the WAL that no backup needs any more.

    Also where nothing is left to remove: pgBackRest then finishes what a killed run has left.
    """
    expire = partial(pgbackrest.run_when_free, "expire", timeout=LOCK_TIMEOUT, takes=timeout)
    if planned.operation == RETENTION and not planned.stays:
        expire()
        return
    # What the configuration keeps of differential backups and of WAL is not what was asked for.
    kept = [f"--reset-repo1-retention-{name}" for name in ("diff", "archive", "archive-type")]
    if planned.stays:
        for label in planned.roots:
            # Of the WAL, nothing: what stays may have to be replayed up to any moment.
            expire(f"--set={label}", f"--repo1-retention-full={EVERY}", *kept)
    if planned.fulls_left:
        count = ["--repo1-retention-full-type=count", f"--repo1-retention-full={planned.fulls_left}"]
        expire(*count, *kept)


def stop_and_delete(pgbackrest: PgBackRest, *options: str, timeout: float) -> None:
    """Remove its backups and its archive, within ``timeout`` seconds after whoever pushes WAL has let go of it.

    While it is stopped no push begins, so the one that goes on is waited for: with a repository that hangs there is
    nearly always one.
    """
    # pgBackRest wants it: nobody may write into what is being removed.
    pgbackrest.run("stop")
    try:
        pgbackrest.run_when_free("stanza-delete", "--force", *options, timeout=OTHERS_PUSH, takes=timeout)
    finally:
        # Also the one of a run that was killed; without one it says so, and nothing else.
        pgbackrest.run("start")


def remove_everything(pgbackrest: PgBackRest, timeout: float) -> None:
    """Remove all backups and all WAL, and leave a stanza that is empty and works.

    Nothing is archived in between: the primary keeps its WAL and archives it afterwards. Run again after a kill, it
    begins anew, and ends in the same state.
    """
    options, _unreachable = pgbackrest.reachable()
    if pgbackrest.info()["status"]["code"] == STATUS_NO_STANZA:
        # The stop file of a run that was killed after it had deleted.
        pgbackrest.run("start")
    else:
        stop_and_delete(pgbackrest, *options, timeout=timeout)
    pgbackrest.run_when_free("stanza-create", *options, timeout=OTHERS_PUSH)
    pgbackrest.prove_archiving(options, max(CHECK_TIMEOUT, _archive_timeout(pgbackrest)))
