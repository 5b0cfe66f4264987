"""Whether the standby of this node may be promoted, given what the servers and the archive say."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover import promotion
from ansible_collections.relevo.postgres.plugins.module_utils._handover.promotion import PromotionRequest, refusal
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import Session

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


def test_the_server_that_is_to_be_promoted_is_asked_again_over_its_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow over the network, it would count as being on timeline 0, and the archive as ahead of it."""
    data = state(B).data
    questions: list[tuple[str, float]] = []

    class Local:
        def __init__(self, dbname: str, _name: str, timeout: float) -> None:
            questions.append((dbname, timeout))

        def __enter__(self) -> Local:
            return self

        def __exit__(self, *_exception: object) -> None:
            pass

        def value(self, _query: str, timeout: float) -> str:
            questions.append(("", timeout))
            return json.dumps(data)

    answers = [gone(A), gone(B), state(C)]
    monkeypatch.setattr(promotion, "probe", lambda *_given: answers)
    monkeypatch.setattr(Session, "local", Local)
    assert promotion.Promotion(REQUEST).check() == (2, 0)
    assert questions == [("relevo", 30.0), ("", 30.0)]
    # It has answered: what was wrong the first time is wrong no more.
    assert answers[1].error is None
    # What others have that it lacks is still seen.
    answers[1:] = [gone(B), state(C, "0/9000000")]
    with pytest.raises(RelevoError, match="c is ahead of b"):
        promotion.Promotion(REQUEST).check()
    # Who answered is not asked twice.
    questions.clear()
    answers[1:] = [state(B), state(C)]
    assert promotion.Promotion(REQUEST).check() == (2, 0)
    assert questions == []
