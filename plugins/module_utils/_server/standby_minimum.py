# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The five settings that may not be lower on a standby than on the primary whose WAL it replays.

A standby with a lower one does not start ("insufficient parameter settings"). What its primary had last is in its own
control file, which follows the WAL. So a standby is started with the greater of file and control file: an old primary
that comes back after a setting was lowered, and every standby until its primary has been restarted. Raised values go
to the standbys first, lowered ones to the primary, without anybody having to tell which is which.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .. import _names, _process
from .._durable import sync_directory, write_file
from .server import Server
from .settings_file import line_for, settings_of

#: By name: how ``pg_controldata`` calls it, and PostgreSQL's own default (guc_tables.c).
COMPARED = {
    "max_connections": ("max_connections", 100),
    "max_worker_processes": ("max_worker_processes", 8),
    "max_wal_senders": ("max_wal_senders", 10),
    "max_prepared_transactions": ("max_prepared_xacts", 0),
    "max_locks_per_transaction": ("max_locks_per_xact", 64),
}
#: After all others of that directory, of which the last one counts.
FILE = _names.REPLICATION_CONF.parent / "95-standby-minimum.conf"
_NOTE = "# Written by relevo.postgres: this standby's primary had these values last. They go when it has lower ones.\n"


def control_values(said: str) -> dict[str, int]:
    """What the primary had last, from the output of ``pg_controldata``."""
    found = {match[1]: int(match[2]) for match in re.finditer(r"^(\w+) setting: +(\d+)$", said, re.MULTILINE)}
    return {name: found[label] for name, (label, _default) in COMPARED.items() if label in found}


def minimum(configured: Mapping[str, str], control: Mapping[str, int]) -> dict[str, int]:
    """The values with which a standby has to start instead of those that are configured."""
    found = {}
    for name, least in control.items():
        given = configured.get(name, str(COMPARED[name][1]))
        # What is not a number in digits the server has judged; it is left to it.
        if given.isdecimal() and int(given) < least:
            found[name] = least
    return found


def of_primary(server: Server) -> dict[str, int]:
    """What the primary had last whose WAL this node has replayed."""
    return control_values(
        _process.run([str(server.bin_directory / "pg_controldata"), str(server.pgdata)], timeout=10).stdout
    )


def needed(server: Server) -> dict[str, int]:
    """What this node needs now; nothing unless it starts as a standby or in recovery."""
    recovers = server.is_standby_configured or (server.pgdata / "recovery.signal").exists()
    if not recovers or not _names.CONFIG_FILE.exists():
        return {}
    return minimum(settings_of(_names.CONFIG_FILE.read_text()), of_primary(server))


def in_place() -> dict[str, str]:
    """The values that are written for this node."""
    return settings_of(FILE.read_text()) if FILE.exists() else {}


def bring(server: Server, check_mode: bool = False) -> bool:
    """Write what this node needs, or nothing; returns whether that has changed."""
    wanted = needed(server)
    if in_place() == {name: str(value) for name, value in wanted.items()}:
        return False
    if check_mode:
        return True
    if wanted:
        write_file(FILE, _NOTE + "".join(f"{line_for(name, str(value))}\n" for name, value in wanted.items()))
    else:
        FILE.unlink()
        sync_directory(FILE.parent)
    return True
