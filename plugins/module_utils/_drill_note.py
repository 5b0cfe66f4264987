# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the last drill found, as the annotations of backups hold it.

A drill annotates the backup that it tried (``relevo-drill-*``). That backup expires after days, so every later backup
carries the newest result along (``relevo-last-drill``): otherwise a failure would be forgotten with the backup that
could not be restored, and no result would ever get old.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

#: A JSON object with ``label`` and what ``FIELDS`` names, each as text.
CARRIED = "relevo-last-drill"
FIELDS = ("at", "result", "reason", "rto", "rpo")


def _own(backup: Mapping[str, Any]) -> dict[str, str] | None:
    notes = backup.get("annotation") or {}
    if "relevo-drill-at" not in notes:
        return None
    return {"label": str(backup["label"]), **{name: str(notes.get(f"relevo-drill-{name}", "")) for name in FIELDS}}


def _brought(backup: Mapping[str, Any]) -> dict[str, str] | None:
    try:
        given = json.loads((backup.get("annotation") or {}).get(CARRIED, "null"))
    except ValueError:
        # Annotations can be written by anybody.
        return None
    if not isinstance(given, dict) or not given.get("at"):
        return None
    return {name: str(given.get(name, "")) for name in ("label", *FIELDS)}


def last_drill(backups: Iterable[Mapping[str, Any]]) -> dict[str, str] | None:
    """The newest result, ``label`` and ``FIELDS`` as text; None where no backup knows of any.

    ``backups``: as ``info`` lists them. ``at``: ISO 8601 in UTC. ``rto`` and ``rpo``: seconds, or empty.
    """
    found = [note for backup in backups for note in (_own(backup), _brought(backup)) if note]
    return max(found, key=lambda note: note["at"], default=None)


def carried(backups: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The annotations that the next backup gets, for the newest result to outlive the backup that was tried."""
    last = last_drill(backups)
    return {CARRIED: json.dumps(last)} if last else {}
