# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What upgrade_minor.yml does to which node, in which order, and what it refuses: each row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from answers import primary, standby, unreachable

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.minor_upgrade import (
    MAX_LAG,
    PLANNED,
    Container,
    Facts,
    Host,
    MinorUpgrade,
    Scratch,
    Software,
    can_be_asked,
    is_delay,
    minor_upgrade,
    not_back,
    report,
    unsettled,
    with_handover,
)
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._handover import switchover
from ansible_collections.relevo.postgres.plugins.module_utils._handover.switchover_check import (
    RepositoryState,
    SwitchoverRequest,
    refusal,
)
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import OperationPlan
from ansible_collections.relevo.postgres.plugins.module_utils._server.marker import Marker
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer

STREAMS: Any = {"status": "streaming", "host": "a"}
HAS = {"pgbackrest": "2.55.1-1", "postgresql-17": "17.6-1", "postgresql-common": "278"}
NEWER = {"postgresql-17": "17.7-1"}
CURRENT, OLD = Software(HAS), Software(HAS, NEWER)
A, B, C = (
    primary("a", server_version="17.6"),
    standby("b", receiver=STREAMS, server_version="17.6"),
    standby("c", receiver=STREAMS, server_version="17.6"),
)


def machine(name: str, software: Software | None = OLD, group: Any = "postgres", **more: Any) -> Host:
    return Host(name, group, "17", software, **more)


def container(name: str, action: Any = "recreate", packages: Any = HAS, group: Any = "postgres", **more: Any) -> Host:
    given = {"software": CURRENT} | more
    return Host(name, group, "17", container=Container(action, packages), **given)


REPOSITORY = machine("repo", CURRENT, "pgbackrest")


def facts(*hosts: Host, states: tuple[NodeState, ...] = (A, B, C), **more: Any) -> Facts:
    return Facts("shop", [*hosts, REPOSITORY], Topology(list(states)), **more)


def steps(found: MinorUpgrade) -> dict[str, Any]:
    """Those that are not left out."""
    names = ("first", "finish", "pgbackrest", "standbys", "candidate", "others")
    return {name: value for name in names if (value := getattr(found, name))}


def effects(found: MinorUpgrade) -> dict[str, str]:
    return {effect.name: effect.change for effect in found.plan.affects}


def marker(kind: Any, successor: str = "", reason: str = "") -> Marker:
    return Marker(kind, "b", "alice", "2026-01-01T00:00:00+00:00", successor, 1, reason)


DOWN = Software(HAS, server_runs=False)
CRON = ("postgresql-17-cron",)
C_DONE = machine("c", CURRENT)
ALL = tuple(machine(name) for name in "abc")

# After a hand-over from a to b, which was cut off before it came to c.
FENCED = replace(DOWN, fence=marker("fence", "b", PLANNED))
FENCED_OLD = replace(FENCED, newer=NEWER)
OF_A: Any = {"follows": "a"}
LATE: Any = {"apply_delay_ms": 60000}
GONE, NEW = unreachable("a"), primary("b", timeline=2)
A_AGAIN = standby("a", timeline=2, follows="b", receiver=STREAMS)
LOST = standby("c", **OF_A)


@pytest.mark.parametrize(
    ("given", "done"),
    [
        (facts(*ALL), {"standbys": ["b", "c"], "candidate": "b"}),
        (facts(*ALL, preferred="c"), {"standbys": ["b", "c"], "candidate": "c"}),
        # What has it already is left.
        (facts(machine("a"), machine("b", CURRENT), machine("c")), {"standbys": ["c"], "candidate": "b"}),
        (facts(machine("a", CURRENT), machine("b"), machine("c", CURRENT)), {"standbys": ["b"]}),
        (facts(machine("a"), machine("b", CURRENT), machine("c", CURRENT)), {"candidate": "b"}),
        (facts(*(machine(name, CURRENT) for name in "abc")), {}),
        # A run that was cut off: the packages are there, and the server has not been started since.
        (
            facts(machine("a", CURRENT), machine("b", replace(CURRENT, server_old=True)), machine("c", CURRENT)),
            {"standbys": ["b"]},
        ),
        (
            facts(machine("a", replace(CURRENT, server_old=True)), machine("b", CURRENT), machine("c", CURRENT)),
            {"candidate": "b"},
        ),
        (
            facts(machine("a", CURRENT), machine("b", replace(CURRENT, interrupted=True)), machine("c", CURRENT)),
            {"standbys": ["b"]},
        ),
        (
            facts(machine("a", CURRENT), machine("b", DOWN), states=(A, unreachable("b"))),
            {"standbys": ["b"]},
        ),
        # An extension alone: the server goes on with the library that it has loaded. Before apt, and after a run that
        # died between apt and the restart.
        (
            facts(*(machine(name, Software(HAS, {"postgresql-17-cron": "1.6-2"})) for name in "abc")),
            {"standbys": ["b", "c"], "candidate": "b"},
        ),
        (
            facts(machine("a", CURRENT), machine("b", replace(CURRENT, server_old=True, server_lacks=CRON)), C_DONE),
            {"standbys": ["b"]},
        ),
        (
            facts(machine("a", replace(CURRENT, server_old=True, server_lacks=CRON)), machine("b", CURRENT), C_DONE),
            {"candidate": "b"},
        ),
        # A run that died during apt, and was finished by somebody: our policy file keeps its services from starting.
        (
            facts(machine("a", CURRENT), machine("b", replace(CURRENT, policy_left=True)), C_DONE),
            {"standbys": ["b"]},
        ),
        (
            facts(machine("a", replace(CURRENT, policy_left=True)), machine("b", CURRENT), C_DONE),
            {"others": ["a"]},
        ),
        # What is newer is not the server's: the primary need not be restarted for it.
        (
            facts(*(machine(name, Software(HAS, {"postgresql-common": "279"})) for name in "abc")),
            {"standbys": ["b", "c"], "others": ["a"]},
        ),
        # pgBackRest on all at once, and no server is restarted for it.
        (
            Facts(
                "shop",
                [
                    *(machine(name, Software(HAS, {"pgbackrest": "2.56.0-1"})) for name in "abc"),
                    machine("repo", Software(HAS, {"pgbackrest": "2.56.0-1"}), "pgbackrest"),
                ],
                Topology([A, B, C]),
            ),
            {"pgbackrest": ["a", "b", "c", "repo"]},
        ),
        (
            facts(machine("a", CURRENT), machine("b", replace(CURRENT, tls_server_old=True)), machine("c", CURRENT)),
            {"pgbackrest": ["b"]},
        ),
        # Containers.
        (facts(*(container(name) for name in "abc")), {"standbys": ["b", "c"], "candidate": "b"}),
        (facts(container("a"), container("b", "none"), container("c", "none")), {"candidate": "b"}),
        (facts(*(container(name, "none") for name in "abc")), {}),
        # One that a killed run has taken away, or not started yet.
        (
            facts(
                container("a", "none"),
                container("b", "create", software=None, stopped=True, unreachable="its container is missing"),
                states=(A, unreachable("b")),
            ),
            {"standbys": ["b"]},
        ),
        # It comes back before the hand-over, so it can take over then.
        (
            facts(
                container("a"),
                container("b", "start", software=None, stopped=True, unreachable="its container is stopped"),
                states=(A, unreachable("b")),
            ),
            {"standbys": ["b"], "candidate": "b"},
        ),
        # A hand-over that was cut off in its window, or while the old primary returned.
        (
            facts(
                machine("a", CURRENT),
                machine("b", replace(DOWN, newer=NEWER, fence=marker("fence", "a", PLANNED))),
                states=(A, unreachable("b")),
            ),
            {"finish": True, "standbys": ["b"]},
        ),
        (
            facts(
                machine("a"),
                machine("b", replace(DOWN, fence=marker("fence", "a", PLANNED))),
                states=(A, unreachable("b")),
            ),
            {"finish": True, "candidate": "b"},
        ),
        (
            facts(
                machine("a", CURRENT),
                machine("b", replace(DOWN, rejoin=marker("rejoin"))),
                states=(A, unreachable("b")),
            ),
            {"finish": True},
        ),
        # Cut off after the promotion of b, before the others were told: a is fenced, c goes on and follows a.
        (
            facts(machine("a", FENCED), machine("b", CURRENT), C_DONE, states=(GONE, NEW, LOST)),
            {"finish": True},
        ),
        (
            facts(machine("a", FENCED_OLD), machine("b", CURRENT), machine("c"), states=(GONE, NEW, LOST)),
            {"finish": True, "standbys": ["a", "c"]},
        ),
        # It may be delayed on purpose, with or without something that waits for its time; or have no settings left.
        (
            facts(
                machine("a", FENCED), machine("b", CURRENT), C_DONE, states=(GONE, NEW, standby("c", **LATE, **OF_A))
            ),
            {"finish": True},
        ),
        (
            facts(machine("a", FENCED), machine("b", CURRENT), C_DONE, states=(GONE, NEW, standby("c"))),
            {"finish": True},
        ),
        # What it lacks is what nobody has sent it since.
        (
            facts(
                machine("a", FENCED),
                machine("b", CURRENT),
                C_DONE,
                states=(GONE, primary("b", "1/0", 2), standby("c", "0/5000000", **OF_A)),
            ),
            {"finish": True},
        ),
        # The same, when a follows already: c waits for a, gets from a what a gets, or makes replay wait meanwhile.
        *(
            (
                facts(*(machine(name, CURRENT) for name in "abc"), states=(A_AGAIN, NEW, standby("c", **OF_A, **how))),
                {"finish": True},
            )
            for how in ({}, {"receiver": STREAMS}, {"replay_waits": "RecoveryApplyDelay", "apply_delay_ms": 60000})
        ),
        # All follow, and the last step was not done.
        (
            facts(
                *(machine(name, CURRENT) for name in "abc"),
                states=(primary("a", synchronous={"wanted": True, "names": ""}), B, C),
            ),
            {"finish": True},
        ),
        # Until one streams there is nothing to require.
        (
            facts(
                machine("a", CURRENT),
                machine("b", DOWN),
                states=(primary("a", synchronous={"wanted": True, "names": ""}), unreachable("b")),
            ),
            {"standbys": ["b"]},
        ),
        (
            facts(
                *(machine(name, CURRENT) for name in "abc"),
                states=(primary("a", synchronous={"wanted": True, "names": "ANY 1 (b, c)"}), B, C),
            ),
            {},
        ),
    ],
)
def test_what_is_done(given: Facts, done: dict[str, Any]) -> None:
    found = minor_upgrade(given)
    assert found.plan.refusals == []
    assert steps(found) == done
    assert found.idle is (not done)
    assert found.plan.action == ("upgrade" if done else "none")


def test_the_other_hosts() -> None:
    redis = container("redis", group="redis", packages={}, software=Software())
    nodes = [container(name, "none") for name in "abc"]
    repository = container("repo", group="pgbackrest")
    given = Facts("shop", [*nodes, repository, redis], Topology([A, B, C]))
    assert steps(minor_upgrade(given)) == {"others": ["repo", "redis"]}
    # One that other clusters need, too, is not this cluster's to replace.
    shared = minor_upgrade(replace(given, shared=["repo"]))
    assert steps(shared) == {"others": ["redis"]}
    assert "repo is left as it is, since other clusters need it too" in " ".join(shared.plan.expected)
    # Without it nothing is archived, and nobody holds the lock.
    down = replace(repository, stopped=True, unreachable="its container is stopped", software=None)
    found = minor_upgrade(replace(given, hosts=[*nodes, down, redis]))
    assert steps(found) == {"first": ["repo"], "others": ["redis"]}
    # The capital at the beginning is never that of a host's name.
    assert found.plan.message == "The start of repo, then the other hosts (redis)."
    assert minor_upgrade(given).plan.message == "The other hosts (repo, redis)."


def test_the_message_leaves_the_name_of_pgbackrest_as_it_is() -> None:
    old = replace(CURRENT, tls_server_old=True)
    found = minor_upgrade(facts(machine("a", old), machine("b", CURRENT), machine("c", CURRENT)))
    assert found.plan.message == "The newer pgBackRest on all its hosts at once."


def test_haproxy_is_upgraded_last() -> None:
    nodes = [machine(name, CURRENT) for name in "abc"]
    redis = container("redis", group="redis", packages={}, software=Software())
    given = Facts("shop", [*nodes, REPOSITORY, redis], Topology([A, B, C]))
    for software, why in (
        (
            Software({"haproxy": "3.0.1-1"}, {"haproxy": "3.0.2-1"}),
            "gets haproxy 3.0.2-1 (3.0.1-1 now), has HAProxy go on",
        ),
        (Software({"haproxy": "3.0.2-1"}, haproxy_old=True), "has HAProxy go on with its new program, which ends no"),
    ):
        found = minor_upgrade(replace(given, hosts=[*given.hosts, machine("proxy", software, "haproxy")]))
        assert steps(found) == {"others": ["redis", "proxy"]}
        assert effects(found)["proxy"].startswith(why)
    # One beside a server comes with that, and the server is not restarted for it.
    beside = machine("b", replace(CURRENT, newer={"haproxy": "3.0.2-1"}))
    assert steps(minor_upgrade(facts(machine("a", CURRENT), beside, C_DONE))) == {"standbys": ["b"]}
    # In front of other clusters, too; and one that does not answer keeps nobody from anything.
    shared = replace(given, hosts=[*nodes, machine("proxy", software, "haproxy")], shared=["proxy"])
    assert "proxy is left as it is, since other clusters need it too" in " ".join(minor_upgrade(shared).left)
    away = Host("proxy", "haproxy", "17", unreachable="no route")
    assert minor_upgrade(replace(given, hosts=[*nodes, REPOSITORY, away])).plan.refusals == []


def pgbackrest(now: str, newer: str = "") -> Software:
    return Software(HAS | {"pgbackrest": now}, {"pgbackrest": newer} if newer else {})


@pytest.mark.parametrize(
    ("repository", "node", "done", "said"),
    [
        # What the package sources of the shared host have is not what it gets.
        (pgbackrest("2.55.1-1", "2.56.0-1"), pgbackrest("2.55.1-1"), [], "pgBackRest is left as it is: repo"),
        (pgbackrest("2.55.1-1"), pgbackrest("2.55.1-1", "2.56.0-1"), [], "pgBackRest is left as it is: repo"),
        (pgbackrest("2.55.1-1"), pgbackrest("2.55.1-1"), [], ""),
        # Somebody upgraded it there for another cluster: these follow.
        (pgbackrest("2.56.0-1"), pgbackrest("2.55.1-1", "2.56.0-1"), ["a", "b", "c"], ""),
        (pgbackrest("2.56.0-1", "2.57.0-1"), pgbackrest("2.55.1-1", "2.56.0-1"), ["a", "b", "c"], "pgBackRest is left"),
        # The same release, packed anew.
        (pgbackrest("2.55.1-1"), pgbackrest("2.55.1-1", "2.55.1-2"), ["a", "b", "c"], ""),
        # It does not answer yet, being a container that is started first.
        (None, pgbackrest("2.55.1-1", "2.56.0-1"), [], "pgBackRest is left as it is: repo"),
    ],
)
def test_pgbackrest_beside_a_repository_host_of_several_clusters(
    repository: Software | None, node: Software, done: list[str], said: str
) -> None:
    down = container("repo", "start", None, "pgbackrest", software=None, stopped=True, unreachable="it is stopped")
    host = machine("repo", repository, "pgbackrest") if repository else down
    found = minor_upgrade(
        Facts("shop", [*(machine(name, node) for name in "abc"), host], Topology([A, B, C]), shared=["repo"])
    )
    assert (found.plan.refusals, found.pgbackrest) == ([], done)
    assert said in " ".join(found.left)
    assert bool(said) == bool(found.left)


def test_what_is_held_and_left_is_in_nobodys_way() -> None:
    kept = replace(pgbackrest("2.55.1-1", "2.56.0-1"), held=["pgbackrest"])
    hosts = [*(machine(name, kept) for name in "abc"), machine("repo", pgbackrest("2.55.1-1"), "pgbackrest")]
    assert minor_upgrade(Facts("shop", hosts, Topology([A, B, C]), shared=["repo"])).plan.refusals == []
    hosts[-1] = machine("repo", pgbackrest("2.55.1-1", "2.56.0-1"), "pgbackrest")
    assert "On a pgbackrest is held" in " ".join(minor_upgrade(Facts("shop", hosts, Topology([A, B, C]))).plan.refusals)


def test_what_the_hand_over_would_be_refused_for_is_said_before_all() -> None:
    plan = OperationPlan("upgrade_minor", "main", "upgrade", "Text.", risks=["one"], refusals=["First."])
    handover = OperationPlan(
        "failover",
        "main",
        "switchover",
        "",
        risks=["b: public.sessions is empty then"],
        refusals=["No. Nothing was changed."],
    )
    found = with_handover(plan, handover)
    assert (found.risks, found.refusals) == (["one", "b: public.sessions is empty then"], ["First.", "No."])
    assert (found.message, found.action) == ("Text.", "upgrade")


def test_who_can_be_asked_whether_it_could_take_over() -> None:
    def asked(given: Facts) -> bool:
        return can_be_asked(minor_upgrade(given), given.topology)

    assert asked(facts(*ALL))
    # Nobody takes over; the candidate is down until its turn; the repository host is, and is started first.
    assert not asked(facts(*(machine(name, CURRENT) for name in "abc")))
    assert not asked(facts(machine("a"), machine("b", DOWN), states=(A, unreachable("b"))))
    # Another standby is.
    assert not asked(facts(machine("a"), machine("b"), machine("c", DOWN), states=(A, B, unreachable("c"))))
    # It has all packages, but a hand-over has yet to be finished on it.
    cut_off = machine("c", replace(DOWN, rejoin=marker("rejoin")))
    assert not asked(facts(machine("a"), machine("b"), cut_off, states=(A, B, unreachable("c"))))
    down = container("repo", "start", None, "pgbackrest", software=None, stopped=True, unreachable="it is stopped")
    assert not asked(Facts("shop", [*ALL, down], Topology([A, B, C])))


@pytest.mark.parametrize(
    ("given", "delays"), [(0, False), ("0", False), ("0s", False), ("1h", True), (5000, True), ("0.5 min", True)]
)
def test_what_is_a_delay_in_an_inventory(given: Any, delays: bool) -> None:
    assert is_delay(given) is delays


def test_pgbackrest_of_a_shared_repository_host_is_left() -> None:
    newer = Software(HAS, {"pgbackrest": "2.56.0-1"} | NEWER)
    hosts = [*(machine(name, newer) for name in "abc"), machine("repo", newer, "pgbackrest")]
    found = minor_upgrade(Facts("shop", hosts, Topology([A, B, C]), shared=["repo"]))
    assert steps(found) == {"standbys": ["b", "c"], "candidate": "b"}
    assert "pgBackRest is left as it is: repo serves other clusters too" in " ".join(found.left)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (facts(*ALL, unfinished="It is being restored."), "It is being restored."),
        (facts(*ALL, states=(A, primary("b"), C)), "Two primaries"),
        (facts(machine("a", None, unreachable="no route"), states=()), "a does not answer (no route). Start it"),
        (facts(*ALL, states=(unreachable("a"), B, C)), "No primary answers"),
        (facts(*ALL, states=(primary("a", handover_lock="alice"), B, C)), "A hand-over is under way (alice)"),
        (
            facts(machine("a"), machine("b", None, unreachable="no route."), states=(A, unreachable("b"))),
            "b does not answer (no route). Start it",
        ),
        (facts(machine("a", None, unreachable="no route."), machine("b")), "a does not answer (no route)"),
        (
            facts(machine("a"), container("b", "none", forbidden="b is fenced."), states=(A, unreachable("b"))),
            "b is fenced.",
        ),
        (facts(machine("a"), machine("b", replace(OLD, removed=marker("removed")))), "b was removed from its cluster"),
        (
            facts(machine("a"), machine("b", replace(OLD, restore=marker("restore", reason="restore.yml")))),
            "Finish it: restore.yml",
        ),
        # Of an emergency, or for another than the primary.
        (
            facts(
                machine("a"),
                machine("b", replace(DOWN, fence=marker("fence", "a", "it was dead"))),
                states=(A, unreachable("b")),
            ),
            "b is fenced, by alice at 2026-01-01T00:00:00+00:00 for a (it was dead). Run rejoin.yml first.",
        ),
        (
            facts(
                machine("a"),
                machine("b", replace(DOWN, fence=marker("fence", "c", PLANNED))),
                states=(A, unreachable("b")),
            ),
            "b is fenced",
        ),
        (
            facts(machine("a"), machine("b"), states=(A, unreachable("b", "too many clients", "refused"))),
            "b lives and answers, but not to us",
        ),
        (facts(machine("a"), machine("b"), states=(A, standby("b"))), "b does not stream from a. Run rejoin.yml"),
        # No hand-over was cut off: it follows the primary, or one that this cluster does not have (any more).
        *(
            (
                facts(*ALL, states=(A, B, standby("c", follows=whom))),
                "c does not stream from a. Run rejoin.yml",
            )
            for whom in ("a", "c", "elsewhere")
        ),
        # The end of a hand-over makes no other standby whole: that one is fenced by an emergency.
        (
            facts(
                machine("a", FENCED),
                machine("b", CURRENT),
                machine("c", replace(DOWN, fence=marker("fence", "b", "it was dead"))),
                states=(GONE, NEW, unreachable("c")),
            ),
            "c is fenced",
        ),
        # Nor does it wait for one that follows and is far behind.
        (
            facts(
                machine("a", FENCED),
                machine("b", CURRENT),
                C_DONE,
                states=(
                    GONE,
                    primary("b", "1/0", 2),
                    standby("c", "0/5000000", follows="b", receiver={"status": "streaming", "host": "b"}),
                ),
            ),
            "c is 3.9 GiB behind b, more than 256.0 MiB",
        ),
        (
            facts(
                machine("a"),
                machine("b"),
                states=(primary("a", "1/0"), standby("b", "0/5000000", receiver=STREAMS)),
            ),
            "b is 3.9 GiB behind a, more than 256.0 MiB",
        ),
        (facts(machine("a"), states=(A,)), "a is the only node of shop"),
        (
            facts(machine("a"), machine("b"), states=(A, standby("b", receiver=STREAMS, apply_delay_ms=60000))),
            "No standby can take over from a: each replays with a delay or is paused",
        ),
        (
            facts(machine("a"), machine("b"), states=(A, standby("b", receiver=STREAMS, replay_paused=True))),
            "No standby can take over from a",
        ),
        # It was down when it was asked, and will be delayed, too.
        (
            facts(machine("a"), machine("b", replace(DOWN, apply_delay=60000)), states=(A, unreachable("b"))),
            "No standby can take over from a",
        ),
        (
            facts(
                container("a"),
                container("b", "start", software=None, stopped=True, unreachable="it is stopped", delayed=True),
                states=(A, unreachable("b")),
            ),
            "No standby can take over from a",
        ),
        # A shared repository host, where nothing would make the versions alike.
        (
            Facts(
                "shop",
                [
                    machine("a", CURRENT),
                    machine("b", CURRENT),
                    machine("repo", Software({"pgbackrest": "2.56.0-1"}), "pgbackrest"),
                ],
                Topology([A, B]),
                shared=["repo"],
            ),
            "repo serves other clusters too and has pgBackRest 2.56.0, which talks to no other version: not to 2.55.1",
        ),
        (
            facts(machine("a"), machine("b", replace(OLD, held=["postgresql-17"]))),
            "On b postgresql-17 is held as it is. Release it: apt-mark unhold postgresql-17.",
        ),
        (facts(machine("a"), machine("b", replace(OLD, refusal="Data of 16."))), "b: Data of 16."),
        (
            facts(machine("a"), machine("b", Software(HAS, {"pgbackrest": "2.56.0-1"}))),
            "different versions of pgBackRest (2.55.1 on a, 2.56.0 on b, 2.55.1 on repo)",
        ),
        (
            facts(container("a"), container("b", packages=HAS | {"pgbackrest": "2.56.0-1"})),
            "The new image of b has pgBackRest 2.56.0 in place of 2.55.1",
        ),
        (
            Facts(
                "shop",
                [*ALL, Host("repo", "pgbackrest", unreachable="its container is paused")],
                Topology([A, B, C]),
            ),
            "repo does not answer (its container is paused)",
        ),
    ],
)
def test_what_is_refused(given: Facts, why: str) -> None:
    assert why in " ".join(minor_upgrade(given).plan.refusals)


def test_who_follows_at_the_end_of_a_hand_over_is_named() -> None:
    found = minor_upgrade(facts(machine("a", FENCED), machine("b", CURRENT), C_DONE, states=(GONE, NEW, LOST)))
    assert effects(found) == {"a": "becomes a standby of b", "c": "follows b"}
    assert found.plan.message == "The end of the hand-over to b."
    weakened = primary("a", synchronous={"wanted": True, "names": ""})
    found = minor_upgrade(facts(*(machine(name, CURRENT) for name in "ab"), states=(weakened, B)))
    assert effects(found)["a"] == "requires a synchronous standby again"


@pytest.mark.parametrize("how", [{"receiver": STREAMS}, {"replay_waits": "RecoveryPause"}])
def test_what_one_lacks_that_gets_wal_from_another_does_not_count(how: dict[str, Any]) -> None:
    again = standby("a", "1/0", 2, follows="b", receiver=STREAMS)
    states = (again, primary("b", "1/0", 2), standby("c", "0/5000000", **OF_A, **how))
    found = minor_upgrade(facts(*(machine(name, CURRENT) for name in "abc"), states=states))
    assert (found.plan.refusals, steps(found)) == ([], {"finish": True})
    assert effects(found)["c"] == "follows b"


def test_servers_of_one_address_are_not_told_apart_by_it() -> None:
    """Beside each other on a machine, on ports of their own."""
    states = [replace(one, node=Peer(one.name, "box", port)) for port, one in enumerate((A, B, C), 5432)]
    for one in states[1:]:
        one.data = {**(one.data or {}), "follows": "box"}
    found = minor_upgrade(facts(*(machine(name, CURRENT) for name in "abc"), states=tuple(states)))
    assert (found.plan.refusals, steps(found)) == ([], {})


def scratched(host: Host, name: str = "main_noon", cluster: str = "main", state: str = "running") -> Host:
    return replace(host, scratch=[Scratch(name, cluster, state)])


NODES = tuple(container(name, "none") for name in "abc")
NEW_REPOSITORY = container("repo", group="pgbackrest")
OTHER_PGBACKREST = Software(HAS, {"pgbackrest": "2.56.0-1"})


@pytest.mark.parametrize(
    ("host", "why"),
    [
        # In the layer of a container that is replaced, of whichever cluster.
        (
            scratched(NEW_REPOSITORY),
            "The scratch instance main_noon of main is in the container of repo, and would be lost with it. "
            "Take out of it what you need, then remove it: restore.yml -e cluster=main "
            "-e remove=main_noon -e restore_host=repo.",
        ),
        (scratched(NEW_REPOSITORY, state="stopped"), "would be lost with it"),
        (scratched(NEW_REPOSITORY, state="unfinished"), "is being restored, or that was cut off, and its container is"),
        # A drill of another cluster, whose lock is not ours.
        (scratched(NEW_REPOSITORY, "main_drill", state="unfinished"), "Wait until it is there"),
        # Of this cluster none runs: what is there was left by one that died.
        (scratched(NEW_REPOSITORY, "shop_drill", "shop", "unfinished"), ""),
        # Its container stays.
        (scratched(container("repo", "none", group="pgbackrest")), ""),
        # On a machine it goes on; what is being restored reads the repository with the pgBackRest of this moment.
        (scratched(machine("repo", OLD, "pgbackrest")), ""),
        (scratched(machine("repo", OLD, "pgbackrest"), state="unfinished"), ""),
    ],
)
def test_a_scratch_instance_is_not_lost_unasked(host: Host, why: str) -> None:
    refusals = minor_upgrade(Facts("shop", [*NODES, host], Topology([A, B, C]))).plan.refusals
    assert len(refusals) == bool(why)
    assert why in " ".join(refusals)
    # Where other clusters need the host, too, it is left as it is.
    assert minor_upgrade(Facts("shop", [*NODES, host], Topology([A, B, C]), shared=["repo"])).plan.refusals == []


def test_a_scratch_instance_on_a_server() -> None:
    """The restore_host may be a node; what happens to each follows from its turn."""
    for name in "ac":
        hosts = [scratched(host) if host.name == name else host for host in (container(one) for one in "abc")]
        refusals = minor_upgrade(facts(*hosts)).plan.refusals
        assert [f"is in the container of {name}" in one for one in refusals] == [True]
    restoring = scratched(machine("c", OTHER_PGBACKREST), state="unfinished")
    all_get_it = [machine("a", OTHER_PGBACKREST), machine("b", OTHER_PGBACKREST), restoring]
    repository = machine("repo", OTHER_PGBACKREST, "pgbackrest")
    found = minor_upgrade(Facts("shop", [*all_get_it, repository], Topology([A, B, C])))
    assert (
        "On c the scratch instance main_noon of main is being restored, or that was cut off, and it gets another"
        in (" ".join(found.plan.refusals))
    )


def test_what_becomes_of_a_scratch_instance_is_said() -> None:
    def said(host: Host) -> str:
        return " ".join(minor_upgrade(Facts("shop", [*NODES, host], Topology([A, B, C]))).plan.expected)

    goes_on = "repo: the scratch instance main_noon of main goes on with the program that it was started with."
    assert goes_on in said(scratched(machine("repo", OLD, "pgbackrest")))
    assert "main_noon" not in said(scratched(machine("repo", OLD, "pgbackrest"), state="stopped"))
    assert "main_noon" not in said(scratched(machine("repo", CURRENT, "pgbackrest")))
    left = said(scratched(NEW_REPOSITORY, "shop_drill", "shop", "unfinished"))
    assert "shop_drill of shop, which a drill that was cut off has left, goes with the container." in left


def test_what_is_held_in_front_of_the_servers_is_left() -> None:
    held = Software({"haproxy": "3.0.1-1"}, {"haproxy": "3.0.2-1"}, held=["haproxy"])
    proxy = machine("proxy", held, "haproxy")
    found = minor_upgrade(facts(*ALL, proxy))
    assert (found.plan.refusals, steps(found)) == ([], {"standbys": ["b", "c"], "candidate": "b"})
    assert "proxy is left as it is, since haproxy is held there." in " ".join(found.plan.expected)
    # Of a host that is left to other clusters nothing has to be released.
    repository = machine("repo", replace(OLD, held=["postgresql-17"]), "pgbackrest")
    for shared, refused in (([], True), (["repo"], False)):
        found = minor_upgrade(Facts("shop", [*ALL, repository], Topology([A, B, C]), shared=shared))
        assert bool(found.plan.refusals) is refused
    # Beside a server it comes with that.
    beside = machine("b", replace(CURRENT, newer={"haproxy": "3.0.2-1"}, held=["haproxy"]))
    assert "On b haproxy is held" in " ".join(minor_upgrade(facts(machine("a"), beside, C_DONE)).plan.refusals)
    away = Host("proxy", "haproxy", "17", unreachable="no route.")
    assert "proxy does not answer (no route), and is left as it is." in " ".join(minor_upgrade(facts(*ALL, away)).left)
    down = container("proxy", "start", group="haproxy", software=None, unreachable="it is stopped", stopped=True)
    assert steps(minor_upgrade(facts(*NODES, down))) == {"others": ["proxy"]}


def test_a_backup_that_runs_refuses_the_hand_over_before_all() -> None:
    """Also one that holds no operation lock, since nobody has started it with backup.yml."""
    found = minor_upgrade(facts(*ALL))
    assert can_be_asked(found, facts(*ALL).topology)
    why = refusal(SwitchoverRequest("a", "b", 1, "repo"), RepositoryState("process 4711", 1))
    plan = with_handover(found.plan, OperationPlan("failover", "shop", "switchover", "", refusals=[why]))
    assert plan.refusals[0].startswith("A backup is running (process 4711) and a hand-over would break it. Run this")


def test_the_limit_of_the_lag_is_not_for_one_that_lags_on_purpose() -> None:
    behind = standby("c", "0/5000000", receiver=STREAMS, apply_delay_ms=60000)
    ahead = primary("a", "1/0"), standby("b", "1/0", receiver=STREAMS), behind
    lag = Topology(list(ahead)).lag(behind).replay_lag_bytes
    assert lag is not None
    assert lag > MAX_LAG
    found = minor_upgrade(facts(*ALL, states=ahead))
    assert (found.plan.refusals, steps(found)) == ([], {"standbys": ["b", "c"], "candidate": "b"})


def test_what_is_said_of_each() -> None:
    found = minor_upgrade(facts(*ALL, preferred="a"))
    gets = "runs PostgreSQL 17.6, gets postgresql-17 17.7-1 (17.6-1 now), is restarted"
    assert effects(found) == {"a": f"hands over to b, {gets}", "b": gets, "c": gets}
    assert (
        found.plan.message
        == "The standbys one after the other (b, c), then one hand-over to b, then the old primary a."
    )
    assert "b stays primary. failback.yml returns the role to a." in found.plan.expected
    assert found.plan.risks == []
    packages = HAS | {"postgresql-17": "17.7-1", "unheard-of": "1"}
    said = effects(minor_upgrade(facts(container("a", "none"), container("b", packages=packages))))
    assert said["b"] == "runs PostgreSQL 17.6, gets a new container, gets postgresql-17 17.7-1 (17.6-1 now)"
    said = effects(minor_upgrade(facts(container("a", "none"), container("b"))))
    assert said["b"] == "runs PostgreSQL 17.6, gets a new container, with the same packages"
    said = effects(minor_upgrade(facts(container("a", "none"), container("b", packages=None))))
    assert said["b"] == "runs PostgreSQL 17.6, gets a new container, whose image is not built yet"
    cut_off = replace(DOWN, fence=marker("fence", "a", PLANNED))
    states = (A, unreachable("b"))
    said = effects(minor_upgrade(facts(machine("a", CURRENT), machine("b", cut_off), states=states)))
    assert said["b"] == "becomes a standby of a"


@pytest.mark.parametrize(
    ("names", "states", "risk"),
    [
        ('ANY 1 ("b")', (B,), "Commits wait for a synchronous standby, and there is no other one"),
        ("", (B,), "While the only standby is started anew, nobody could take over."),
    ],
)
def test_what_it_may_cost(names: str, states: tuple[NodeState, ...], risk: str) -> None:
    current = primary("a", synchronous={"wanted": bool(names), "names": names})
    found = minor_upgrade(facts(machine("a"), machine("b"), states=(current, *states)))
    assert risk in " ".join(found.plan.risks)


def test_the_reason_is_that_of_the_hand_over() -> None:
    """It is known there only as a text, and the one must not depend on the other."""
    assert switchover.__file__ is not None
    assert f'reason="{PLANNED}"' in Path(switchover.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("states", "why"),
    [
        ((A, B), ""),
        ((A, standby("b", replay_waits="RecoveryApplyDelay")), ""),
        ((A, standby("b")), "it receives nothing"),
        ((A, unreachable("b", "b: connection refused.")), "connection refused"),
        ((A, primary("b")), "it accepts writes"),
        ((unreachable("a"), B), "nobody is primary"),
        ((A,), "no answer tells of it"),
    ],
)
def test_whether_a_standby_is_back(states: tuple[NodeState, ...], why: str) -> None:
    assert not_back(Topology(list(states)), "b") == why


@pytest.mark.parametrize(
    ("states", "why"),
    [
        ((A, B, C), ""),
        # One that is down does not come by itself.
        ((A, B, unreachable("c")), ""),
        ((A, standby("b")), "b does not stream yet"),
        ((A, unreachable("b", "the database system is starting up", "starting")), "b is starting"),
        ((unreachable("a"), B), "nobody is primary"),
        ((primary("a", handover_lock="alice"), B), "a hand-over is under way on a"),
    ],
)
def test_whether_the_servers_have_settled(states: tuple[NodeState, ...], why: str) -> None:
    assert unsettled(Topology(list(states))) == why


def test_what_is_said_at_the_end() -> None:
    now = {"a": {"version": "17", "packages": {"postgresql-17": "17.7-1"}}, "b": {"version": "17", "packages": {}}}
    states = [standby("a", server_version="17.7"), primary("b", server_version="17.7"), unreachable("c")]
    assert report(Topology(states), {"a": HAS}, now, 0.1234) == (
        "a: standby, runs PostgreSQL 17.7 (postgresql-17 17.7-1, 17.6-1 before)\n"
        "b: primary, runs PostgreSQL 17.7\n"
        "c: unreachable, runs PostgreSQL nothing that answers\n"
        "Write outage of the hand-over: 0.123 s.\n"
        "Every node has what there is, and archiving is proven."
    )


def test_what_a_host_says_of_itself() -> None:
    told = {
        "changed": False,
        "packages": HAS,
        "newer": NEWER,
        "held": [],
        "interrupted": False,
        "server_runs": False,
        "server_old": False,
        "tls_server_old": True,
        "fence": {
            "kind": "fence",
            "node": "b",
            "by": "alice",
            "at": "2026-01-01T00:00:00+00:00",
            "successor": "a",
            "timeline": 1,
            "reason": PLANNED,
        },
        "rejoin": None,
        "removed": None,
        "restore": None,
        "refusal": "",
    }
    fence = marker("fence", "a", PLANNED)
    assert Software.from_result(told) == Software(HAS, NEWER, [], False, False, False, True, fence=fence)
