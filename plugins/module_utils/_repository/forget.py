# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the repository host holds of a cluster, and its removal for good. Each step may be killed, and run again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .._errors import RelevoError
from .cleanup import ALL
from .expire import holdings, stop_and_delete
from .fence_record import FenceRecord
from .pgbackrest import PgBackRest, in_bucket, parse_config
from .restore_record import RestoreRecord, place_of_records

LOGS, LOCKS = Path("/var/log/pgbackrest"), Path("/tmp/pgbackrest")
#: No server's data directory.
GONE = Path("/nonexistent")
#: Stanza names may begin alike, so the commands are named: pgBackRest's, as the names of its logs have them.
COMMANDS = (
    "annotate|archive-get|archive-push|backup|check|expire|info|manifest|repo-get|repo-ls|restore|stanza-create|"
    "stanza-delete|stanza-upgrade|start|stop|verify"
)


def held(pgbackrest: PgBackRest) -> dict[str, Any]:
    """What there is of the stanza, and which other stanzas there are."""
    nothing: dict[str, Any] = {
        "configured": False,
        "backups": [],
        "exists": False,
        "pieces": False,
        "needed": {},
        "others": [],
        "running": "",
    }
    if not pgbackrest.config.exists():
        return nothing
    found = holdings(pgbackrest, operation=ALL)
    stanzas = {name for folder in ("backup", "archive") for name in pgbackrest.names(folder)}
    return {
        "configured": True,
        "backups": sorted(str(backup["label"]) for backup in found.backups),
        "exists": found.exists,
        "pieces": not found.exists and bool(found.sizes or found.wal),
        "needed": dict(found.needed),
        "others": sorted(stanzas - {pgbackrest.stanza}),
        "running": found.running,
    }


def delete_stanza(pgbackrest: PgBackRest, timeout: float) -> None:
    """Remove its backups and its archive. Nobody is asked: the servers have gone, though a push of theirs may go on."""
    stop_and_delete(pgbackrest, *_place(pgbackrest), timeout=timeout)


def _place(pgbackrest: PgBackRest) -> list[str]:
    """Where its server was: pgBackRest wants to know, also of a cluster that was removed and whose backups stayed."""
    known = parse_config(pgbackrest.config.read_text()).has_section(pgbackrest.stanza)
    return [] if known else [f"--pg1-path={GONE}"]


def residue(stanza: str, logs: Path = LOGS, locks: Path = LOCKS) -> list[Path]:
    """Logs, locks and stop files of a stanza on this host."""
    name = re.escape(stanza)
    log = re.compile(rf"{name}-({COMMANDS})(-async)?\.log")
    lock = re.compile(rf"{name}(-(archive|backup)(-\d+)?)?\.(lock|stop)")
    found = [(logs, log), (locks, lock)]
    return sorted(
        path
        for folder, pattern in found
        if folder.is_dir()
        for path in folder.iterdir()
        if pattern.fullmatch(path.name)
    )


def forget_cluster(pgbackrest: PgBackRest, nodes: Iterable[str], *, everything: bool) -> list[str]:
    """Withdraw the records of its nodes' fences and of a restore in place; with ``everything``, its logs and locks too.

    Returns what was removed.
    """
    done = []
    if pgbackrest.config.exists():
        text = pgbackrest.config.read_text()
        try:
            directory = place_of_records(text)
        except RelevoError:
            # The repository is another host's, and so are the records.
            directory = None
        if directory is not None:
            # In a bucket there are none of fences.
            fenced = [] if in_bucket(text) else nodes
            done += [f"the fence record of {node}" for node in fenced if FenceRecord(node).withdraw(directory)]
            done += ["the record of a restore"] if RestoreRecord(pgbackrest.stanza, directory).remove() else []
    if everything:
        for path in residue(pgbackrest.stanza):
            path.unlink(missing_ok=True)
            done.append(str(path))
    return done
