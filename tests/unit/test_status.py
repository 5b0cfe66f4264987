"""The report on a cluster's state: one value, its text, its JSON, and its problems."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

import pytest
from answers import primary, standby, unreachable

from ansible_collections.relevo.postgres.plugins.module_utils._cluster import status_problems
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.describe_site import describe_site
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.observed import (
    Disk,
    Note,
    Observed,
    Repository,
    proxies_of,
    scratch_of,
)
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.status import ClusterStatus, State, compose
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.status_problems import CODES, with_problems
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.status_text import status_text
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import OperationPlan
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Life

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 24, 13, 0, 0, tzinfo=UTC)
ARCHIVER = {"last_archived": "000000020000000000000005", "last_archived_age_s": 42, "failing": False}
STREAMS = {"name": "b", "state": "streaming", "sync_state": "async"}
LISTED = {
    "label": "20261124-120000F",
    "type": "full",
    "timestamp": {"start": NOW.timestamp() - 3600, "stop": NOW.timestamp() - 3540},
    "annotation": {"relevo-primary": "a"},
    "archive": {"start": "000000020000000000000002", "stop": "000000020000000000000002"},
}
HOLE = {"first": "000000020000000000000003", "last": "000000020000000000000004", "count": 2}
FENCE = Note("root", "2026-11-24T12:00:00+00:00", "a")


def a(**more: Any) -> NodeState:
    """The primary of a healthy cluster, or of one that is not."""
    return primary("a", "0/5000148", 2, **{"senders": [STREAMS], "archiver": ARCHIVER, **more})


def b(**more: Any) -> NodeState:
    receiver = {"status": "streaming", "host": "a"}
    return standby("b", "0/5000148", 2, **{"receiver": receiver, **more})


def gone(name: str = "b") -> NodeState:
    return unreachable(name, f"{name}: refused")


def repository(**more: Any) -> Repository:
    return Repository.of({"backups": [LISTED], "newest_timeline": 2, **more})


def status(*states: NodeState, **more: Any) -> ClusterStatus:
    known = {"repository": repository(), "disks": {"a": Disk(True), "b": Disk(True)}}
    nodes = list(states) or [a(), b()]
    return with_problems(compose(Observed("main", Topology(nodes), now=NOW, **{**known, **more})))


def codes(found: ClusterStatus) -> list[str]:
    return [problem.code for problem in found.problems]


def sentences(found: ClusterStatus) -> str:
    return "\n".join(problem.sentence for problem in found.problems)


def node(found: ClusterStatus, name: str = "b") -> Any:
    return next(one for one in found.as_dict()["nodes"] if one["name"] == name)


def test_a_healthy_cluster_needs_no_attention() -> None:
    found = status(next_day=3)
    text = status_text(found)
    assert found.healthy
    assert "Nothing needs attention." in text
    assert "streaming from a" in text
    assert "20261124-120000F (full) of a, 59 min 00 s ago." in text
    assert "Recovery window: any moment from 2026-11-24T12:01:00+00:00 to 2026-11-24T12:59:18+00:00." in text
    assert "Next backup: day 3 of the cycle." in text


def test_the_json_has_a_version_and_all_that_the_text_says() -> None:
    found = json.loads(json.dumps(status(next_day=3, preferred="a", containers={"a": "running"}).as_dict()))
    assert (found["version"], found["cluster"], found["healthy"], found["primary"]) == (1, "main", True, "a")
    assert found["archive"] == {
        "failing": False,
        "last_segment": "000000020000000000000005",
        "last_segment_age_s": 42,
        "last_failed_segment": None,
        "newest_timeline": 2,
        "dropped": None,
    }
    assert found["backups"]["last"]["label"] == "20261124-120000F"
    assert found["backups"]["last"]["age_s"] == 3540
    assert found["backups"]["recovery_window"]["from"] == "2026-11-24T12:01:00+00:00"
    assert found["backups"]["next_day"] == 3
    first, second = found["nodes"]
    assert (first["role"], first["state"], first["preferred"], first["container"]) == (
        "primary",
        "running",
        True,
        "running",
    )
    assert (second["role"], second["state"], second["upstream"]) == ("standby", "streaming", "a")
    assert second["lag"] == {"lag_bytes": 0, "replay_lag_bytes": 0, "lag_seconds": 0.0}
    assert found["problems"] == []


def test_a_problem_has_a_code_a_severity_a_node_and_what_to_do() -> None:
    (problem,) = status(a(), b(replay_paused=True)).as_dict()["problems"]
    assert problem == {
        "code": "replay-paused",
        "severity": "warning",
        "node": "b",
        "message": "Replay is paused on b.",
        "action": "Let it go on there: SELECT pg_wal_replay_resume().",
    }


@pytest.mark.parametrize(
    ("waits", "more", "code", "said"),
    [
        ("RecoveryApplyDelay", {}, "replay-delayed", "does not stream from a before it has replayed what it has. Wait"),
        (
            "RecoveryPause",
            {"replay_paused": True},
            "replay-paused",
            "paused on b, which does not stream meanwhile. Let",
        ),
        ("RecoveryWalStream", {}, "not-streaming", "b does not stream from a. Run rejoin.yml."),
        (None, {}, "not-streaming", "b does not stream from a. Run rejoin.yml."),
    ],
)
def test_a_standby_that_makes_its_replay_wait_is_not_one_to_rejoin(
    waits: str | None, more: dict[str, Any], code: str, said: str
) -> None:
    found = status(a(), b(receiver=None, replay_waits=waits, **more))
    assert codes(found) == [code]
    assert said in sentences(found)
    assert node(found)["own_pace"] == {"replay-delayed": "delayed", "replay-paused": "paused"}.get(code)


def test_a_delayed_standby_that_streams_is_well() -> None:
    assert codes(status(a(), b(replay_waits="RecoveryApplyDelay"))) == []


def test_a_warning_leaves_a_cluster_healthy_and_an_error_does_not() -> None:
    assert status(a(pending_restart=["shared_buffers"]), b()).healthy
    assert not status(a(), gone()).healthy


def test_everything_that_is_wrong_is_said_with_what_to_do() -> None:
    failing = a(
        archiver=ARCHIVER | {"failing": True, "last_failed": "000000020000000000000006"},
        slots=[{"name": "b", "active": False, "kept_bytes": 1048576}],
        pending_restart=["shared_buffers"],
    )
    found = sentences(status(failing, gone(), disks={"b": Disk(False, fence=FENCE)}, repository=Repository()))
    for part in ("Archiving fails on a", "slot b on a keeps 1.0 MiB", "shared_buffers", "b was fenced", "no backup"):
        assert part in found


READ = "2026-11-24T12:00:00.5+00:00"


@pytest.mark.parametrize(
    ("written", "read", "found"),
    [
        ("2026-11-24T12:00:00.4+00:00", READ, []),
        ("2026-11-24T12:00:00.6+00:00", READ, ["reload-pending"]),
        # In another zone, and a server that does not say when.
        ("2026-11-24T11:00:00+00:00", "2026-11-24T11:30:00+02:00", ["reload-pending"]),
        (READ, None, []),
        (None, READ, []),
    ],
)
def test_what_was_written_and_not_read_is_a_problem(written: str | None, read: str | None, found: list[str]) -> None:
    disk = Disk.of({"running": True, "configuration_written": written})
    assert codes(status(a(configuration_loaded=read), b(), disks={"a": disk})) == found


def test_a_tls_server_that_has_not_read_its_files_is_a_problem_of_its_host() -> None:
    found = status(
        disks={"a": Disk(True), "b": Disk.of({"running": True, "tls_server_owed": True})},
        repository=repository(tls_server_owed=True),
        repository_host="r",
    )
    assert [(one.code, one.node) for one in found.problems] == [("reload-pending", "b"), ("reload-pending", None)]
    assert "pgBackRest's TLS server on r has not read its configuration or its certificate" in sentences(found)
    assert found.as_dict()["repository"]["tls_reload_owed"]
    assert node(found)["tls_reload_owed"]


def test_a_configuration_that_a_server_does_not_take_is_an_error_with_its_words() -> None:
    bad = {"faults": ["pg_hba.conf, line 3: bad"], "settings": {}}
    disk = Disk.of({"running": True, "configuration_written": READ, "configuration": bad})
    found = status(a(configuration_loaded=NOW.isoformat()), b(), disks={"a": disk})
    assert codes(found) == ["configuration-refused"]
    assert "pg_hba.conf, line 3: bad. Correct it" in found.problems[0].sentence
    assert not found.healthy


@pytest.mark.parametrize(
    ("first", "second", "uniform", "found"),
    [
        ({"work_mem": "1"}, {"work_mem": "1"}, True, []),
        ({"work_mem": "1"}, {"work_mem": "2"}, True, ["work_mem"]),
        ({"work_mem": "1"}, {"work_mem": "1", "jit": "1"}, True, ["jit"]),
        # The inventory wants it so, or a node has not said.
        ({"work_mem": "1"}, {"work_mem": "2"}, False, []),
        ({"work_mem": "1"}, {}, True, []),
    ],
)
def test_nodes_whose_files_differ_are_named_with_the_settings(
    first: dict[str, str], second: dict[str, str], uniform: bool, found: list[str]
) -> None:
    disks = {
        name: Disk.of({"running": True, "configuration": {"settings": settings}})
        for name, settings in (("a", first), ("b", second))
    }
    state = status(a(), b(), disks=disks, uniform=uniform)
    assert list(state.differing_settings) == found
    assert codes(state) == (["configuration-differs"] if found else [])


def test_a_fenced_node_has_the_configuration_that_it_had() -> None:
    disks = {
        "a": Disk.of({"running": True, "configuration": {"settings": {"jit": "1"}}}),
        "b": Disk.of({"running": False, "fence": {"by": "x"}, "configuration": {"settings": {}, "faults": []}}),
        "c": Disk.of({"running": False, "fence": {"by": "x"}, "configuration": {"settings": {"jit": "2"}}}),
    }
    assert status(a(), gone(), gone("c"), disks=disks).differing_settings == []


def test_a_primary_that_was_a_standby_must_be_restarted_for_what_it_has_kept() -> None:
    kept = Disk.of({"running": True, "kept_for_primary": ["max_connections"]})
    found = status(a(pending_restart=["jit"]), b(), disks={"a": kept, "b": kept})
    assert [one.message for one in found.problems] == ["a must be restarted for jit, max_connections."]


def test_a_node_that_waits_says_why() -> None:
    guard = Disk.of({"running": False, "guard": {"verdict": "wait", "reason": "no witness answers", "since": ""}})
    found = status(a(), gone(), disks={"b": guard})
    assert "no witness answers" in found.problems[0].message
    assert (codes(found), node(found)["state"]) == (["start-guard"], "waiting")


@pytest.mark.parametrize(
    ("disk", "container", "state", "code", "said"),
    [
        # Its guard let it start once; that explains no server that is down now.
        (
            {"guard": {"verdict": "start", "reason": "no objection by b"}},
            "",
            "crashed",
            "server-crashed",
            "does not run",
        ),
        ({"wanted": False, "guard": {"verdict": "refuse", "reason": "x"}}, "", "stopped", "server-stopped", "stopped"),
        # Its volume was lost, and its service is wanted: there is no log to look at.
        ({"initialised": False}, "", "empty", "node-empty", "it holds no data"),
        ({"running": True, "guard": {"verdict": "refuse", "reason": "x"}}, "", "hung", "server-hung", "runs and does"),
        (
            {
                "booted": "2026-11-24T12:30:00+00:00",
                "guard": {"verdict": "refuse", "since": "2026-11-24T12:00:00+00:00"},
            },
            "",
            "crashed",
            "server-crashed",
            "does not run",
        ),
        (
            {
                "booted": "2026-11-24T12:30:01+00:00",
                "guard": {"verdict": "refuse", "reason": "a is the primary", "since": "2026-11-24T12:30:00+00:00"},
            },
            "",
            "refused",
            "start-guard",
            "refuses the start since 2026-11-24T12:30:00+00:00: a is the primary",
        ),
        ({"rejoin": {"by": "root"}}, "", "rejoin-interrupted", "rejoin-interrupted", "cut off while it was rejoining"),
        (
            {"fence": {"by": "root", "at": "noon", "successor": "a"}},
            "",
            "fenced",
            "node-fenced",
            "by root at noon for a",
        ),
        (None, "stopped", "container-down", "container-down", "its container is stopped"),
        (None, "", "unreachable", "node-unreachable", "its host does not answer"),
    ],
)
def test_a_node_that_is_down_says_why_it_is_down_now(
    disk: dict[str, Any] | None, container: str, state: str, code: str, said: str
) -> None:
    found = status(
        a(),
        gone(),
        disks={} if disk is None else {"b": Disk.of({"wanted": True, "running": False, **disk})},
        containers={"b": container} if container else {},
    )
    assert node(found)["state"] == state
    assert said in node(found)["reason"]
    assert codes(found) == [code]


def test_a_container_that_is_down_with_a_fence_on_its_disk_is_said_once() -> None:
    found = status(a(), gone(), disks={}, containers={"b": "stopped"}, markers={"b": FENCE})
    assert codes(found) == ["node-fenced"]
    assert "b was fenced by root at 2026-11-24T12:00:00+00:00 for a and is down. Run rejoin.yml." in sentences(found)
    assert node(found)["fence"]["successor"] == "a"


REMOVED = {"node": "b", "by": "ann", "at": "noon"}


@pytest.mark.parametrize(
    "seen",
    [
        # Its container is down; it is up, and the guard refuses; it was fenced before.
        {"disks": {}, "containers": {"b": "stopped"}, "removed": {"b": Note.of(REMOVED)}},
        {"disks": {"b": Disk.of({"removed": REMOVED, "certificate_days": -1.0, "tls_server_owed": True})}},
        {"disks": {"b": Disk.of({"removed": REMOVED, "fence": {"by": "root", "at": "noon", "successor": "a"}})}},
    ],
)
def test_a_removed_node_is_named_with_what_to_do_and_nothing_else_is_expected_of_it(seen: dict[str, Any]) -> None:
    found = status(a(), gone(), **seen)
    assert node(found)["state"] == "removed"
    assert codes(found) == ["node-removed"]
    assert (
        "b was removed from its cluster by ann at noon, and is still in the inventory. Take it out there, or add it "
        "again: add_node.yml -e node=b." in sentences(found)
    )
    assert found.healthy
    assert "removed from its cluster" in status_text(found)


def test_a_removal_that_was_cut_off_before_the_stop_is_run_again() -> None:
    found = status(disks={"a": Disk(True), "b": Disk.of({"running": True, "removed": REMOVED})})
    assert node(found)["state"] == "streaming"
    assert codes(found) == ["node-removed"]
    assert "Run it again: remove_node.yml -e node=b -e confirm=b." in sentences(found)


@pytest.mark.parametrize(
    ("container", "with_primary", "without"),
    [
        ("stopped", "Run rejoin.yml.", "Run docker start b."),
        # Both the engine and rejoin.yml refuse to start it.
        ("paused", "Run docker unpause b.", "Run docker unpause b."),
        ("missing", "Run site.yml, which creates it.", "Run site.yml, which creates it."),
        ("restarting", "docker logs b says why", "docker logs b says why"),
    ],
)
def test_a_container_that_is_down_comes_back_by_what_it_is(container: str, with_primary: str, without: str) -> None:
    for states, said in (((a(), gone()), with_primary), ((gone("a"), gone()), without)):
        action = next(
            one.action
            for one in status(*states, disks={}, containers={"b": container}).problems
            if one.code == "container-down"
        )
        assert action.startswith(said)


@pytest.mark.parametrize(
    ("disk", "action"),
    [
        ({"running": True}, "Look at its log, its disk and the network. Restart it."),
        ({}, "Look at its log. Start it."),
        ({"wanted": False}, "Start it."),
        ({"initialised": False}, "Once there is a primary, rejoin.yml copies it anew."),
        # Started again, it would be refused again.
        (
            {"guard": {"verdict": "refuse", "reason": "a was promoted", "advice": "Run failover.yml."}},
            "Run failover.yml.",
        ),
        ({"guard": {"verdict": "wait", "reason": "no witness answers", "advice": "Start one."}}, "Start one."),
    ],
)
def test_without_a_primary_a_server_that_is_down_comes_back_by_what_keeps_it_down(
    disk: dict[str, Any], action: str
) -> None:
    found = status(gone("a"), gone(), disks={"b": Disk.of({"wanted": True, "running": False, **disk})})
    assert [one.action for one in found.problems if one.node == "b"] == [action]


def test_no_primary_and_two_primaries() -> None:
    assert "No primary" in status(b()).problems[0].message
    two = status(a(), primary("c", "0/5000148", 2))
    assert "Two primaries take writes: a and c" in two.problems[0].message
    assert two.as_dict()["primary"] is None


@pytest.mark.parametrize(
    ("disks", "backups", "action"),
    [
        ([{}, {}], {}, "Start the old one, or run failover.yml to promote a standby."),
        ([{"initialised": False}, {}], {}, "Start the old one, or run failover.yml to promote a standby."),
        # failover.yml would promote nobody, and its way out was an error of Python's.
        (
            [{"initialised": False}] * 2,
            {},
            "No node holds data. restore.yml -e to=cluster -e target_type=latest brings",
        ),
        ([{"initialised": False}] * 2, {"backups": []}, "No node holds data, and no backup is known. site.yml says"),
        ([{"restore": {"by": "root", "at": "noon"}}] * 2, {}, "The cluster is being restored in place: finish that"),
    ],
)
def test_without_a_primary_it_says_how_one_comes_back(
    disks: list[dict[str, Any]], backups: dict[str, Any], action: str
) -> None:
    looked = {name: Disk.of(disk) for name, disk in zip("ab", disks, strict=True)}
    found = status(gone("a"), gone("b"), disks=looked, repository=repository(**backups))
    assert next(one.action for one in found.problems if one.code == "no-primary").startswith(action)


def test_a_node_of_another_cluster_is_said() -> None:
    found = status(a(system_identifier="7"), b(system_identifier="8"))
    assert codes(found) == ["foreign-node"]


@pytest.mark.parametrize(
    ("server", "code"),
    [(gone(), "server-stopped"), (unreachable("b", "b: no such role", "refused"), "server-refuses-us")],
)
def test_data_of_another_cluster_are_said_of_a_node_whose_server_does_not_answer_us(
    server: NodeState, code: str
) -> None:
    """Such a server is mostly down, or knows none of our roles; rejoin.yml overwrites nothing there."""
    theirs = Disk.of({"running": False, "wanted": False, "system_identifier": "8"})
    found = status(a(system_identifier="7"), server, disks={"a": Disk(True), "b": theirs})
    assert codes(found) == ["foreign-node", code]
    assert not any("Run rejoin.yml" in one.action for one in found.problems)
    assert node(found)["system_identifier"] == "8"
    own = Disk.of({"running": False, "wanted": False, "system_identifier": "7"})
    assert codes(status(a(system_identifier="7"), server, disks={"a": Disk(True), "b": own})) == [code]
    # One that belongs to this cluster no more may hold what its owner likes.
    left = Disk.of({"running": False, "wanted": False, "system_identifier": "8", "removed": {"by": "root"}})
    assert codes(status(a(system_identifier="7"), gone(), disks={"a": Disk(True), "b": left})) == ["node-removed"]


def test_a_silent_repository_is_not_taken_for_an_empty_one() -> None:
    found = status(repository=None)
    text = status_text(found)
    assert "repository host does not answer" in text
    assert "no backup" not in text
    assert found.as_dict()["backups"]["count"] is None


AWAY = {"repository": 2, "reason": "It takes no connections."}
BEHIND = {"repository": 2, "holes": [{"first": "A", "last": "B", "count": 2}, {"first": "D", "last": "D", "count": 1}]}


def test_of_two_repositories_the_one_that_is_away_is_named_and_not_the_archiver_it_holds_up() -> None:
    failing = a(archiver=ARCHIVER | {"failing": True, "last_failed": "000000020000000000000006"})
    found = status(failing, b(), repository=repository(repositories=[1, 2], away=[AWAY]))
    assert codes(found) == ["repository-away"]
    assert not found.healthy
    assert "Repository 2 is away, and the primary keeps all WAL that it lacks: It takes no connections." in sentences(
        found
    )
    assert found.as_dict()["repository"] | {"host": ""} == {
        "host": "",
        "answers": True,
        "tls_reload_owed": False,
        "certificate_days": None,
        "authority": None,
        "count": 2,
        "away": [AWAY],
    }


@pytest.mark.parametrize(
    ("failed", "newest", "lsn", "told"),
    [
        ("000000020000000000000006", "000000020000000000000006", "0/7000148", False),
        ("000000020000000000000006", "000000020000000000000007", "0/8000148", False),
        # It lacks the first one that could not be archived to both.
        ("000000020000000000000006", "000000020000000000000005", "0/7000148", True),
        # It had that one, and then went as well.
        ("000000020000000000000006", "000000020000000000000006", "0/27000148", True),
        ("000000020000000000000006", "000000020000000000000006", "0/26000000", False),
        ("00000002.history", "000000020000000000000005", "0/7000148", False),
        ("000000020000000000000006", "", "0/7000148", False),
    ],
)
def test_of_two_repositories_the_other_one_may_fail_too(failed: str, newest: str, lsn: str, told: bool) -> None:
    failing = primary("a", lsn, 2, senders=[STREAMS], archiver=ARCHIVER | {"failing": True, "last_failed": failed})
    raw = {"archive": [{"id": "17-1", "max": "0"}, {"id": "17-2", "max": newest or None}]}
    found = status(failing, b(), repository=repository(repositories=[1, 2], away=[AWAY], raw=raw))
    assert ("archiving-fails" in codes(found)) is told
    assert ("also in the repository that answers" in sentences(found)) is told


def test_of_two_repositories_what_the_other_one_lacks_is_told() -> None:
    found = status(repository=repository(repositories=[1, 2], behind=[BEHIND]))
    assert codes(found) == ["archive-hole"]
    assert "Repository 2 lacks 3 segments of WAL (A to D)" in sentences(found)


def test_a_repository_that_cannot_be_used_says_why() -> None:
    found = status(repository=Repository(problem="The repository has no stanza main."))
    assert codes(found) == ["repository-unusable"]
    assert "no stanza main" in sentences(found)


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
    found = status(a(synchronous=state, senders=seen))
    assert said in sentences(found)
    assert bool(said) == bool(found.problems)


def test_the_status_names_the_standby_that_commits_wait_for() -> None:
    sender = {"name": "b", "state": "streaming", "sync_state": "quorum"}
    state = {"names": "ANY 1 (b)", "wanted": True, "waiting": 0, "waiting_s": 0}
    found = status(a(synchronous=state, senders=[sender]), b())
    text = status_text(found)
    assert "Synchronous: each commit waits for b." in text
    assert "Nothing needs attention." in text
    assert found.as_dict()["synchronous"]["standbys"] == ["b"]


def test_a_timeline_of_the_archive_that_nobody_follows_is_a_problem() -> None:
    assert codes(status()) == []
    abandoned = status(repository=repository(newest_timeline=3))
    assert "The archive holds timeline 3, newer than the timeline 2 of a, and nobody follows it." in sentences(
        abandoned
    )
    assert codes(abandoned) == ["abandoned-timeline"]


def test_a_timeline_of_the_archive_may_be_that_of_a_node_that_does_not_answer() -> None:
    found = status(a(), gone(), repository=repository(newest_timeline=3))
    assert "b, which does not answer, may be on it" in sentences(found)
    assert "newer-timeline" in codes(found)


def test_the_newest_backup_is_the_last_in_time() -> None:
    later = {**LISTED, "label": "later", "timestamp": {"stop": NOW.timestamp() - 3240}}
    given = {"backups": [], "newest_timeline": 2}
    assert Repository.of(given).backups == []
    assert status(repository=repository(backups=[LISTED, later])).as_dict()["backups"]["last"]["label"] == "later"


def plan(*states: NodeState, **more: Any) -> tuple[dict[str, str], OperationPlan]:
    options = {name: more.pop(name) for name in ("restart", "recreate") if name in more}
    found = describe_site(status(*states, **more), **options)
    return {effect.name: effect.change for effect in found.affects}, found


def test_a_finished_cluster_has_nothing_to_provision() -> None:
    changes, found = plan()
    assert (changes, found.action, found.refusals) == ({}, "converge", [])
    assert "No server that runs is restarted." in found.expected


def test_a_new_cluster_is_founded_on_its_preferred_primary() -> None:
    missing = {"a": "missing", "b": "missing"}
    changes, found = plan(gone("a"), gone("b"), disks={}, containers=missing, preferred="b", repository=None)
    assert found.action == "found"
    assert "becomes a standby" in changes["a"]
    assert "becomes the primary of a new cluster" in changes["b"]
    assert found.refusals == []


def test_no_new_cluster_is_promised_where_the_repository_holds_backups() -> None:
    """site.yml refuses it, unless the volumes have outlived the containers."""
    changes, found = plan(gone("a"), gone("b"), disks={}, containers={"a": "missing", "b": "missing"})
    assert found.action == "converge"
    assert not any("new cluster" in text for text in [*changes.values(), found.message])
    assert "since the repository holds backups of it (1, the newest 20261124-120000F)" in " ".join(found.risks)


def test_a_container_that_is_down_is_started_unless_it_is_fenced() -> None:
    changes, _found = plan(a(), gone(), disks={}, containers={"b": "stopped"})
    assert changes == {"b": "is started"}
    changes, found = plan(a(), gone(), disks={}, containers={"b": "stopped"}, markers={"b": FENCE})
    assert changes == {}
    assert "b stays down: only rejoin.yml brings it back." in found.expected


def test_a_removed_node_is_refused_and_not_started() -> None:
    removed = {"b": Note.of(REMOVED)}
    changes, found = plan(a(), gone(), disks={}, containers={"b": "stopped"}, removed=removed)
    assert changes == {}
    assert found.refusals == [
        "b was removed from its cluster by ann at noon. Take it out of the inventory, or add it again: "
        "add_node.yml -e node=b."
    ]


@pytest.mark.parametrize(
    ("days", "found"),
    [(None, []), (400.0, []), (12.4, ["certificate-expires"]), (-1.0, ["certificate-expired"])],
)
def test_a_certificate_that_ends_is_named_in_time(days: float | None, found: list[str]) -> None:
    assert codes(status(disks={"a": Disk(True, certificate_days=days), "b": Disk(True)})) == found


OURS, THEIRS = "CN=Relevo authority", "CN=Root,O=Acme"


def of(days: float, name: str = OURS) -> dict[str, Any]:
    return {"name": name, "ends": "2026-11-24T09:00:00+00:00", "days": days}


@pytest.mark.parametrize(
    ("days", "name", "found", "healthy", "said"),
    [
        (400.0, OURS, [], True, ""),
        (12.4, OURS, ["authority-expires"], True, "expires on 2026-11-24, in 12 days."),
        (-1.0, OURS, ["authority-expired"], False, "expired on 2026-11-24."),
        (
            12.4,
            OURS,
            ["authority-expires"],
            True,
            "Run site.yml, which renews it with the same key, or rotate.yml -e r",
        ),
        (12.4, THEIRS, ["authority-expires"], True, "It is not one of ours, and no play renews it: have its owner"),
    ],
)
def test_an_authority_that_ends_is_named_once(
    days: float, name: str, found: list[str], healthy: bool, said: str
) -> None:
    disks = {one: Disk.of({"running": True, "authority": of(days, name)}) for one in ("a", "b")}
    proxies = proxies_of([{"item": "proxy", "running": True, "authority": of(days, name)}], {})
    observed = status(
        disks=disks, proxies=proxies, repository_host="r", repository=repository(authority=of(days, name))
    )
    assert (codes(observed), observed.healthy) == (found, healthy)
    assert said in sentences(observed)
    if found:
        assert f"The authority {name}, of which the certificates of a and b and r and proxy are," in sentences(observed)
    told = observed.as_dict()
    authorities = [*(one["authority"] for one in told["nodes"]), told["repository"]["authority"]]
    assert [*authorities, told["proxies"][0]["authority"]] == [of(days, name)] * 4


def test_each_of_two_authorities_is_named() -> None:
    disks = {
        "a": Disk.of({"running": True, "authority": of(3)}),
        "b": Disk.of({"running": True, "authority": of(4, THEIRS)}),
    }
    observed = status(disks=disks)
    assert codes(observed) == ["authority-expires"] * 2
    assert "have its owner renew it" in sentences(observed)


@pytest.mark.parametrize(("host", "found"), [("r", ["certificate-expires"]), ("a", [])])
def test_the_certificate_of_the_repository_host_is_named_too(host: str, found: list[str]) -> None:
    observed = status(repository_host=host, repository=repository(certificate_days=3.0))
    assert [one.code for one in observed.problems if one.code.startswith("certificate")] == found
    assert observed.as_dict()["repository"]["certificate_days"] == 3.0


DEBIAN = "postgresql@17-main.service"


def test_an_adopted_server_that_nobody_would_start_again_is_named() -> None:
    disks = {"a": Disk.of({"running": True, "foreign_unit": DEBIAN, "adopted_unit": DEBIAN}), "b": Disk(True)}
    found = status(disks=disks)
    assert (codes(found), found.healthy) == (["adopted-unit"], True)
    assert f"a still runs under {DEBIAN}, which does not start it again" in sentences(found)
    assert (node(found, "a")["foreign_unit"], node(found)["foreign_unit"]) == (DEBIAN, None)
    # Once it runs under ours, the drop-in of before is no matter.
    assert codes(status(disks=disks | {"a": Disk.of({"running": True, "adopted_unit": DEBIAN})})) == []


@pytest.mark.parametrize(
    ("states", "name", "action"),
    [
        # An upgrade of Debian's package has stopped it, and neither unit means it to run.
        ((gone("a"), b()), "a", "Start it there: systemctl start relevo-postgresql."),
        ((a(), gone()), "b", "Run rejoin.yml."),
    ],
)
def test_an_adopted_server_that_was_stopped_says_how_it_is_started(
    states: tuple[NodeState, ...], name: str, action: str
) -> None:
    down = Disk.of({"running": False, "wanted": False, "adopted_unit": DEBIAN})
    found = status(*states, disks={"a": Disk(True), "b": Disk(True)} | {name: down})
    [told] = [one for one in found.problems if one.code == "server-stopped"]
    assert f"It was adopted from {DEBIAN}, with which an upgrade of Debian's package stops" in told.message
    assert told.action == action


@pytest.mark.parametrize(
    ("looked", "found", "said"),
    [
        ({"running": True, "reload_owed": False, "certificate_days": 300.0}, [], ""),
        ({"running": True, "reload_owed": False, "certificate_days": None}, [], ""),
        (
            {"running": True, "certificate_days": 12.4},
            ["certificate-expires"],
            "certificate of proxy expires in 12 days",
        ),
        ({"running": True, "certificate_days": -1.0}, ["certificate-expired"], "The certificate of proxy has expired."),
        ({"running": True, "reload_owed": True}, ["reload-pending"], "HAProxy on proxy does not work with the config"),
        ({"running": False}, ["proxy-down"], "HAProxy on proxy does not run"),
    ],
)
def test_what_is_said_of_haproxy(looked: dict[str, Any], found: list[str], said: str) -> None:
    observed = status(proxies=proxies_of([{"item": "proxy", "changed": False, **looked}], {}))
    assert codes(observed) == found
    assert said in sentences(observed)
    assert [one.node for one in observed.problems] == ["proxy"] * len(found)
    [told] = observed.as_dict()["proxies"]
    assert (told["name"], told["unreachable"], told["running"]) == ("proxy", None, looked["running"])
    # The cluster itself is well while one of its ways in is not.
    assert observed.healthy == ("certificate-expired" not in found)


@pytest.mark.parametrize(
    ("servers", "lacking"),
    [(["a", "b"], []), (["a"], ["b"]), ([], ["a", "b"]), (None, [])],
)
def test_a_proxy_that_does_not_know_a_node_is_named(servers: list[str] | None, lacking: list[str]) -> None:
    looked = {"item": "proxy", "running": True, "reload_owed": False, "servers": servers}
    observed = status(proxies=proxies_of([looked], {}))
    assert codes(observed) == ["proxy-lacks-node"] * len(lacking)
    for name in lacking:
        assert f"HAProxy on proxy does not know {name}: " in sentences(observed)
        assert f"Run add_node.yml -e node={name} again" in sentences(observed)
    assert observed.as_dict()["proxies"][0]["servers"] == servers
    assert observed.healthy


def test_a_node_that_is_being_removed_or_is_not_there_yet_need_not_be_known() -> None:
    looked = [{"item": "proxy", "running": True, "reload_owed": False, "servers": ["a"]}]
    away = status(a(), gone(), proxies=proxies_of(looked, {}))
    assert "proxy-lacks-node" not in codes(away)
    removed = {"a": Disk(True), "b": Disk.of({"running": True, "removed": {"requested_by": "ann", "at": "noon"}})}
    assert "proxy-lacks-node" not in codes(status(disks=removed, proxies=proxies_of(looked, {})))


def test_a_proxy_that_does_not_answer_is_named() -> None:
    observed = status(proxies=proxies_of([], {"proxy": "no route to host."}))
    assert codes(observed) == ["proxy-down"]
    assert "proxy, with HAProxy in front of the cluster, does not answer (no route to host)." in sentences(observed)
    assert observed.as_dict()["proxies"] == [
        {
            "name": "proxy",
            "unreachable": "no route to host.",
            "running": None,
            "reload_owed": None,
            "certificate_days": None,
            "servers": None,
            "authority": None,
        }
    ]


def test_what_a_restore_of_tables_has_left_is_named_unless_somebody_is_at_work() -> None:
    left = {"a": Disk(True, restore_left=("whole.dump",)), "b": Disk(True)}
    found = status(disks=left)
    assert codes(found) == ["tables-unfinished"]
    assert "has whole.dump" in sentences(found)
    working = [{"operation": "restore_beside", "sentence": "restore.yml by alice@ctl has been working on cluster main"}]
    assert codes(status(disks=left, operations=working)) == []


def test_who_is_at_work_is_said() -> None:
    working = [{"operation": "backup", "sentence": "backup.yml by alice@ctl has been working on cluster main"}]
    found = status(operations=working)
    assert "At work: backup.yml by alice@ctl has been working on cluster main." in status_text(found)
    assert found.as_dict()["operations"] == working
    assert status(operations=[]).as_dict()["operations"] == []
    assert status().as_dict()["operations"] is None


def test_scratch_instances_of_other_hosts_are_shown_with_how_they_are_removed() -> None:
    own = {"name": "main_latest", "cluster": "main", "state": "running", "port": 5600, "size": 0}
    noted = [{"host": host, "name": name, "cluster": "main"} for host, name in (("b", "x"), ("b", "y"), ("c", "z"))]
    others = [{"item": "b", "instances": [own | {"name": "x", "port": 5601}, own | {"name": "of nobody"}]}]
    found = scratch_of("repo", {"instances": [own], "elsewhere": noted}, others)
    assert found is not None
    assert [(one["host"], one["name"], one["state"]) for one in found] == [
        ("repo", "main_latest", "running"),
        ("b", "x", "running"),
        ("b", "y", "gone"),
        ("c", "z", "not seen"),
    ]
    text = status_text(status(repository_host="repo", scratch=found))
    assert (
        "Scratch instance x on b: running, port 5601, 0 B (restore.yml -e remove=x -e restore_host=b removes it)"
        in text
    )
    assert "Scratch instance z on c: not seen (restore.yml -e remove=z -e restore_host=c removes it)." in text
    assert scratch_of("repo", {}, []) is None


@pytest.mark.parametrize(
    ("name", "state", "operations", "said"),
    [
        # Whole: somebody keeps it on purpose, for as long as he likes.
        ("main_latest", "running", [], ""),
        ("main_latest", "stopped", [], ""),
        (
            "main_latest",
            "unfinished",
            [],
            "is half made: its restore was cut off. It takes 3.0 MiB. Run the same",
        ),
        # It is being made.
        ("main_latest", "unfinished", ["restore_beside"], ""),
        ("main_drill", "running", ["drill"], ""),
        ("main_latest", "unfinished", ["backup"], "is half made"),
        # That of a drill is nobody's, whatever its state.
        (
            "main_drill",
            "running",
            [],
            "was left by a drill that was cut off, and takes 3.0 MiB. The next drill",
        ),
        ("main_drill", "unfinished", [], "was left by a drill"),
        # Its note may keep a backup from expiring.
        ("main_latest", "gone", [], "is gone, and it is still noted on the repository host"),
        # Of that nothing is known.
        ("main_drill", "not seen", [], ""),
    ],
)
def test_what_a_killed_restore_or_drill_has_left_is_a_problem(
    name: str, state: str, operations: list[str], said: str
) -> None:
    one = {"host": "b", "name": name, "state": state, "port": 5600, "size": 3 * 2**20}
    at_work = [{"operation": operation, "sentence": operation} for operation in operations]
    found = status(repository_host="repo", scratch=[one], operations=at_work)
    assert codes(found) == (["scratch-left-behind"] if said else [])
    # It is nothing that an application would notice.
    assert found.healthy
    if said:
        assert f"The scratch instance {name} on b {said}" in sentences(found)
        assert f"restore.yml -e remove={name} -e restore_host=b" in sentences(found)


def test_what_was_restored_beside_the_cluster_is_shown_with_its_space() -> None:
    found = status(
        repository_host="repo",
        scratch=[{"host": "repo", "name": "main_latest", "state": "running", "port": 5600, "size": 3 * 2**20}],
    )
    assert "Scratch instance main_latest on repo: running, port 5600, 3.0 MiB" in status_text(found)
    assert found.as_dict()["scratch_instances"][0]["name"] == "main_latest"
    assert status().as_dict()["scratch_instances"] is None


@pytest.mark.parametrize(
    ("life", "said", "code", "action"),
    [
        ("refused", "FATAL:  sorry, too many clients already", "server-refuses-us", "End sessions there, or raise"),
        ("refused", "FATAL:  qualcosa", "server-refuses-us", "See its log."),
        ("starting", "the database system is starting up", "server-starting", "Wait until it has finished"),
    ],
)
def test_a_primary_that_does_not_let_us_in_is_not_called_dead(life: Life, said: str, code: str, action: str) -> None:
    found = status(unreachable("a", f"a: {said}", life=life), b())
    assert codes(found) == ["no-primary", code]
    assert found.problems[0].sentence == "No primary lets us in. Promote nobody before it is clear what a is."
    assert said in found.problems[1].message
    assert found.problems[1].action.startswith(action)
    assert "run failover.yml" not in status_text(found)


def test_how_far_a_recovery_is_is_said_while_nobody_is_let_in() -> None:
    disks = {name: Disk.of({"running": True, "recovery": f"It is replaying {name}."}) for name in "ab"}
    found = status(unreachable("a", "a: the database system is starting up", life="starting"), b(), disks=disks)
    assert found.problems[1].message.endswith("starting up). It is replaying a.")
    assert node(found, "a")["recovery"] == "It is replaying a."
    # A standby replays all the time.
    assert node(found)["recovery"] is None


def test_a_restart_is_a_plan_only_when_it_was_asked_for() -> None:
    waiting = a(pending_restart=["shared_buffers"])
    assert plan(waiting, b())[0] == {}
    changes, found = plan(waiting, b(), restart=True, recreate=True)
    assert changes == {"a": "is restarted for shared_buffers"}
    assert found.risks[0] == "Connections to a end while it is restarted."
    assert "replaced" in found.risks[1]


def test_what_site_would_refuse_is_said() -> None:
    assert "No primary answers" in plan(b())[1].refusals[0]
    assert "Two primaries: a and c" in plan(a(), primary("c"))[1].refusals[0]


def test_a_scheduled_run_that_failed_is_a_warning() -> None:
    """Otherwise a check that is itself scheduled with require=healthy would never be healthy again."""
    run = {"name": "backup", "unit": "relevo-schedule-backup", "ended": "now", "sentence": "Full.", "untold": ""}
    found = status(schedule=[{**run, "state": "failed"}, {**run, "state": "running"}, {**run, "state": "succeeded"}])
    [said] = found.problems
    assert (said.code, said.message) == ("scheduled-run-failed", "The scheduled backup failed at now: Full.")
    assert said.action.endswith("then run systemctl start relevo-schedule-backup.")
    assert found.healthy
    assert [one["state"] for one in found.as_dict()["schedule"]] == ["failed", "running", "succeeded"]
    assert status().as_dict()["schedule"] is None
    untold = status(schedule=[{**run, "state": "failed", "ended": "", "untold": "Nobody was told."}])
    assert untold.problems[0].message == "The scheduled backup failed: Full. Nobody was told."


# --- the codes are an interface --------------------------------------------------------------------------------------


def test_every_code_is_given_by_a_check() -> None:
    source = Path(status_problems.__file__).read_text(encoding="utf-8")
    given = (
        set(re.findall(r"problem\(\s*\"([a-z-]+)\"", source))
        | {code for code, _look in status_problems._DOWN.values()}
        | set(status_problems._LIVES.values())
    )
    assert given == set(CODES)


def test_the_page_lists_exactly_the_codes_with_their_severity() -> None:
    page = (ROOT / "docs" / "reference" / "problems.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (error|warning) \| (\S[^|]*) \| (\S[^|]*) \|$", page, re.MULTILINE)
    assert {code: severity for code, severity, _cause, _cure in rows} == CODES
    assert len(rows) == len(CODES)


def rows_of(page: str, heading: str) -> dict[str, str]:
    """The table below a heading line: what is said of each name that its first column has."""
    lines = page[page.index(heading) :].splitlines()[2:]
    table = [line.strip("|").split(" | ", 1) for line in takewhile(lambda line: line.startswith("|"), lines)]
    return {name: said for names, said in table for name in re.findall(r"`([a-z_-]+)(?:\[\])?`", names)}


def test_the_page_of_the_json_names_exactly_its_fields() -> None:
    page = (ROOT / "docs" / "reference" / "status.md").read_text(encoding="utf-8")
    whole, of_node = (rows_of(page[at:], "| field | |") for at in (0, page.index("A node, of `nodes[]`, has:")))
    found = status(next_day=3, preferred="a", proxies=proxies_of([], {"p": "it is off"})).as_dict()
    assert set(whole) == set(found)
    assert set(of_node) == set(found["nodes"][0])
    for name, value in found.items():
        for one in [value] if isinstance(value, dict) else value if name in ("proxies", "problems") else []:
            assert set(one) <= set(re.findall(r"`(\w+)`", whole[name])), name
    assert set(found["nodes"][1]["lag"]) == set(re.findall(r"`(\w+)`", of_node["lag"]))


def test_the_page_of_the_json_names_every_state() -> None:
    page = (ROOT / "docs" / "reference" / "status.md").read_text(encoding="utf-8")
    assert set(rows_of(page, "| `state` | |")) == set(get_args(State))


def test_a_hole_in_the_archive_is_told_and_nothing_is_promised_beyond_it() -> None:
    found = status(repository=repository(holes=[HOLE]))
    assert codes(found) == ["archive-hole"]
    assert not found.healthy
    assert (
        "2 segments of WAL are missing in the archive (000000020000000000000003 to 000000020000000000000004): not "
        "every moment from 2026-11-24T12:01:00+00:00 on can be restored. Run site.yml, which archives what the primary "
        "still has of it in its pg_wal. If this is still told after that, run backup.yml"
    ) in sentences(found)
    window = found.as_dict()["backups"]["recovery_window"]
    assert window == {"from": "2026-11-24T12:01:00+00:00", "until": "2026-11-24T12:01:00+00:00"}

    # With a backup after it every moment can be restored again, since that one.
    again = {**LISTED, "label": "again", "timestamp": {"stop": NOW.timestamp() - 60}}
    again["archive"] = {"start": "000000020000000000000005", "stop": "000000020000000000000005"}
    found = status(repository=repository(backups=[LISTED, again], holes=[{**HOLE, "last": HOLE["first"], "count": 1}]))
    assert codes(found) == ["archive-hole-past"]
    assert found.healthy
    assert "1 segment of WAL is missing" in sentences(found)
    assert "or site.yml fills it from what the primary still has" in sentences(found)
    assert "from 2026-11-24T12:01:00+00:00 to 2026-11-24T12:59:00+00:00" in sentences(found)
    assert found.as_dict()["backups"]["recovery_window"]["from"] == "2026-11-24T12:59:00+00:00"


def held(newest: str, **more: Any) -> Repository:
    return repository(raw={"archive": [{"max": "9"}, {"max": newest}]}, **more)


def test_wal_that_was_dropped_is_told_before_any_comes_after_it() -> None:
    """Seen: "Archiving: works", and a window up to now, while pgBackRest dropped all that it was given."""
    found = status(repository=held("000000020000000000000002"))
    assert codes(found) == ["archive-hole"]
    assert (
        "3 segments of WAL are missing in the archive (000000020000000000000003 to 000000020000000000000005): not "
        "every moment from 2026-11-24T12:01:00+00:00 on can be restored. Run site.yml"
    ) in sentences(found)
    assert found.as_dict()["backups"]["recovery_window"]["until"] == "2026-11-24T12:01:00+00:00"
    dropped = {"first": "000000020000000000000003", "last": "000000020000000000000005", "count": 3, "history": ""}
    assert found.as_dict()["archive"]["dropped"] == dropped


@pytest.mark.parametrize(
    ("newest", "archived", "count"),
    [
        # The repository was asked after the server, and may have more by then.
        ("000000020000000000000006", "000000020000000000000005", 0),
        ("000000020000000000000005", "000000020000000000000005", 0),
        # Nothing of the new timeline has arrived.
        ("000000010000000000000009", "000000020000000000000005", 1),
        ("000000010000000000000003", "000000020000000000000005", 2),
        # Before the last promotion this server archived on an older timeline.
        ("000000020000000000000005", "000000010000000000000009", 0),
        # No segment; and a repository in which nothing is yet.
        ("000000020000000000000002", "00000002.history", 0),
        ("", "000000020000000000000005", 0),
    ],
)
def test_what_the_repository_has_is_not_dropped(newest: str, archived: str, count: int) -> None:
    found = status(a(archiver={**ARCHIVER, "last_archived": archived}), b(), repository=held(newest))
    assert (found.dropped.count if found.dropped else 0) == count
    # A new stanza has nothing of what was archived before it, and no backup that needs it.
    assert status(a(), b(), repository=held(newest, backups=[])).dropped is None


def test_a_missing_history_is_told_whatever_backups_there_are() -> None:
    hole = {**HOLE, "last": HOLE["first"], "count": 1, "history": "00000002.history"}
    found = status(repository=repository(holes=[hole]))
    assert codes(found) == ["archive-hole"]
    assert "00000002.history is missing in the archive, so no backup before it leads to the newest" in sentences(found)
    window = found.as_dict()["backups"]["recovery_window"]
    assert window == {"from": "2026-11-24T12:01:00+00:00", "until": "2026-11-24T12:01:00+00:00"}


def test_the_backups_of_a_cluster_that_was_made_anew_open_no_window() -> None:
    databases = [{"id": 1, "system-id": 1}, {"id": 2, "system-id": 2}]
    old = {**LISTED, "database": {"id": 1, "repo-key": 1}}
    assert status(repository=repository(backups=[old], databases=databases)).recovery_window is None


# --- slots of others -------------------------------------------------------------------------------------------------


def slot(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "physical", "active": False, "restart_lsn": "0/1", "kept_bytes": 1048576, **more}


def test_a_slot_of_a_consumer_is_not_a_standby() -> None:
    (problem,) = status(a(slots=[slot("barman")]), b()).problems
    assert problem.code == "slot-keeps-wal"
    assert "for a consumer that is not connected" in problem.message
    assert "pg_drop_replication_slot('barman')" in problem.action


def test_what_is_left_on_an_old_primary_is_named() -> None:
    left = [slot("barman"), slot("plain", type="logical")]
    others = [
        slot("a", active=True),
        slot("read", active=True),
        slot("short", temporary=True),
        slot("gone", invalidated="x"),
        slot("kept", type="logical", failover=True, synced=True),
    ]
    found = status(a(), b(slots=[*left, *others])).problems
    assert [(problem.code, problem.node) for problem in found] == [("slot-left-behind", "b")] * 2
    assert "The slot barman on b, a standby, keeps WAL there for nobody (1.0 MiB now)." in found[0].message


def test_a_slot_of_a_standby_that_a_rejoin_has_left_is_named() -> None:
    """It was in use when the others were dropped: somebody looked for its primary there."""
    seen = status(a(slots=[slot("b", active=True)]), b(slots=[slot("a")]))
    (problem,) = seen.problems
    assert (problem.code, problem.node) == ("slot-left-behind", "b")
    assert problem.sentence == (
        "The slot a on b, a standby, keeps WAL there for nobody (1.0 MiB now). Run rejoin.yml, which drops it."
    )
    assert status(a(), b(slots=[slot("a", restart_lsn=None)])).problems == []


def test_a_failover_slot_that_a_standby_lacks_is_named() -> None:
    kept = slot("kept", type="logical", failover=True, active=True)
    found = status(a(slots=[kept]), b()).problems
    assert [(problem.code, problem.node) for problem in found] == [("slot-not-synchronised", "b")]
    assert status(a(slots=[kept]), b(slots=[kept | {"synced": True}])).problems == []
