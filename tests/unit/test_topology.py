"""What may be concluded from the servers' answers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import (
    NodeState,
    Topology,
    TopologyError,
    probe,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import SessionError, resolve


def answer(name: str, in_recovery: bool, **more: Any) -> NodeState:
    data = {"in_recovery": in_recovery, "system_identifier": "1", "timeline": 1, **more}
    return NodeState(Peer(name, name), data)


def unreachable(name: str) -> NodeState:
    return NodeState(Peer(name, name), error=f"{name}: refused")


def test_one_primary() -> None:
    topology = Topology([answer("a", False, current_lsn="0/30"), answer("b", True, replay_lsn="0/10")])
    assert topology.require_primary().name == "a"
    assert topology.as_dict()["standbys"][0]["lag_bytes"] == 0x20


def test_a_standby_knows_what_it_received_although_it_did_not_replay_it() -> None:
    topology = Topology(
        [answer("a", False, current_lsn="0/30"), answer("b", True, receive_lsn="0/30", replay_lsn="0/10")]
    )
    standby = topology.as_dict()["standbys"][0]
    assert (standby["lag_bytes"], standby["replay_lag_bytes"]) == (0, 0x20)


def test_an_idle_standby_is_not_behind() -> None:
    topology = Topology(
        [answer("a", False, current_lsn="0/30"), answer("b", True, replay_lsn="0/30", last_replay_age_s=999)]
    )
    assert topology.as_dict()["standbys"][0]["lag_seconds"] == 0


def test_no_primary_names_the_reasons() -> None:
    with pytest.raises(TopologyError, match="a: refused; b is a standby") as caught:
        Topology([unreachable("a"), answer("b", True)]).require_primary()
    assert caught.value.kind == "no_primary"


def test_two_primaries_are_an_error_of_their_own() -> None:
    with pytest.raises(TopologyError, match="Two primaries: a and b") as caught:
        Topology([answer("a", False), answer("b", False)]).require_primary()
    assert caught.value.kind == "two_primaries"
    assert "rather not" not in caught.value.message
    with pytest.raises(TopologyError, match="rather not b, whose timeline 2 is the newest; then run rejoin.yml"):
        Topology([answer("a", False), answer("b", False, timeline=2)]).require_primary()


def test_a_cluster_without_hosts_is_no_dead_one() -> None:
    with pytest.raises(TopologyError, match="No host of the inventory belongs to this cluster"):
        Topology([]).require_primary()


def test_a_primary_of_another_cluster_is_an_error_of_its_own() -> None:
    with pytest.raises(TopologyError, match="different clusters") as caught:
        Topology([answer("a", False), answer("b", False, system_identifier="2")]).require_primary()
    assert caught.value.kind == "foreign_primary"


def test_dead_nodes_cost_one_timeout_together() -> None:
    # Addresses of the loopback network on which nothing listens, and names that do not resolve.
    nodes = [Peer(f"n{number}", f"127.0.0.{number}", 1) for number in range(2, 8)] + [Peer("x", "no-such-host.invalid")]
    started = time.monotonic()
    states = probe(nodes, timeout=2)
    assert time.monotonic() - started < 2 * 2 + 1
    assert all(not state.reachable and state.error for state in states)


def test_a_name_that_does_not_resolve_is_said() -> None:
    with pytest.raises(SessionError, match="no-such-host.invalid"):
        resolve("no-such-host.invalid", 5)


def test_a_node_that_is_known_not_to_answer_is_not_asked() -> None:
    states = probe([Peer("one", "one.invalid")], 0.1, unreachable={"one": "its container is paused"})
    assert states[0].error == "one: its container is paused"
    assert Topology(states).unreachable == states
