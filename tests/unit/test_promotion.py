"""Whether the standby of this node may be promoted, given what the servers and the archive say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._handover.promotion import PromotionRequest, refusal
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer

A, B, C = (Peer(name, name) for name in "abc")
REQUEST = PromotionRequest(local=B, nodes=[A, B, C], old_primary="a", requested_by="alice")


def state(node: Peer, lsn: str = "0/5000000", timeline: int = 2, primary: bool = False) -> NodeState:
    lsns = {"current_lsn": lsn} if primary else {"receive_lsn": lsn, "replay_lsn": lsn}
    data: dict[str, Any] = {"in_recovery": not primary, "timeline": timeline, "system_identifier": "7", **lsns}
    return NodeState(node, data)


def gone(node: Peer) -> NodeState:
    return NodeState(node, error="no answer")


@pytest.mark.parametrize(
    ("states", "archived"),
    [
        ([gone(A), state(B), gone(C)], 2),
        ([gone(A), state(B), state(C)], 2),
        ([gone(A), state(B, "0/6000000"), state(C)], 2),
        # Where the archive cannot be asked it objects to nothing.
        ([gone(A), state(B), state(C)], 0),
    ],
)
def test_the_most_advanced_standby_is_promoted(states: list[NodeState], archived: int) -> None:
    assert refusal(REQUEST, Topology(states), archived) == ""


@pytest.mark.parametrize("force", [False, True])
def test_beside_a_primary_nobody_is(force: bool) -> None:
    said = refusal(replace(REQUEST, force=force), Topology([state(A, primary=True), state(B)]), 2)
    assert said.startswith("a takes writes. Nothing was changed")


@pytest.mark.parametrize(
    ("wanted", "states", "archived", "words"),
    [
        (REQUEST, [state(B), state(C, "0/6000000")], 2, "c is ahead of b (LSN 0/6000000 on timeline 2 against 0/50"),
        (REQUEST, [state(B, "0/6000000"), state(C, timeline=3)], 2, "c is ahead of b"),
        (replace(REQUEST, newer_timeline=3), [state(B)], 2, "a was promoted to timeline 3, and b is on timeline 2"),
        (REQUEST, [state(B)], 3, "The archive holds a newer timeline (3) than that of b (2)"),
    ],
)
def test_what_would_be_lost_is_refused_unless_forced(
    wanted: PromotionRequest, states: list[NodeState], archived: int, words: str
) -> None:
    said = refusal(wanted, Topology([gone(A), *states]), archived)
    assert said.startswith(words)
    assert "force=true" in said
    assert refusal(replace(wanted, force=True), Topology([gone(A), *states]), archived) == ""
