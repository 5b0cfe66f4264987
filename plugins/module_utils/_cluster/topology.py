# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is primary, who follows whom: asked of all servers at once, and what may be concluded from the answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import _names
from .._errors import RelevoError
from .._server.lsn import parse_lsn
from .._server.peer import Peer
from .._server.session import Credentials, Session, SessionError

# One statement, so that an answer is one moment's truth. pg_monitor may read all of it.
# Without a receiver the control file's timelines lag until the next restartpoint, which matters when a primary dies
# soon after a hand-over. The segment that holds the last replayed byte tells: its name begins with the timeline.
PROBE = r"""
WITH size AS (SELECT setting::bigint AS bytes FROM pg_settings WHERE name = 'wal_segment_size'),
segment AS (SELECT trunc((pg_last_wal_replay_lsn() - '0/1'::pg_lsn) / bytes)::bigint AS number,
                   4294967296 / bytes AS per_id
            FROM size WHERE pg_is_in_recovery()),
replaying AS (SELECT max(('x' || substr(name, 1, 8))::bit(32)::int) FROM pg_ls_waldir(), segment
              WHERE name ~ '^[0-9A-F]{24}$' AND substr(name, 9) =
                    upper(lpad(to_hex(number / per_id), 8, '0') || lpad(to_hex(number % per_id), 8, '0')))
SELECT json_build_object(
  'in_recovery', pg_is_in_recovery(),
  'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
  'server_version', current_setting('server_version'),
  'started', pg_postmaster_start_time(),
  'timeline', CASE WHEN pg_is_in_recovery()
      THEN greatest((SELECT received_tli FROM pg_stat_wal_receiver),
                    (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
                    (SELECT timeline_id FROM pg_control_checkpoint()),
                    (SELECT * FROM replaying))
      ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
  'current_lsn', CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn() END,
  'receive_lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() END,
  'replay_lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END,
  'replay_paused', CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
  'last_replay_age_s', CASE WHEN pg_is_in_recovery()
      THEN extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END,
  'apply_delay_ms', (SELECT setting::bigint FROM pg_settings WHERE name = 'recovery_min_apply_delay'),
  'restore_command', current_setting('restore_command'),
  -- Also when no receiver runs: whom this standby was told to follow.
  'follows', CASE WHEN pg_is_in_recovery()
      THEN substring(current_setting('primary_conninfo') FROM 'host=(\S+)') END,
  'receiver', (SELECT json_build_object('status', status, 'host', sender_host, 'port', sender_port, 'slot', slot_name)
               FROM pg_stat_wal_receiver),
  'senders', (SELECT coalesce(json_agg(json_build_object(
        'name', application_name, 'address', host(client_addr), 'state', state, 'sync_state', sync_state,
        'flush_lsn', flush_lsn, 'replay_lsn', replay_lsn) ORDER BY application_name), '[]'::json)
        FROM pg_stat_replication),
  'slots', (SELECT coalesce(json_agg(json_build_object(
        'name', slot_name, 'type', slot_type, 'active', active, 'wal_status', wal_status,
        'restart_lsn', restart_lsn,
        'kept_bytes', CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() - restart_lsn END)
        ORDER BY slot_name), '[]'::json) FROM pg_replication_slots),
  'archiver', (SELECT json_build_object('archived', archived_count, 'last_archived', last_archived_wal,
        'last_archived_age_s', extract(epoch FROM now() - last_archived_time)::bigint,
        'failed', failed_count, 'last_failed', last_failed_wal,
        'failing', coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL))
        FROM pg_stat_archiver),
  -- The first two are settings of our own database: what was asked for, and which primary it was last in force on.
  'synchronous', json_build_object(
        'wanted', coalesce(current_setting('relevo.synchronous', true), '') = 'on',
        'in_force', coalesce(current_setting('relevo.synchronous_in_force', true), ''),
        'names', current_setting('synchronous_standby_names'),
        'waiting', (SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'),
        'waiting_s', (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start))::bigint, 0)
                      FROM pg_stat_activity WHERE wait_event = 'SyncRep')),
  'pending_restart', (SELECT coalesce(json_agg(name ORDER BY name), '[]'::json) FROM pg_settings WHERE pending_restart),
  'handover_lock', (SELECT coalesce(a.application_name, 'a session that has ended') FROM pg_locks l
        LEFT JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.granted AND l.mode = 'ExclusiveLock'
          AND l.classid = {lock[0]} AND l.objid = {lock[1]} LIMIT 1)
)""".replace("{lock[0]}", str(_names.HANDOVER_LOCK[0])).replace("{lock[1]}", str(_names.HANDOVER_LOCK[1]))


class TopologyError(RelevoError):
    """The answers of the servers do not allow what was asked for; ``kind`` tells them apart."""

    def __init__(self, message: str, kind: str, **details: Any) -> None:
        super().__init__(message, kind=kind, **details)
        self.kind = kind


@dataclass
class NodeState:
    """What one server answered. ``data`` is the probe's object; ``error`` says why there is none."""

    node: Peer
    data: dict[str, Any] | None = None
    error: str | None = None
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def reachable(self) -> bool:
        return self.data is not None

    @property
    def is_primary(self) -> bool:
        return self.data is not None and not self.data["in_recovery"]

    @property
    def is_standby(self) -> bool:
        return self.data is not None and bool(self.data["in_recovery"])

    @property
    def timeline(self) -> int:
        return int((self.data or {}).get("timeline") or 0)

    @property
    def system_identifier(self) -> str | None:
        return (self.data or {}).get("system_identifier")

    @property
    def position(self) -> int:
        """How far this server's history reaches, in bytes.

        ``pg_last_wal_receive_lsn`` is null before streaming starts and aligned to a segment after a restart, so a
        standby's is the greater of what it received and what it replayed.
        """
        known = [(self.data or {}).get(key) for key in ("current_lsn", "receive_lsn", "replay_lsn")]
        return max((parse_lsn(lsn) for lsn in known if lsn), default=0)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.node.name,
            "host": self.node.host,
            "port": self.node.port,
            "reachable": self.reachable,
            "error": self.error,
            "role": "primary" if self.is_primary else "standby" if self.is_standby else "unreachable",
            **(self.data or {}),
        }


def probe(
    nodes: list[Peer],
    timeout: float,
    credentials: Credentials | None = None,
    unreachable: Mapping[str, str] | None = None,
) -> list[NodeState]:
    """Ask every node at the same time; unreachable ones cost one ``timeout`` (seconds) together, not one each.

    Nodes in ``unreachable`` are known not to answer, for the reason given there, and are not asked.
    """
    unreachable = unreachable or {}
    states = [
        NodeState(node, error=f"{node.name}: {unreachable.get(node.name, f'no answer within {timeout:g} s')}")
        for node in nodes
    ]

    def ask(state: NodeState) -> None:
        started = time.monotonic()
        try:
            with Session.remote(
                state.node,
                _names.MONITOR_ROLE,
                credentials,
                application_name="relevo facts",
                timeout=timeout,
            ) as session:
                state.data = json.loads(session.value(PROBE, timeout=timeout))
                state.error = None
        except SessionError as error:
            state.error = error.message
        state.seconds = time.monotonic() - started

    threads = [
        threading.Thread(target=ask, args=(state,), daemon=True) for state in states if state.name not in unreachable
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 2 * timeout
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return states


@dataclass
class Topology:
    """The cluster as its servers describe it."""

    states: list[NodeState]
    primaries: list[NodeState] = field(init=False)

    def __post_init__(self) -> None:
        self.primaries = [state for state in self.states if state.is_primary]

    @property
    def primary(self) -> NodeState | None:
        return self.primaries[0] if len(self.primaries) == 1 else None

    @property
    def standbys(self) -> list[NodeState]:
        return [state for state in self.states if state.is_standby]

    @property
    def unreachable(self) -> list[NodeState]:
        return [state for state in self.states if not state.reachable]

    def find(self, name: str) -> NodeState | None:
        return next((state for state in self.states if state.name == name), None)

    def require_primary(self) -> NodeState:
        """The one primary, or the error that says why there is not exactly one."""
        if len(self.primaries) > 1:
            names = " and ".join(state.name for state in self.primaries)
            identifiers = {state.system_identifier for state in self.primaries}
            if len(identifiers) > 1:
                raise TopologyError(
                    f"{names} are primaries of different clusters (their system identifiers differ). "
                    "Check the inventory: one of these nodes belongs to another cluster.",
                    "foreign_primary",
                )
            newest = max(self.primaries, key=lambda state: state.timeline)
            ahead = all(state.timeline < newest.timeline for state in self.primaries if state is not newest)
            # What was promoted last is in the archive already: an older timeline would neither be let start again nor
            # be handed over.
            advice = f", rather not {newest.name}, whose timeline {newest.timeline} is the newest" if ahead else ""
            raise TopologyError(
                f"Two primaries: {names} take writes. Nothing was changed. Stop the one whose writes you can lose"
                f"{advice}; then run rejoin.yml.",
                "two_primaries",
            )
        if not self.states:
            raise TopologyError(
                "No host of the inventory belongs to this cluster. Nothing was touched. Check the cluster's name "
                "(cluster_name of the hosts in the group postgres).",
                "no_nodes",
            )
        if not self.primaries:
            reasons = "; ".join(state.error or f"{state.name} is a standby" for state in self.states)
            raise TopologyError(
                f"No primary answers ({reasons}). Start the primary, or run failover.yml to promote a standby.",
                "no_primary",
            )
        return self.primaries[0]

    def lag(self, standby: NodeState) -> dict[str, Any]:
        """How far a standby is behind: bytes not yet received or replayed, and seconds since its last replay.

        ``None`` means that it cannot be known (no primary answers).
        """
        data = standby.data or {}
        primary = self.primary
        if primary is None or not data:
            return {"lag_bytes": None, "replay_lag_bytes": None, "lag_seconds": None}
        replayed = parse_lsn(data["replay_lsn"]) if data.get("replay_lsn") else 0
        behind = max(0, primary.position - replayed)
        return {
            "lag_bytes": max(0, primary.position - standby.position),
            "replay_lag_bytes": behind,
            # An idle primary writes nothing that could be replayed: the age of the last transaction is no lag then.
            "lag_seconds": 0.0 if behind == 0 else data.get("last_replay_age_s"),
        }

    def as_dict(self) -> dict[str, Any]:
        """The shape that ``pg_primary_facts`` returns."""
        primary = self.primary
        return {
            "primary": primary.as_dict() if primary else None,
            "primaries": [state.name for state in self.primaries],
            "standbys": [state.as_dict() | self.lag(state) for state in self.standbys],
            "unreachable_nodes": [{"name": state.name, "error": state.error} for state in self.unreachable],
            "nodes": {
                state.name: state.as_dict() | (self.lag(state) if state.is_standby else {}) for state in self.states
            },
            "system_identifier": next((s.system_identifier for s in self.primaries + self.standbys), None),
        }
