# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replication slots that are not those of the standbys: what becomes of them when the role moves.

A physical slot is known to its server only. A logical one comes along when it was made with ``failover`` and the
candidate has synchronised it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .. import _names
from .answer import Slot

#: All slots of a server as a list of ``Slot``. A standby's keeps what it has replayed since. Three columns came with
#: PostgreSQL 16 and 17; of a row as JSON a missing one is null, where its name would be an error.
SLOTS = """SELECT coalesce(json_agg(json_build_object(
        'name', slot_name, 'type', slot_type, 'active', active, 'wal_status', wal_status,
        'restart_lsn', restart_lsn, 'database', database, 'temporary', temporary,
        'failover', coalesce((to_jsonb(s) ->> 'failover')::boolean, false),
        'synced', coalesce((to_jsonb(s) ->> 'synced')::boolean, false),
        'invalidated', to_jsonb(s) ->> 'invalidation_reason',
        'kept_bytes', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
                      - restart_lsn)
        ORDER BY slot_name), '[]'::json) FROM pg_replication_slots s"""


def of_others(slots: Iterable[Slot], nodes: Iterable[str]) -> list[Slot]:
    """The slots that somebody else made. A temporary one goes with its connection, which ends anyway."""
    ours = {_names.slot_name(name) for name in nodes}
    return [slot for slot in slots if not slot.temporary and not (slot.type == "physical" and slot.name in ours)]


def not_synchronised(primary: Iterable[Slot], standby: Iterable[Slot]) -> list[Slot]:
    """The primary's failover slots that would not be there if this standby were promoted."""
    there = {slot.name for slot in ready(standby)}
    return [slot for slot in primary if slot.failover and not slot.invalidated and slot.name not in there]


def ready(standby: Iterable[Slot]) -> list[Slot]:
    """The failover slots that a standby has and would keep when it is promoted."""
    return [slot for slot in standby if slot.synced and not slot.temporary and not slot.invalidated]


def left_behind(
    primary: str, slots: Sequence[Slot], candidate: str, there: Iterable[Slot], nodes: Iterable[str]
) -> list[str]:
    """A sentence for each slot on ``primary`` that will not be on ``candidate``, which has ``there``."""
    late = {slot.name for slot in not_synchronised(slots, there)}
    said = []
    for slot in of_others(slots, nodes):
        if slot.type == "logical" and not slot.failover:
            said.append(
                f"The logical slot {slot.name} (database {slot.database}) stays behind on {primary}, where it keeps "
                f"WAL; on {candidate} its consumer has to begin anew. Slots made with failover = true come along."
            )
        elif slot.name in late:
            said.append(
                f"The failover slot {slot.name} (database {slot.database}) is not synchronised to {candidate} and will "
                "not be there."
            )
        elif slot.type == "physical":
            said.append(
                f"The slot {slot.name}, which is not one of this cluster's standbys, stays behind on {primary}, where "
                f"it keeps WAL; its consumer needs one on {candidate}."
            )
    return said


def stale(slots: Iterable[Slot]) -> list[Slot]:
    """Failover slots that a standby has from its time as the primary: they keep its successor's from being
    synchronised ("already exists on the standby"). No standby can make such a slot itself."""
    return [slot for slot in slots if slot.failover and not slot.synced and not slot.active]
