# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else gets an answer of a server that the observer does not reach: its peers, and the controller.

A primary is fenced when nobody gets an answer of it. That one observer's network is broken is no reason.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import Any

from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext

from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Life, Peer
from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines, _node_program

#: A server that does not answer is asked for 2 s; the rest is for the connection to the witness, which may have to be
#: made anew when it has been silent for 6 s.
DEADLINE = 8.0

SSH_PORT = 22

Ask = Callable[[], Life]


@dataclass(frozen=True)
class Witness:
    """Who reaches the server, and what it answered."""

    name: str
    answer: Life


def life(answer: Mapping[str, Any]) -> Life:
    """What the program of ``_server/liveness`` answered."""
    found: Life = answer.get("answer", "none")
    return found


def on_node(name: str, variables: Mapping[str, Any], context: PlayContext, server: Peer) -> Ask:
    """What has a node ask ``server``. A node that cannot do that has seen nothing."""
    try:
        own = _machines.settled(variables, context)
    except AnsibleError:
        return lambda: "none"

    def ask() -> Life:
        program = _node_program.program("_server.liveness", {"node": asdict(server)})
        command = f"{shlex.quote(_node_program.interpreter(own) or 'python3')} -"
        # A busy engine may lose what it prints: that is not the server's silence.
        for _attempt in range(2):
            try:
                _code, output, _said = _machines.execute(name, own, context, command, program)
            except AnsibleError:
                return "none"
            answer = _node_program.answer_in(output)
            if answer is not None:
                return life(answer)
        return "none"

    return ask


def seen_from_controller(
    server: Peer, variables: Mapping[str, Any], others: Iterable[Mapping[str, Any]]
) -> Peer | None:
    """``server`` at the address that the controller has of its machine; ``others``: the variables of its peers.

    None where that is the address of something in front of it, which forwards a port of its own to the machine's sshd.
    What listens there on PostgreSQL's port is another server, and that one lives.
    """
    address = variables.get("ansible_host")
    if not address:
        return server
    shared = address in [other.get("ansible_host") for other in others]
    forwarded = _is_loopback(str(address)) and int(variables.get("ansible_port") or SSH_PORT) != SSH_PORT
    return None if shared or forwarded else Peer(server.name, str(address), server.port)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def on_controller(server: Peer) -> Ask:
    """What asks from here, where psycopg is installed."""

    def ask() -> Life:
        # Loaded only now: no other emergency needs it on the controller.
        from ansible_collections.relevo.postgres.plugins.module_utils._server import liveness

        return life(liveness.answer({"node": asdict(server)}))

    return ask


def first(asks: Mapping[str, Ask], deadline: float = DEADLINE) -> Witness | None:
    """The first of these that gets an answer; None when none does within ``deadline`` seconds. All ask at once."""
    pool = ThreadPoolExecutor(max_workers=max(1, len(asks)))
    names = {pool.submit(ask): name for name, ask in asks.items()}
    try:
        for asked in as_completed(names, timeout=deadline):
            if asked.result() != "none":
                return Witness(names[asked], asked.result())
    except TimeoutError:
        # Who takes so long has seen nothing.
        return None
    finally:
        pool.shutdown(wait=False)
    return None
