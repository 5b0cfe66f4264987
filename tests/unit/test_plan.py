"""What a failover and a failback have to do, for every state that the servers can be in."""

from __future__ import annotations

import json

import pytest
from answers import primary, standby, unreachable

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover.plan import (
    LivingPrimary,
    NobodyAnswers,
    plan_failback,
    plan_failover,
    refuse_without_connection,
)


def topology(*states: NodeState) -> Topology:
    """As the controller gets it: out as JSON, and back."""
    return Topology.from_result(json.loads(json.dumps(Topology(list(states)).as_dict())))


def test_the_preferred_primary_hands_over_to_the_best_standby() -> None:
    seen = topology(primary("a"), standby("b", "0/1"), standby("c", "0/2"))
    plan = plan_failover(seen, "a")
    assert (plan.action, plan.primary, plan.candidate) == ("switchover", "a", "c")


def test_run_again_it_moves_nothing() -> None:
    plan = plan_failover(topology(standby("a"), primary("b")), "a")
    assert (plan.action, plan.candidate) == ("finish", "b")
    assert "has been done" in plan.message


def test_a_standby_that_was_removed_is_neither_promoted_nor_ahead_of_anybody() -> None:
    """Its removal was cut off, so that it still runs."""
    seen = topology(unreachable("a"), standby("b", "0/1"), standby("c", "0/2"))
    gone = {"c": "c was removed from its cluster. Nothing was changed."}
    plan = plan_failover(seen, "a", removed=gone)
    assert (plan.action, plan.primary, plan.candidate, plan.removed) == ("promote", "a", "b", ["c"])
    assert "c, which was removed from the cluster, has 1 B more than b." in plan.unread
    assert plan_failover(seen, "a", "b", removed=gone).candidate == "b"
    for force in (False, True):
        with pytest.raises(RelevoError, match="^c was removed from its cluster"):
            plan_failover(seen, "a", "c", force, removed=gone)
    with pytest.raises(NobodyAnswers, match=r"^No other node answers that could take over\. c was removed"):
        plan_failover(topology(unreachable("a"), unreachable("b"), standby("c")), "a", removed=gone)
    assert plan_failover(seen, "a").removed == []


def test_a_candidate_that_is_primary_is_left_alone() -> None:
    assert plan_failover(topology(primary("a"), standby("b")), "a", "a").action == "finish"


def test_a_named_candidate_takes_over_from_the_current_primary() -> None:
    plan = plan_failover(topology(standby("a"), primary("b"), standby("c")), "a", "c")
    assert (plan.action, plan.primary, plan.candidate) == ("switchover", "b", "c")


@pytest.mark.parametrize("force", [False, True])
def test_a_candidate_that_is_not_a_standby_is_refused(force: bool) -> None:
    with pytest.raises(RelevoError, match="b is not a standby"):
        plan_failover(topology(primary("a"), unreachable("b")), "a", "b", force)


def test_an_old_primary_returns_when_its_successor_is_lost_and_only_with_force() -> None:
    seen = topology(unreachable("a"), unreachable("b"))
    with pytest.raises(RelevoError, match="No node of the cluster answers"):
        plan_failover(seen, "a", "a")
    plan = plan_failover(seen, "a", "a", force=True)
    assert (plan.action, plan.candidate, plan.primary) == ("recover", "a", "b")


@pytest.mark.parametrize(
    ("states", "cut_off", "words"),
    [
        # A primary that its peers see alive, on a machine that does not answer: nobody is promoted beside it.
        ([primary("a"), standby("b")], "a", "Restore that connection, then"),
        ([primary("a"), standby("b")], "b", "Restore that connection, or name another candidate, then"),
        ([unreachable("a"), standby("b")], "b", "Restore that connection, or name another candidate, then"),
        ([standby("a"), primary("b")], "b", "Restore that connection, then"),
    ],
)
def test_no_work_is_planned_for_a_machine_without_a_connection(
    states: list[NodeState], cut_off: str, words: str
) -> None:
    plan = plan_failover(topology(*states), "a")
    with pytest.raises(RelevoError, match=f"The server of {cut_off} answers, but the controller cannot reach") as error:
        refuse_without_connection(plan, {cut_off: "Connection refused"})
    assert words in error.value.message
    assert "(Connection refused). Nobody was promoted; nothing was touched." in error.value.message


def test_a_machine_that_has_no_work_may_be_cut_off() -> None:
    refuse_without_connection(plan_failover(topology(unreachable("a"), standby("b")), "a"), {"a": "no route"})
    refuse_without_connection(plan_failover(topology(primary("a"), standby("b")), "a"), {"c": "no route"})


def test_an_unknown_candidate_is_refused_and_the_nodes_are_named() -> None:
    with pytest.raises(RelevoError, match="no node x .*a, b"):
        plan_failover(topology(primary("a"), standby("b")), "a", "x")


def test_a_primary_without_standbys_cannot_hand_over() -> None:
    with pytest.raises(RelevoError, match="no standby answers"):
        plan_failover(topology(primary("a"), unreachable("b")), "a")


def test_without_a_primary_the_most_advanced_standby_is_promoted() -> None:
    seen = topology(unreachable("a"), standby("b", "0/2"), standby("c", "0/3"))
    plan = plan_failover(seen, "a")
    assert (plan.action, plan.primary, plan.candidate) == ("promote", "a", "c")


@pytest.mark.parametrize(
    ("replayed", "segment"),
    [("0/5000148", "000000020000000000000005"), ("0/5000000", "000000020000000000000004")],
)
def test_the_salvage_begins_with_the_segment_that_was_replayed_last(replayed: str, segment: str) -> None:
    seen = topology(unreachable("a"), standby("b", replayed, 2))
    assert plan_failover(seen, "a").salvage_from == segment


def test_a_newer_timeline_counts_more_than_a_further_position() -> None:
    seen = topology(unreachable("a"), standby("b", "0/9", 1), standby("c", "0/3", 2))
    assert plan_failover(seen, "a").candidate == "c"


def test_a_candidate_that_is_behind_needs_force() -> None:
    seen = topology(unreachable("a"), standby("b", "0/2"), standby("c", "0/3"))
    with pytest.raises(RelevoError, match=r"c is ahead of b \(timeline 1, 0/3 against timeline 1, 0/2\)"):
        plan_failover(seen, "a", "b")
    assert plan_failover(seen, "a", "b", force=True).candidate == "b"


def test_the_lost_primary_is_the_one_that_the_standbys_followed() -> None:
    seen = topology(unreachable("a"), unreachable("b"), standby("c", follows="b"))
    assert plan_failover(seen, "a").primary == "b"


def test_what_wal_that_nobody_can_read_costs_is_unknown_without_a_synchronous_standby() -> None:
    seen = topology(unreachable("a"), standby("b"))
    assert plan_failover(seen, "a").unread == "What it had written and not sent is lost; how much is unknown."


def test_it_costs_no_acknowledged_commit_where_commits_waited_for_the_candidate() -> None:
    state = {"wanted": True, "in_force": "a/1"}
    said = plan_failover(topology(unreachable("a"), standby("b", synchronous=state)), "a").unread
    assert "those that clients saw acknowledged are on b, unless that was turned off while b was away." in said
    # Of several standbys any one sufficed, also one that does not answer now.
    seen = topology(unreachable("a"), standby("b", synchronous=state), unreachable("c"))
    assert "unless only c, which does not answer, had them, or" in plan_failover(seen, "a").unread


def test_nobody_answers() -> None:
    with pytest.raises(RelevoError, match="No node of the cluster answers"):
        plan_failover(topology(unreachable("a"), unreachable("b")), "a")


def test_failback_returns_the_role() -> None:
    plan = plan_failback(topology(standby("a"), primary("b")), "a")
    assert (plan.action, plan.primary, plan.candidate) == ("switchover", "b", "a")


def test_failback_twice_moves_nothing() -> None:
    assert plan_failback(topology(primary("a"), standby("b")), "a").action == "finish"


def test_failback_without_a_primary_says_what_to_do() -> None:
    with pytest.raises(RelevoError, match=r"failover.yml -e candidate=a"):
        plan_failback(topology(standby("a"), unreachable("b")), "a")


# --- a primary that lives and gives us no session --------------------------------------------------------------------

FULL = 'connection to server at "10.0.0.1", port 5432 failed: FATAL:  sorry, too many clients already'


@pytest.mark.parametrize("force", [False, True])
def test_nobody_is_promoted_beside_a_primary_that_lives(force: bool) -> None:
    seen = topology(unreachable("a", f"a: {FULL}", life="refused"), standby("b", follows="a"))
    with pytest.raises(LivingPrimary, match="too many clients already") as caught:
        plan_failover(seen, "a", force=force)
    assert "End sessions there, or raise max_connections" in caught.value.message
    assert "-e fence_living=true" in caught.value.message
    assert not caught.value.starting


def test_the_role_of_a_living_primary_is_taken_when_that_was_asked_for() -> None:
    seen = topology(unreachable("a", FULL, life="refused"), standby("b", follows="a"))
    plan = plan_failover(seen, "a", fence_living=True)
    assert (plan.action, plan.primary, plan.candidate) == ("promote", "a", "b")
    assert plan_failover(seen, "a", fence_living=True, force=True).primary == "a"


def test_a_starting_primary_is_worth_waiting_for() -> None:
    seen = topology(unreachable("a", "the database system is starting up", life="starting"), standby("b", follows="a"))
    with pytest.raises(LivingPrimary, match="starting, stopping or recovering") as caught:
        plan_failover(seen, "a")
    assert caught.value.starting
    told = LivingPrimary(caught.value.state, "It is replaying the WAL segment X.").message
    assert "how far it is. It is replaying the WAL segment X. Nobody was promoted" in told


def test_a_living_standby_that_does_not_let_us_in_saves_no_dead_primary() -> None:
    """It is fenced and its disk is read, as that of any other that does not answer."""
    seen = topology(unreachable("a"), standby("b", follows="a"), unreachable("c", life="refused"))
    plan = plan_failover(seen, "a")
    assert (plan.action, plan.primary, plan.unreachable) == ("promote", "a", ["c"])


def test_one_that_says_itself_that_it_is_primary_is_one_whomever_the_standbys_followed() -> None:
    """A hand-over to it was cut off before the third was told."""
    seen = topology(unreachable("a"), standby("b", follows="a"), unreachable("c", life="refused"))
    promoted = seen.find("c")
    assert promoted is not None
    promoted.says_primary = True
    with pytest.raises(LivingPrimary, match="^c lives and answers, but not to us"):
        plan_failover(seen, "a")
    assert plan_failover(seen, "a", fence_living=True).action == "promote"


def test_the_only_server_left_is_not_called_a_primary_that_could_be_replaced() -> None:
    """It may be the only standby, with all of its connections in use."""
    seen = topology(unreachable("a"), unreachable("b", FULL, life="refused"))
    with pytest.raises(LivingPrimary, match="b may be the primary or a standby, and no other node answers") as caught:
        plan_failover(seen, "a")
    assert "fence_living" not in caught.value.message
    assert not caught.value.successor
    # An old primary that is to return from the archive would replace it.
    with pytest.raises(LivingPrimary, match="add -e fence_living=true"):
        plan_failover(seen, "a", "a", force=True)


def test_where_no_standby_says_whom_it_followed_each_living_server_may_be_primary() -> None:
    seen = topology(unreachable("a"), standby("b"), unreachable("c", life="refused"))
    with pytest.raises(LivingPrimary, match="c lives"):
        plan_failover(seen, "a")


def test_one_that_is_to_return_from_the_archive_must_be_down() -> None:
    seen = topology(unreachable("a", life="starting"), standby("b", follows="c"), unreachable("c"))
    with pytest.raises(LivingPrimary, match="a lives"):
        plan_failover(seen, "a", "a", force=True)


def test_a_failback_says_what_hinders_it() -> None:
    with pytest.raises(RelevoError, match="a lives and answers, but not to us"):
        plan_failback(topology(unreachable("a", life="refused"), standby("b")), "b")


# --- a standby that lags on purpose ----------------------------------------------------------------------------------

LATE = {"apply_delay_ms": 3600000}


def test_it_is_promoted_only_if_no_other_is_left() -> None:
    late, prompt = standby("b", "0/9000000", receive_lsn="0/9000000", **LATE), standby("c", "0/8000000")
    plan = plan_failover(topology(unreachable("a"), late, prompt), "a")
    assert plan.candidate == "c"
    assert "b, which replays with a delay, has 16.0 MiB more than c" in plan.unread
    alone = plan_failover(topology(unreachable("a"), late, unreachable("c")), "a")
    assert alone.candidate == "b"
    assert "replays with a delay, on purpose" in alone.message
    named = plan_failover(topology(unreachable("a"), late, prompt), "a", "b")
    assert named.candidate == "b"
    paused = plan_failover(topology(unreachable("a"), standby("b", replay_paused=True)), "a")
    assert "Promote b, whose replay is paused: that ends, and" in paused.message


def test_it_is_promoted_when_only_it_descends_from_the_last_primary() -> None:
    seen = topology(unreachable("a"), standby("b", "0/9", 2, **LATE), standby("c", "0/9", 1))
    assert plan_failover(seen, "a").candidate == "b"


def test_a_living_primary_hands_over_to_another() -> None:
    seen = topology(primary("a"), standby("b", "0/9", **LATE), standby("c", "0/8"))
    assert plan_failover(seen, "a").candidate == "c"
    with pytest.raises(RelevoError, match=r"b replays with a delay, on purpose .* Nothing was touched"):
        plan_failover(seen, "a", "b")
