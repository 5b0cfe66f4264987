# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What add_node.yml does to a host, and what it refuses: each row of the decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from answers import primary, standby, unreachable

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.addition import Disk, Facts, addition
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.node_facts import named
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import OperationPlan
from ansible_collections.relevo.postgres.plugins.module_utils._server.sender_limit import sender_limit

STREAMS: Any = {"status": "streaming", "host": "a"}
OURS: Any = {"system_identifier": "7"}


def sender(name: str) -> dict[str, Any]:
    return {"name": name, "state": "streaming"}


def facts(*states: NodeState, **more: Any) -> Facts:
    given = states or (primary("a", **OURS), standby("b", receiver=STREAMS, **OURS), unreachable("c"))
    return Facts("shop", "c", Topology(list(given)), "repo", **more)


def plan_of(found: Facts) -> OperationPlan:
    return addition(found).plan


def changes(found: Facts) -> dict[str, str]:
    return {effect.name: effect.change for effect in plan_of(found).affects}


@pytest.mark.parametrize(
    ("more", "becomes"),
    [
        ({"containers": {"c": "missing"}, "unreachable": {"c": "its container is missing"}}, "gets a container"),
        ({"containers": {"c": "stopped"}, "unreachable": {"c": "its container is stopped"}}, "is started"),
        ({"containers": {"c": "running"}, "disk": Disk()}, "is set up as a standby"),
        ({"disk": Disk()}, "is set up as a standby"),
        ({"disk": Disk("7")}, "holds data of this cluster"),
        # An old primary that was fenced, and removed after that: rejoin.yml would send its user here.
        ({"disk": Disk("7", fence="by ann at noon", removed=True)}, "holds data of this cluster"),
    ],
)
def test_what_becomes_of_the_host(more: dict[str, Any], becomes: str) -> None:
    found = addition(facts(**more))
    plan = found.plan
    assert (found.adds, found.completes) == (True, False)
    assert (plan.action, plan.refusals, plan.message) == ("add", [], "c becomes a standby of a.")
    assert plan.affects[0].change.startswith(becomes)
    assert [effect.name for effect in plan.affects] == ["c", "a", "b", "repo"]


def test_the_primary_counts_it_where_a_synchronous_standby_is_wanted() -> None:
    told = changes(facts(primary("a", synchronous={"wanted": True}, **OURS), standby("b", **OURS), unreachable("c")))
    assert told["a"] == "is told of it, for its start guard, and counts it as a synchronous standby"
    assert told["b"] == "is told of it, for its start guard"


def follows(receiver: Any = STREAMS, **of_primary: Any) -> Facts:
    return facts(primary("a", senders=[sender("c")], **OURS, **of_primary), standby("c", receiver=receiver, **OURS))


def test_one_that_streams_is_part_of_it_and_gets_what_was_left_out() -> None:
    found = addition(replace(follows(), proxies=["proxy"]))
    assert (found.adds, found.completes) == (False, True)
    assert (found.plan.action, found.plan.refusals) == ("finish", [])
    assert found.plan.message == "c is part of it already, and follows a."
    assert [(effect.name, effect.change) for effect in found.plan.affects] == [
        ("c", "gets what a run that was cut off has left out, if anything"),
        ("proxy", "is told of it, if it does not know it: its HAProxy"),
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"unfinished": "It is being restored."}, "It is being restored."),
        ({"disk": Disk(restoring=True)}, "The cluster is being restored in place."),
        ({"disk": Disk(refusal="Its data are of PostgreSQL 15.")}, "Its data are of PostgreSQL 15."),
        # Its server answers its peers, and the controller does not get there.
        ({"unreachable": {"c": "no route."}}, "c does not answer (no route). Switch it on."),
    ],
)
def test_what_keeps_the_rest_from_being_finished(more: dict[str, Any], said: str) -> None:
    [refused] = plan_of(replace(follows(), **more)).refusals
    assert refused.startswith(said)


def test_a_marker_that_a_run_has_left_is_no_obstacle() -> None:
    """The marker goes after it streams."""
    assert plan_of(replace(follows(), disk=Disk("7", fence="by ann at noon", removed=True))).refusals == []
    assert plan_of(replace(follows(), disk=Disk("7", fence="by ann at noon"))).refusals == []


@pytest.mark.parametrize("others", [[standby("a", **OURS), unreachable("b")], []])
def test_the_primary_is_part_of_it(others: list[NodeState]) -> None:
    given = facts(*others, primary("c", **OURS))
    found = addition(given)
    assert (found.plan.action, found.plan.message) == ("none", "c is part of it already, and is primary.")
    assert (found.adds, found.completes, found.plan.affects) == (False, False, [])
    # It has got the role since the run that was cut off.
    found = addition(replace(given, proxies=["proxy"]))
    assert (found.plan.action, found.adds, found.completes) == ("finish", False, False)
    assert [effect.name for effect in found.plan.affects] == ["proxy"]


def test_the_hosts_with_haproxy_are_told_of_it() -> None:
    assert changes(facts(disk=Disk(), proxies=["proxy"]))["proxy"] == "is told of it: its HAProxy"


@pytest.mark.parametrize(
    "found",
    [
        follows(receiver=None),
        follows(receiver={"status": "stopping"}),
        facts(primary("a", **OURS), standby("c", receiver=STREAMS, **OURS)),
        # A run was cut off between the last two steps.
        follows(synchronous={"wanted": True, "names": 'ANY 1 ("b")'}),
        follows(synchronous={"wanted": True}),
    ],
)
def test_one_that_lacks_something_is_gone_on_with(found: Facts) -> None:
    assert plan_of(found).action == "add"


def test_one_that_counts_is_part_of_it() -> None:
    assert plan_of(follows(synchronous={"wanted": True, "names": 'ANY 1 ("b", "c")'})).action == "finish"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"disk": Disk("8")}, "c holds the data of another cluster (system identifier 8; that of shop is 7)."),
        ({"disk": Disk(refusal="Its data are of PostgreSQL 15.")}, "Its data are of PostgreSQL 15."),
        ({"disk": Disk("7", fence="by ann at noon")}, "c was fenced by ann at noon: rejoin.yml makes it a standby."),
        ({"disk": Disk(restoring=True)}, "The cluster is being restored in place."),
        ({"unfinished": "It is being restored."}, "It is being restored."),
        ({"second": "Run site.yml first."}, "Run site.yml first."),
        ({"containers": {"c": "paused"}}, "The container c is paused. Run: docker unpause c"),
        ({"unreachable": {"c": "no route."}}, "c does not answer (no route). Switch it on."),
        ({"unreachable": {"b": "no route"}}, "b does not answer (no route), and must be told of c. Start it."),
        ({"unreachable": {"a": "no route"}}, "a does not answer (no route), and must be told of c. Start it."),
        (
            {"unreachable": {"b": "its container is missing"}, "containers": {"b": "missing"}},
            "and must be told of c. Let site.yml make it; or if it is new, too, take it out of the inventory",
        ),
        (
            {"unreachable": {"repo": "its container is stopped"}, "topology": Topology([])},
            "The repository host repo does not answer (its container is stopped)",
        ),
        ({"topology": Topology([standby("a"), standby("b"), unreachable("c")])}, "No primary answers"),
        ({"topology": Topology([primary("a"), primary("b"), unreachable("c")])}, "Two primaries: a and b take writes."),
        # Its own does not count.
        ({"topology": Topology([standby("a", **OURS), primary("c", system_identifier="9")])}, "No primary answers"),
        ({"topology": Topology([unreachable("c")])}, "c is the only node of shop. site.yml makes a cluster."),
        (
            {"topology": Topology([primary("a", **OURS), primary("c", system_identifier="9")]), "disk": Disk("9")},
            "c holds the data of another cluster (system identifier 9; that of shop is 7).",
        ),
    ],
)
def test_what_is_refused(changed: dict[str, Any], said: str) -> None:
    refusals = plan_of(replace(facts(disk=Disk()), **changed)).refusals
    assert len(refusals) == 1
    assert said in refusals[0]


def test_all_that_is_in_the_way_is_said() -> None:
    found = plan_of(facts(unreachable={"b": "no route", "c": "no route"}))
    assert len(found.refusals) == 2


def slots(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "type": "physical"} for name in names]


@pytest.mark.parametrize(
    ("of_primary", "said"),
    [
        ({"max_slots": 2, "slots": slots("b"), "max_senders": 3, "senders": [sender("b")]}, []),
        # A run that was cut off has made its slot.
        ({"max_slots": 2, "slots": slots("b", "c")}, []),
        ({"max_senders": 1, "senders": [sender("c")]}, []),
        (
            {"max_slots": 1, "slots": slots("b"), "max_senders": 3, "senders": [sender("b")]},
            ["a has 0 of its replication slots left, and a copy for c takes 1. Set max_replication_slots in"],
        ),
        (
            {"max_slots": 10, "max_senders": 2, "senders": [sender("b")]},
            ["a has 1 of its WAL senders left, and a copy for c takes 2. Set max_wal_senders in postgresql_parameters"],
        ),
        (
            {"max_slots": 1, "slots": slots("x"), "max_senders": 0},
            [
                "max_replication_slots in postgresql_parameters to 10 or more",
                "max_wal_senders in postgresql_parameters",
            ],
        ),
        # Others have more than all that is ours to reckon with.
        (
            {"max_slots": 12, "slots": slots(*(f"x{number}" for number in range(12)))},
            ["max_replication_slots in postgresql_parameters to 13 or more"],
        ),
    ],
)
def test_a_primary_without_room_for_one_more_is_left_alone(of_primary: dict[str, Any], said: list[str]) -> None:
    given = facts(primary("a", **OURS, **of_primary), standby("b", **OURS), unreachable("c"), disk=Disk())
    refusals = plan_of(given).refusals
    assert len(refusals) == len(said)
    assert all(words in refusal for words, refusal in zip(said, refusals, strict=True))


@pytest.mark.parametrize(
    ("nodes", "limit"), [(1, 10), (2, 10), (3, 10), (6, 10), (7, 20), (11, 20), (12, 30), (31, 60), (32, 70)]
)
def test_how_many_senders_and_slots_a_cluster_gets(nodes: int, limit: int) -> None:
    assert sender_limit(nodes) == limit


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ("", "No node was named, and shop has a, b in the inventory. Nothing was touched. Name one: -e node=NAME."),
        ("x", "There is no node x: shop has a, b in the inventory."),
    ],
)
def test_a_node_of_the_cluster_must_be_named(node: str, said: str) -> None:
    with pytest.raises(RelevoError) as refused:
        named(node, ["a", "b"], "shop")
    assert said in refused.value.message
    named("b", ["a", "b"], "shop")
