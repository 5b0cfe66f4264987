# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask all servers of a cluster at once what they are; what may be concluded is ``topology``'s business.

Apart from it, since asking loads libpq, and the controller concludes without it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from .. import _names
from .._server.credentials import Credentials
from .._server.lsn import CURRENT_TIMELINE, SEGMENT
from .._server.peer import Peer
from .._server.session import NotConnected, Session, SessionError, answer_of
from .lock import holder_of
from .slots import SLOTS
from .topology import NodeState

# One statement, so that an answer is one moment's truth. pg_monitor may read all of it.
# Without a receiver the control file's timelines lag until the next restartpoint, which matters when a primary dies
# soon after a hand-over. The segment that holds the last replayed byte tells: its name begins with the timeline.
PROBE = r"""
WITH size AS (SELECT setting::bigint AS bytes FROM pg_settings WHERE name = 'wal_segment_size'),
segment AS (SELECT trunc((pg_last_wal_replay_lsn() - '0/1'::pg_lsn) / bytes)::bigint AS number,
                   4294967296 / bytes AS per_id
            FROM size WHERE pg_is_in_recovery()),
replaying AS (SELECT max(('x' || substr(name, 1, 8))::bit(32)::int) FROM pg_ls_waldir(), segment
              WHERE name ~ '^{segment}$' AND substr(name, 9) =
                    upper(lpad(to_hex(number / per_id), 8, '0') || lpad(to_hex(number % per_id), 8, '0')))
SELECT json_build_object(
  'in_recovery', pg_is_in_recovery(),
  'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
  'server_version', current_setting('server_version'),
  'started', pg_postmaster_start_time(),
  'configuration_loaded', pg_conf_load_time(),
  'timeline', CASE WHEN pg_is_in_recovery()
      THEN greatest((SELECT received_tli FROM pg_stat_wal_receiver),
                    (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
                    (SELECT timeline_id FROM pg_control_checkpoint()),
                    (SELECT * FROM replaying))
      ELSE {timeline} END,
  'current_lsn', CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn() END,
  'receive_lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() END,
  'replay_lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END,
  'replay_paused', CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
  'replay_waits', (SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup'),
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
  'slots', ({slots}),
  'max_slots', current_setting('max_replication_slots')::int,
  'max_senders', current_setting('max_wal_senders')::int,
  'wal_level', current_setting('wal_level'),
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
  'handover_lock', ({lock_holder})
)""".replace("{timeline}", CURRENT_TIMELINE).replace("{slots}", SLOTS)
PROBE = PROBE.replace("{lock_holder}", holder_of("l.mode = 'ExclusiveLock'")).replace("{segment}", SEGMENT.pattern)


def ask(session: Session, timeout: float | None = None) -> dict[str, Any]:
    """What the server of ``session`` answers to ``PROBE``, within ``timeout`` seconds (None: the session's own).

    Raises ``SessionError``.
    """
    answer: dict[str, Any] = json.loads(session.value(PROBE, timeout=timeout))
    return answer


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

    def ask_one(state: NodeState) -> None:
        started = time.monotonic()
        try:
            with Session.remote(
                state.node,
                _names.MONITOR_ROLE,
                credentials,
                application_name="relevo facts",
                timeout=timeout,
            ) as session:
                state.data = ask(session, timeout)
                state.error = None
        except NotConnected as error:
            state.error = error.message
            state.life = answer_of(state.node)
        except SessionError as error:
            state.error = error.message
            # What has an SQLSTATE was said by the server.
            state.life = "refused" if error.sqlstate else "none"
        state.seconds = time.monotonic() - started

    threads = [
        threading.Thread(target=ask_one, args=(state,), daemon=True)
        for state in states
        if state.name not in unreachable
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 2 * timeout
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return states
