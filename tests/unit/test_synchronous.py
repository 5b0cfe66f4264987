"""Synchronous replication: what is required of the primary, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from answers import primary

from ansible_collections.relevo.postgres.plugins.module_utils._cluster import synchronous
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.answer import SynchronousState, in_force
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.synchronous import (
    drop_requirement,
    is_required_here,
    message,
    standby_names,
)
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState


def requiring(names: str, *senders: tuple[str, str]) -> NodeState:
    seen = [{"name": "b", "state": state, "sync_state": sync} for state, sync in senders]
    return primary("a", synchronous={"names": names}, senders=seen)


def test_any_one_of_the_other_nodes_suffices_whatever_their_names() -> None:
    assert standby_names(["c", "b-1", 'd"e']) == 'ANY 1 ("b-1", "c", "d""e")'


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (requiring(""), False),
        (requiring("", ("streaming", "async")), False),
        (requiring("ANY 1 (b)"), True),
        (requiring("ANY 1 (b)", ("streaming", "quorum")), False),
        # A standby that was cloned a moment ago is no help yet, and neither is one of another name.
        (requiring("ANY 1 (b)", ("catchup", "quorum")), True),
        (requiring("ANY 1 (b)", ("streaming", "async")), True),
        (primary("a"), False),
    ],
)
def test_blocked_is_a_primary_that_requires_what_nobody_gives(node: NodeState, expected: bool) -> None:
    assert node.blocked is expected


def test_only_the_last_primary_on_its_own_timeline_is_vouched_for() -> None:
    state = SynchronousState(wanted=True, in_force=in_force("a", 5))
    assert state.vouches_for("a", 5)
    assert not state.vouches_for("b", 5)
    # Promoted again since, and no standby had come yet.
    assert not state.vouches_for("a", 6)
    assert not SynchronousState(wanted=False, in_force=in_force("a", 5)).vouches_for("a", 5)
    assert not SynchronousState().vouches_for("a", 5)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ((True, True, ["b"], False), ""),
        ((True, True, ["b"], True), "From now on each commit on a waits for a synchronous standby (b)"),
        ((True, True, [], False), "BLOCKED: a takes no writes"),
        ((True, False, [], False), "a takes writes without a synchronous standby until one follows"),
        ((False, False, [], True), "a requires no synchronous standby any more."),
        ((False, False, [], False), ""),
    ],
)
def test_the_message_says_what_somebody_should_know(state: tuple[bool, bool, list[str], bool], said: str) -> None:
    text = message("a", *state)
    assert said in text
    assert bool(said) == bool(text)


def test_a_node_that_is_no_primary_any_more_requires_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synchronous, "REQUIREMENT_CONF", tmp_path / "80-synchronous.conf")
    assert not drop_requirement()
    (tmp_path / "80-synchronous.conf").write_text("synchronous_standby_names = 'b'\n")
    assert is_required_here()
    assert drop_requirement()
    assert not is_required_here()
