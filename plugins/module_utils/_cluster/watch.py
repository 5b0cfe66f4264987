# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch the servers of clusters over standing connections, and say what they are: a JSON line for each cluster.

A program of its own, which the control API starts: ``python -m …module_utils._cluster.watch FILE``. The file says whom
to ask (``WatchedNode``), with which passfile and authority. It ends when its standard input is closed, so that it never
outlives who reads it. A line:

``{"cluster": …, "primaries": [names], "nodes": [{"name", "role", "streaming", "timeline", "lsn", "lag_bytes",
"replay_lag_bytes", "lag_seconds", "error"}]}``; ``role`` is null where the server does not answer.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from .. import _names
from .._server.credentials import Credentials
from .._server.lsn import CURRENT_TIMELINE
from .._server.peer import Peer
from .._server.session import Session, SessionError
from .topology import Lag, NodeState, Topology

#: Seconds from one question to the next, for an answer, and after which an answer is no longer one.
EVERY_S = 0.5
ANSWER_S = 1.0
OLD_S = 2.0

#: The part of ``probe.PROBE`` that changes from moment to moment, under the same names. It reads no file.
WATCH = """
SELECT json_build_object(
  'in_recovery', pg_is_in_recovery(),
  'timeline', CASE WHEN pg_is_in_recovery()
      THEN greatest((SELECT received_tli FROM pg_stat_wal_receiver),
                    (SELECT timeline_id FROM pg_control_checkpoint()))
      ELSE {timeline} END,
  'current_lsn', CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn() END,
  'receive_lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() END,
  'replay_lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END,
  'last_replay_age_s', CASE WHEN pg_is_in_recovery()
      THEN extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END,
  'receiver', (SELECT json_build_object('status', status, 'host', sender_host, 'port', sender_port, 'slot', slot_name)
               FROM pg_stat_wal_receiver)
)""".replace("{timeline}", CURRENT_TIMELINE)


@dataclass(frozen=True)
class WatchedNode:
    """``host`` is the name in the certificate, ``address`` where the server is reached from here."""

    name: str
    host: str
    address: str
    port: int


class Eye:
    """Looks at one server, in a thread of its own: one that hangs keeps nobody from seeing the others."""

    def __init__(self, node: WatchedNode, credentials: Credentials) -> None:
        self.node = node
        self.peer = Peer(node.name, node.host, node.port)
        self.credentials = credentials
        self._answer: tuple[float, dict[str, Any] | None, str] = (0.0, None, f"{node.name}: not asked yet")

    def state(self) -> NodeState:
        """The last answer; none where that is too old."""
        when, data, error = self._answer
        if data is not None and time.monotonic() - when > OLD_S:
            return NodeState(self.peer, error=f"{self.node.name}: no answer within {OLD_S:g} s")
        return NodeState(self.peer, data, error or None)

    def look(self) -> None:
        """For as long as the process lives."""
        session: Session | None = None
        while True:
            asked = time.monotonic()
            try:
                session = session or self._connect()
                self._answer = asked, json.loads(session.value(WATCH, timeout=ANSWER_S)), ""
            except SessionError as error:
                self._answer = asked, None, error.message
                _close(session)
                session = None
            except Exception as error:  # noqa: BLE001
                # A thread that ends says nothing more of its server, and nobody would see why.
                traceback.print_exc()
                self._answer = asked, None, f"{self.node.name}: {error}"
                _close(session)
                session = None
            time.sleep(max(0.0, asked + EVERY_S - time.monotonic()))

    def _connect(self) -> Session:
        return Session.remote(
            self.peer,
            _names.MONITOR_ROLE,
            self.credentials,
            application_name="relevo watch",
            timeout=ANSWER_S,
            address=self.node.address,
        )


def _close(session: Session | None) -> None:
    if session:
        session.close()


def line_of(cluster: str, states: list[NodeState]) -> dict[str, Any]:
    """What is said of a cluster."""
    topology = Topology(states)
    return {
        "cluster": cluster,
        "primaries": [state.name for state in topology.primaries],
        "nodes": [_node(topology, state) for state in states],
    }


def _node(topology: Topology, state: NodeState) -> dict[str, Any]:
    return {
        "name": state.name,
        "role": None if state.role == "unreachable" else state.role,
        "streaming": bool(state.receiver and state.receiver.streams),
        "timeline": state.timeline or None,
        "lsn": state.current_lsn if state.is_primary else state.replay_lsn,
        "error": state.error,
        **asdict(topology.lag(state) if state.is_standby else Lag()),
    }


def watch(given: Mapping[str, Any], output: TextIO) -> None:
    """Until the output is closed."""
    credentials = Credentials(Path(given["passfile"]), Path(given["authority"]))
    eyes = {
        cluster["name"]: [Eye(WatchedNode(**node), credentials) for node in cluster["nodes"]]
        for cluster in given["clusters"]
    }
    for eye in (eye for some in eyes.values() for eye in some):
        threading.Thread(target=eye.look, daemon=True).start()
    while True:
        for cluster, some in eyes.items():
            output.write(json.dumps(line_of(cluster, [eye.state() for eye in some])) + "\n")
        output.flush()
        time.sleep(EVERY_S)


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    threading.Thread(target=_end_with_the_input, daemon=True).start()
    # In this thread, so that its end is the program's, and whoever started us starts another.
    watch(given, sys.stdout)


def _end_with_the_input() -> None:
    """Whoever started us holds the other end."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
