"""What a failover and a failback have to do, for every state that the servers can be in."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover.plan import plan_failback, plan_failover


def node(name: str, role: str, lsn: str = "0/5000000", timeline: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "host": name,
        "role": role,
        "timeline": timeline,
        "replay_lsn": lsn,
        "error": "no answer" if role == "unreachable" else None,
        **more,
    }


def topology(*nodes: dict[str, Any]) -> dict[str, Any]:
    primaries = [n for n in nodes if n["role"] == "primary"]
    return {
        "primary": primaries[0] if len(primaries) == 1 else None,
        "standbys": [n for n in nodes if n["role"] == "standby"],
        "unreachable_nodes": [n for n in nodes if n["role"] == "unreachable"],
        "nodes": {n["name"]: n for n in nodes},
    }


def test_the_preferred_primary_hands_over_to_the_best_standby() -> None:
    seen = topology(node("a", "primary"), node("b", "standby", "0/1"), node("c", "standby", "0/2"))
    plan = plan_failover(seen, "a")
    assert (plan.action, plan.primary, plan.candidate) == ("switchover", "a", "c")


def test_run_again_it_moves_nothing() -> None:
    plan = plan_failover(topology(node("a", "standby"), node("b", "primary")), "a")
    assert (plan.action, plan.candidate) == ("finish", "b")
    assert "has been done" in plan.message


def test_a_candidate_that_rules_is_left_alone() -> None:
    assert plan_failover(topology(node("a", "primary"), node("b", "standby")), "a", "a").action == "finish"


def test_a_named_candidate_takes_over_from_whoever_rules() -> None:
    plan = plan_failover(topology(node("a", "standby"), node("b", "primary"), node("c", "standby")), "a", "c")
    assert (plan.action, plan.primary, plan.candidate) == ("switchover", "b", "c")


@pytest.mark.parametrize("force", [False, True])
def test_a_candidate_that_is_no_standby_is_refused(force: bool) -> None:
    with pytest.raises(RelevoError, match="b is no standby"):
        plan_failover(topology(node("a", "primary"), node("b", "unreachable")), "a", "b", force)


def test_an_old_primary_returns_when_its_successor_is_lost_and_only_with_force() -> None:
    seen = topology(node("a", "unreachable"), node("b", "unreachable"))
    with pytest.raises(RelevoError, match="No node of the cluster answers"):
        plan_failover(seen, "a", "a")
    plan = plan_failover(seen, "a", "a", force=True)
    assert (plan.action, plan.candidate, plan.primary) == ("recover", "a", "b")


def test_an_unknown_candidate_is_refused_and_the_nodes_are_named() -> None:
    with pytest.raises(RelevoError, match="no node x .*a, b"):
        plan_failover(topology(node("a", "primary"), node("b", "standby")), "a", "x")


def test_a_primary_without_standbys_cannot_hand_over() -> None:
    with pytest.raises(RelevoError, match="no standby answers"):
        plan_failover(topology(node("a", "primary"), node("b", "unreachable")), "a")


def test_without_a_primary_the_standby_that_knows_most_is_promoted() -> None:
    seen = topology(node("a", "unreachable"), node("b", "standby", "0/2"), node("c", "standby", "0/3"))
    plan = plan_failover(seen, "a")
    assert (plan.action, plan.primary, plan.candidate) == ("promote", "a", "c")


@pytest.mark.parametrize(
    ("replayed", "segment"),
    [("0/5000148", "000000020000000000000005"), ("0/5000000", "000000020000000000000004")],
)
def test_the_salvage_begins_with_the_segment_that_was_replayed_last(replayed: str, segment: str) -> None:
    seen = topology(node("a", "unreachable"), node("b", "standby", replayed, 2))
    assert plan_failover(seen, "a").salvage_from == segment


def test_a_newer_timeline_counts_more_than_a_further_position() -> None:
    seen = topology(node("a", "unreachable"), node("b", "standby", "0/9", 1), node("c", "standby", "0/3", 2))
    assert plan_failover(seen, "a").candidate == "c"


def test_a_candidate_that_knows_less_needs_force() -> None:
    seen = topology(node("a", "unreachable"), node("b", "standby", "0/2"), node("c", "standby", "0/3"))
    with pytest.raises(RelevoError, match="c knows more than b"):
        plan_failover(seen, "a", "b")
    assert plan_failover(seen, "a", "b", force=True).candidate == "b"


def test_the_lost_primary_is_the_one_that_the_standbys_followed() -> None:
    seen = topology(node("a", "unreachable"), node("b", "unreachable"), node("c", "standby", follows="b"))
    assert plan_failover(seen, "a").primary == "b"


def test_what_wal_that_nobody_can_read_costs_is_unknown_without_a_synchronous_standby() -> None:
    seen = topology(node("a", "unreachable"), node("b", "standby"))
    assert plan_failover(seen, "a").unread == "What it had written and not sent is lost; how much is unknown."


def test_it_costs_no_acknowledged_commit_where_commits_waited_for_the_candidate() -> None:
    state = {"wanted": True, "in_force": "a/1"}
    said = plan_failover(topology(node("a", "unreachable"), node("b", "standby", synchronous=state)), "a").unread
    assert "those that clients saw acknowledged are on b, unless that was turned off while b was away." in said
    # Of several standbys any one sufficed, also one that does not answer now.
    seen = topology(node("a", "unreachable"), node("b", "standby", synchronous=state), node("c", "unreachable"))
    assert "unless only c, which does not answer, had them, or" in plan_failover(seen, "a").unread


def test_nobody_answers() -> None:
    with pytest.raises(RelevoError, match="No node of the cluster answers"):
        plan_failover(topology(node("a", "unreachable"), node("b", "unreachable")), "a")


def test_failback_returns_the_role() -> None:
    plan = plan_failback(topology(node("a", "standby"), node("b", "primary")), "a")
    assert (plan.action, plan.primary, plan.candidate) == ("switchover", "b", "a")


def test_failback_twice_moves_nothing() -> None:
    assert plan_failback(topology(node("a", "primary"), node("b", "standby")), "a").action == "finish"


def test_failback_without_a_primary_says_what_to_do() -> None:
    with pytest.raises(RelevoError, match=r"failover.yml -e candidate=a"):
        plan_failback(topology(node("a", "standby"), node("b", "unreachable")), "a")
