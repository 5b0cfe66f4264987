# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes the space of a stanza in the repository: each type of backup, the WAL, and what backups share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .records import TYPES

#: Rows that are no type of backup.
WAL, REST = "wal", "rest"


@dataclass(frozen=True)
class Part:
    """``kind``: a record's type, or ``WAL`` or ``REST``. ``own``: bytes that go when it goes.

    ``shared``: bytes of other backups that a restore of these reads besides; None where pgBackRest does not say, as
    with block increments.
    """

    kind: str
    count: int
    own: int
    shared: int | None = None


def space(stanza: str, backups: Sequence[Mapping[str, Any]], usage: Mapping[str, Any] | None) -> list[Part]:
    """The parts, in the order of the types. ``usage``: what ``repository_usage`` returned; without it there is no WAL.

    On disk a backup takes what its directory takes; otherwise what pgBackRest has counted.
    """
    on_disk = {str(one["path"]): int(one["bytes"]) for one in (usage or {}).get("directories", ())}
    parts = []
    for kind, name in TYPES.items():
        chosen = [backup for backup in backups if backup.get("type") == kind]
        own = sum(on_disk.get(f"backup/{stanza}/{one['label']}", _stored(one, "delta") or 0) for one in chosen)
        parts.append(Part(name, len(chosen), own, _shared(chosen)))
    if f"archive/{stanza}" in on_disk:
        parts.append(Part(WAL, 0, on_disk[f"archive/{stanza}"]))
    if f"backup/{stanza}" in on_disk:
        rest = on_disk[f"backup/{stanza}"] - sum(part.own for part in parts if part.kind != WAL)
        parts.append(Part(REST, 0, max(0, rest)))
    return parts


def _shared(backups: Sequence[Mapping[str, Any]]) -> int | None:
    sizes = [(_stored(backup, "size"), _stored(backup, "delta")) for backup in backups]
    return sum(size - own for size, own in sizes if size is not None and own is not None) if _known(sizes) else None


def _known(sizes: Sequence[tuple[int | None, int | None]]) -> bool:
    return all(size is not None and own is not None for size, own in sizes)


def _stored(backup: Mapping[str, Any], name: str) -> int | None:
    value = ((backup.get("info") or {}).get("repository") or {}).get(name)
    return None if value is None else int(value)
