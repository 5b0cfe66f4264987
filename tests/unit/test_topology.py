"""What may be concluded from the servers' answers."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.filter.has_not_read import has_not_read
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.probe import probe
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import (
    NodeState,
    Topology,
    TopologyError,
    cure_of,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.addresses import NotReached, resolve
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Life, Peer


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
    with pytest.raises(NotReached, match="no-such-host.invalid"):
        resolve("no-such-host.invalid", 5432, 5)


def test_a_node_that_is_known_not_to_answer_is_not_asked() -> None:
    states = probe([Peer("one", "one.invalid")], 0.1, unreachable={"one": "its container is paused"})
    assert states[0].error == "one: its container is paused"
    assert Topology(states).unreachable == states


def test_it_comes_back_from_ansible_as_what_it_was() -> None:
    """Out as JSON in a module's result, and back on the controller."""
    sender = {"name": "b", "address": None, "state": "streaming", "sync_state": "quorum", "extra": 1}
    told = Topology(
        [
            answer("a", False, current_lsn="0/30", senders=[sender], archiver={"failing": True, "last_failed": None}),
            answer("b", True, replay_lsn="0/10", receiver={"status": "streaming", "host": "a"}, follows="a"),
            unreachable("c"),
        ]
    )
    result = {"changed": False, **json.loads(json.dumps(told.as_dict()))}
    heard = Topology.from_result(result)
    assert heard == told
    assert heard.as_dict() == told.as_dict()
    assert heard.primary is not None
    assert heard.primary.senders[0].counts
    assert heard.primary.archiver.failing
    assert heard.lag(heard.states[1]).replay_lag_bytes == 0x20
    receiver = heard.states[1].receiver
    assert receiver is not None
    assert receiver.streams
    assert heard.states[2].role == "unreachable"


def test_the_most_advanced_standby_is_the_furthest_on_the_newest_timeline() -> None:
    further = answer("b", True, receive_lsn="0/90", replay_lsn="0/10")
    newer = answer("c", True, timeline=2, replay_lsn="0/30")
    assert Topology([answer("a", True, replay_lsn="0/80"), further]).most_advanced is further
    assert Topology([further, newer, answer("a", False, timeline=3)]).most_advanced is newer
    assert Topology([newer, answer("d", True, timeline=2, replay_lsn="0/30")]).most_advanced is newer, "a tie"
    assert Topology([unreachable("a")]).most_advanced is None


def test_no_primary_names_a_server_that_lives_and_the_cure() -> None:
    state = NodeState(Peer("a", "a"), error='a: FATAL:  no pg_hba.conf entry for host "10.0.0.9"', life="refused")
    with pytest.raises(TopologyError, match="a lives and answers, but not to us .*no pg_hba") as caught:
        Topology([state, answer("b", True)]).require_primary()
    assert caught.value.kind == "living_primary"
    assert "has changed pg_hba.conf" in caught.value.message


def test_a_server_with_other_passwords_may_have_them_of_a_rotation_that_was_cut_off() -> None:
    said = 'a: FATAL:  password authentication failed for user "relevo_monitor"'
    state = NodeState(Peer("a", "a"), error=said, life="refused")
    assert "If rotate.yml was cut off, run it again" in state.hindrance


@pytest.mark.parametrize("life", ["none", "starting", "refused"])
def test_whether_a_server_lives_survives_the_way_to_the_controller(life: Life) -> None:
    given = Topology([NodeState(Peer("a", "a"), error="x", life=life)]).as_dict()
    assert given["nodes"]["a"]["answer"] == life
    assert Topology.from_result(json.loads(json.dumps(given))).states[0].life == life


def test_a_full_answer_is_one() -> None:
    given = Topology([answer("a", False)]).as_dict()
    assert given["nodes"]["a"]["answer"] == "full"
    assert Topology.from_result(given).states[0].reachable


def test_a_server_that_has_not_read_what_was_written_is_known_by_its_answer() -> None:
    found = Topology([answer("a", False, configuration_loaded="2026-11-24T12:00:00+00:00")]).as_dict()
    assert has_not_read("a", found, "2026-11-24T12:00:01+00:00")
    assert not has_not_read("a", found, "2026-11-24T11:59:59+00:00")
    # One that did not answer, a cluster that was made a moment ago, and check mode before there are files.
    assert not has_not_read("b", found, "2026-11-24T12:00:01+00:00")
    assert not has_not_read("a", {"primary": {}}, "2026-11-24T12:00:01+00:00")
    assert not has_not_read("a", found, None)


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("FATAL:  la autentificación password falló para el usuario «relevo_monitor»", "Something else than site.yml"),
        ("FATAL:  no hay una línea en pg_hba.conf para «10.0.0.1», usuario «u»", "Something else than site.yml"),
        ("FATAL:  no existe la base de datos «relevo»", "Something else than site.yml"),
        ('ВАЖНО:  база данных "relevo" не существует', "Something else than site.yml"),
        ("FATAL:  lo siento, ya tenemos demasiados clientes", "End sessions there"),
        # A host may have that name, too.
        ('connection to server at "relevo" (10.0.0.1), port 5432 failed: SSL error: x', "Look at its certificate"),
        ("a: server sent an error response during SSL exchange", "It gets no process, or no memory,"),
        ("a: could not fork new process for connection: Cannot allocate memory", "It gets no process, or no memory,"),
        ("a: out of memory", "It gets no process, or no memory,"),
        ("a: server does not support SSL, but SSL was required", "Its ssl is off, which site.yml turns on"),
        ("FATAL:  algo más", "See its log."),
    ],
)
def test_what_a_server_says_in_its_own_language_is_told_by_the_names_in_it(said: str, cure: str) -> None:
    assert cure_of("refused", said).startswith(cure)
