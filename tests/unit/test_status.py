"""The report on a cluster's state."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.status import problems, status_text

PRIMARY: dict[str, Any] = {
    "name": "a",
    "role": "primary",
    "timeline": 2,
    "current_lsn": "0/5000148",
    "senders": [{"state": "streaming"}],
    "slots": [],
    "archiver": {"last_archived": "000000020000000000000005", "last_archived_age_s": 42, "failing": False},
    "pending_restart": [],
}
STANDBY: dict[str, Any] = {
    "name": "b",
    "role": "standby",
    "timeline": 2,
    "replay_lsn": "0/5000148",
    "replay_lag_bytes": 0,
    "lag_seconds": 0.0,
    "receiver": {"status": "streaming", "host": "a"},
}
DISK: dict[str, Any] = {"fence": None, "rejoin": None, "guard": None, "running": True}
BACKUP = {"label": "20261124-120000F", "type": "full", "timestamp": {"stop": 1}, "annotation": {"relevo-primary": "a"}}


def topology(*nodes: dict[str, Any]) -> dict[str, Any]:
    primaries = [node for node in nodes if node["role"] == "primary"]
    return {
        "primary": primaries[0] if len(primaries) == 1 else None,
        "primaries": [node["name"] for node in primaries],
        "nodes": {node["name"]: node for node in nodes},
    }


def test_a_healthy_cluster_needs_no_attention() -> None:
    text = status_text(topology(PRIMARY, STANDBY), {"a": DISK, "b": DISK}, [BACKUP], "main")
    assert "Nothing needs attention." in text
    assert "streaming from a" in text
    assert "20261124-120000F (full) of a" in text


def test_everything_that_is_wrong_is_said_with_what_to_do() -> None:
    dead = {"name": "b", "role": "unreachable", "error": "b: refused"}
    failing = PRIMARY | {
        "archiver": PRIMARY["archiver"] | {"failing": True, "last_failed": "000000020000000000000006"},
        "slots": [{"name": "b", "active": False, "kept_bytes": 1048576}],
        "pending_restart": ["shared_buffers"],
    }
    fence = {"by": "root", "at": "now", "successor": "a"}
    found = "\n".join(problems(topology(failing, dead), {"b": DISK | {"fence": fence}}, []))
    for part in ("Archiving fails on a", "slot b on a keeps 1.0 MiB", "shared_buffers", "b was fenced", "no backup"):
        assert part in found


def test_a_node_that_waits_says_why() -> None:
    dead = {"name": "b", "role": "unreachable", "error": "b: refused"}
    guard = DISK | {"running": False, "guard": {"reason": "no witness answers"}}
    assert "no witness answers" in problems(topology(PRIMARY, dead), {"b": guard}, [BACKUP])[0]


def test_no_primary_and_two_primaries() -> None:
    assert "No primary" in problems(topology(STANDBY), {}, [BACKUP])[0]
    assert "Two primaries take writes: a and c" in problems(topology(PRIMARY, PRIMARY | {"name": "c"}), {}, [BACKUP])[0]


def test_a_silent_repository_is_not_taken_for_an_empty_one() -> None:
    text = status_text(topology(PRIMARY, STANDBY), {"a": DISK, "b": DISK}, None, "main")
    assert "repository host does not answer" in text
    assert "no backup" not in text


@pytest.mark.parametrize(
    ("state", "senders", "said"),
    [
        ({"names": "ANY 1 (b)", "waiting": 3, "waiting_s": 9}, [], "BLOCKED: a takes no writes"),
        ({"names": "ANY 1 (b)", "waiting": 0, "waiting_s": 0}, [], "0 sessions wait. Run rejoin.yml, or go on without"),
        ({"names": "ANY 1 (b)", "waiting": 1, "waiting_s": 9}, ["quorum"], "BLOCKED: the synchronous standby of a"),
        ({"names": "", "wanted": True, "waiting": 0, "waiting_s": 0}, ["async"], "a takes writes without"),
        ({"names": "ANY 1 (b)", "waiting": 1, "waiting_s": 0}, ["quorum"], ""),
        ({"names": "", "wanted": False, "waiting": 0, "waiting_s": 0}, [], ""),
    ],
)
def test_a_primary_that_waits_for_a_standby_is_said_loudly(
    state: dict[str, Any], senders: list[str], said: str
) -> None:
    seen = [{"name": "b", "state": "streaming", "sync_state": sync} for sync in senders]
    found = problems(topology(PRIMARY | {"synchronous": state, "senders": seen}), {"a": DISK}, [BACKUP])
    assert said in "\n".join(found)
    assert bool(said) == bool(found)


def test_the_status_names_the_standby_that_commits_wait_for() -> None:
    sender = {"name": "b", "state": "streaming", "sync_state": "quorum"}
    state = {"names": "ANY 1 (b)", "wanted": True, "waiting": 0, "waiting_s": 0}
    text = status_text(topology(PRIMARY | {"synchronous": state, "senders": [sender]}, STANDBY), {}, [BACKUP], "main")
    assert "Synchronous: each commit waits for b." in text
    assert "Nothing needs attention." in text


def test_a_timeline_of_the_archive_that_nobody_follows_is_a_problem() -> None:
    nodes = topology(PRIMARY, STANDBY)
    assert problems(nodes, {}, [BACKUP], archived=2) == []
    (given_up,) = problems(nodes, {}, [BACKUP], archived=3)
    assert "The archive holds timeline 3, newer than the timeline 2 of a, and nobody follows it." in given_up


def test_a_timeline_of_the_archive_may_be_that_of_a_silent_node() -> None:
    unreachable = {"name": "b", "role": "unreachable", "error": "b: no answer in time"}
    found = problems(topology(PRIMARY, unreachable), {}, [BACKUP], archived=3)
    assert any("b, which does not answer, may be on it" in problem for problem in found)
