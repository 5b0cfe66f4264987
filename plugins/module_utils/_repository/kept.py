# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the repository's directory of backups holds: ``info`` reads only the list that stands beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .pgbackrest import PgBackRest, labels_of

#: Without its manifest pgBackRest restores nothing of a backup.
_MANIFEST = r"^[^/]+/backup\.manifest$"


def lost_backups(pgbackrest: PgBackRest, entry: Mapping[str, Any], timeout: float = 30) -> list[str]:
    """Labels that ``entry``, which ``info`` gave, lists and whose directory is gone."""
    found = pgbackrest.names(f"backup/{pgbackrest.stanza}", timeout, below=_MANIFEST)
    there = {path.partition("/")[0] for path in found}
    lost = set(labels_of(entry)) - there
    if lost:
        # What has expired since then is not listed any more.
        lost &= set(labels_of(pgbackrest.info(timeout)))
    return sorted(lost)


def first_backup(pgbackrest: PgBackRest, timeout: float = 30) -> float | None:
    """When the first backup of the stanza ended, seconds since 1970, also where it has expired; None without one.

    pgBackRest keeps the manifests of expired backups (``backup.history``) until the stanza is deleted.
    """
    kept = pgbackrest.times(f"backup/{pgbackrest.stanza}/backup.history", r"\.manifest", timeout)
    return min(kept.values(), default=None)
