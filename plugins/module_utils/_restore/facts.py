# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan of a restore is made of, asked of the repository and of the host that would get it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import _names
from .._errors import RelevoError
from .._repository.archive import ARRIVAL, IN_FLIGHT, Archive
from .._repository.away import answering
from .._repository.command import CONFIG, repositories
from .._repository.pgbackrest import PgBackRest
from .._server.lsn import timeline_of_history
from .._wait import wait_until
from .plan import Place
from .reach import Repository, all_gaps

#: Of the file system, what has to stay free for the archive that goes on.
RESERVE = 0.02


def read_repository(pgbackrest: PgBackRest, timeout: float = 30) -> Repository:
    """All that the plan needs, in a call of pgBackRest for the backups, one for the archive and one for each
    history."""
    found = settled_repository(pgbackrest, pgbackrest.require_stanza(timeout), timeout)
    # With one timeline nobody has to know when another one began.
    return found.with_times(times_of_other(pgbackrest, timeout)) if found.histories else found


def times_of_other(pgbackrest: PgBackRest, timeout: float = 30) -> dict[str, float]:
    """When the other repository of two got what it has of the same archive; nothing where there is none, or it is
    away."""
    base = pgbackrest.config.with_name(CONFIG.name)
    numbers = repositories(base)
    if len(numbers) == 1:
        return {}
    try:
        there, _away = answering(pgbackrest.stanza, numbers, base)
        own = Archive.newest(pgbackrest, timeout)
        for number in there:
            if number != pgbackrest.repository:
                archive = Archive.newest(PgBackRest(pgbackrest.stanza, base, number), timeout)
                same = own is not None and archive is not None and own.identifier == archive.identifier
                return archive.files() if same and archive else {}
    except RelevoError:
        # It only makes more exact what is known without it.
        return {}
    return {}


def repository_of(pgbackrest: PgBackRest, entry: Mapping[str, Any], timeout: float = 30) -> Repository:
    """The same for who has asked for the stanza already: ``entry`` is what ``require_stanza`` gave."""
    archive = Archive.newest(pgbackrest, timeout)
    files = archive.files() if archive else {}
    histories: dict[int, tuple[str, float]] = {}
    for name, archived in files.items():
        timeline = timeline_of_history(name)
        if archive and timeline is not None:
            histories[timeline] = (archive.history(timeline) or "", archived)
    segments = {name: archived for name, archived in files.items() if timeline_of_history(name) is None}
    return Repository(entry.get("backup") or [], entry.get("db") or [], segments, histories)


def settled_repository(pgbackrest: PgBackRest, entry: Mapping[str, Any], timeout: float = 30) -> Repository:
    """The same where segments may be on their way: several are archived at a time, and a later one may come first."""
    found = repository_of(pgbackrest, entry, timeout)

    def arrived() -> Repository | None:
        again = repository_of(pgbackrest, entry, timeout)
        return None if _on_its_way(again) else again

    if not _on_its_way(found):
        return found
    try:
        return wait_until(arrived, "segments to arrive", ARRIVAL, interval=0.5)
    except RelevoError:
        # They have not arrived, and so they are missing.
        return repository_of(pgbackrest, entry, timeout)


def _on_its_way(repository: Repository) -> bool:
    return any(gap["count"] < IN_FLIGHT for gap in all_gaps(repository)[-1:])


def version_of(databases: Sequence[Mapping[str, Any]]) -> str:
    """The major version of the stanza's newest system."""
    if not databases:
        raise RelevoError("The repository knows no database of this stanza. Take a backup with backup.yml.")
    return str(databases[-1]["version"])


def foreign(databases: Sequence[Mapping[str, Any]], system_identifier: str) -> str:
    """Why backups of another cluster are not restored for this one, as a sentence; empty where they are its own."""
    newest = str(databases[-1]["system-id"]) if databases else ""
    if not system_identifier or not newest or newest == system_identifier:
        return ""
    return (
        f"The repository's backups are of a cluster with the system identifier {newest}, and the one that runs has "
        f"{system_identifier}. They hold none of its data; name the right inventory or cluster."
    )


def place_of(host: str, root: Path, version: str, own: int = 0, container: bool = False) -> Place:
    """What this host has for an instance below ``root``; ``own``: the bytes of what it would replace."""
    path = next(one for one in (root, *root.parents) if one.exists())
    system = os.statvfs(path)
    return Place(
        host,
        str(root),
        system.f_bavail * system.f_frsize + own,
        int(system.f_blocks * system.f_frsize * RESERVE),
        (_names.bin_directory(version) / "postgres").exists(),
        version,
        container,
    )
