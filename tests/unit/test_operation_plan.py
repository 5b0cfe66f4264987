# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each operation says that it is about to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from answers import primary, standby, unreachable

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._handover.describe import (
    describe_failback,
    describe_failover,
)
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import OperationPlan
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.describe import describe_rejoin
from ansible_collections.relevo.postgres.plugins.module_utils._repository.cycle import (
    CycleRequest,
    describe,
    parse_days,
    plan,
)

STREAMS: Any = {"status": "streaming", "host": "a"}
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def failover(*states: NodeState, **more: Any) -> OperationPlan:
    return describe_failover(Topology(list(states)), "main", "a", **more)


def changes(found: OperationPlan) -> dict[str, str]:
    return {effect.name: effect.change for effect in found.affects}


def test_it_goes_out_as_json_and_comes_back() -> None:
    found = failover(primary("a"), standby("b"))
    told = json.loads(json.dumps(found.as_dict()))
    assert set(told) == {
        "version",
        "operation",
        "cluster",
        "action",
        "message",
        "affects",
        "expected",
        "risks",
        "refusals",
    }
    assert OperationPlan.from_dict(told) == found


def test_a_planned_hand_over_says_who_becomes_what() -> None:
    found = failover(
        primary("a"), standby("b", "0/6000000", receiver=STREAMS), standby("c", receiver=STREAMS), unreachable("d")
    )
    assert (found.operation, found.action) == ("failover", "switchover")
    assert changes(found) == {
        "a": "is stopped and becomes a standby of b",
        "b": "becomes the primary",
        "c": "follows b",
        "d": "does not answer and is left alone",
    }
    assert any("Connections to a end" in risk for risk in found.risks)
    assert any(risk.startswith("d cannot be asked") for risk in found.risks)
    assert "  b becomes the primary." in found.text.splitlines()


def test_an_emergency_says_whose_sessions_it_ends() -> None:
    said = "Replay on b is held back by sessions there that read: they are ended, and named."
    assert said in failover(unreachable("a"), standby("b", replay_waits="relation")).risks
    assert said not in failover(unreachable("a"), standby("b", replay_waits="RecoveryWalStream")).risks


def test_an_emergency_says_what_may_be_lost() -> None:
    found = failover(unreachable("a"), standby("b"), unreachable("c"))
    assert found.action == "promote"
    assert changes(found) == {
        "a": "is fenced: stopped for certain, and kept from coming back as a primary",
        "b": "is promoted",
        "c": "is stopped, since it may have been promoted unseen",
    }
    assert "how much is unknown" in found.risks[0]


def test_what_would_be_refused_is_an_answer() -> None:
    found = failover(primary("a"), unreachable("b"))
    assert found.action == "none"
    assert "no standby answers" in found.refusals[0]
    assert "REFUSED: a is primary and no standby answers" in found.text
    two = failover(primary("a"), primary("b"))
    assert two.refusals[0].startswith("Two primaries")


def test_a_failover_that_was_done_affects_nobody() -> None:
    found = failover(standby("a", receiver={"status": "streaming"}), primary("b"))
    assert (found.action, found.affects) == ("finish", [])
    assert "Nothing would be changed." in found.text


def test_an_old_primary_recovers_with_force_only() -> None:
    states = (unreachable("a"), unreachable("b"))
    assert failover(*states, candidate="a").refusals
    found = failover(*states, candidate="a", force=True)
    assert found.action == "recover"
    assert "What b wrote and did not archive is lost" in found.risks[0]


def test_a_failback_brings_the_preferred_primary_back_first() -> None:
    found = describe_failback(Topology([unreachable("a"), primary("b")]), "main", "a")
    assert (found.action, found.refusals) == ("switchover", [])
    assert found.affects[0].change == "is started and made a standby first, if it can be"
    assert "is not known before it answers" in found.risks[0]
    assert describe_failback(Topology([standby("a"), standby("b")]), "main", "a").refusals


@pytest.mark.parametrize(
    ("method", "said", "discards"),
    [
        ("follow", "is told to follow a", False),
        ("clean", "is started as a standby of a", False),
        ("rewind", "is taken back to where its history left that of a (pg_rewind)", True),
        ("basebackup", "is copied anew from a, in place of its data", True),
    ],
)
def test_a_rejoin_says_what_becomes_of_each_node(method: str, said: str, discards: bool) -> None:
    found = describe_rejoin(Topology([primary("a"), unreachable("b")]), "main", {"b": {"method": method}}, {}, {})
    assert (found.action, changes(found)) == ("rejoin", {"b": said})
    assert any("is discarded" in risk for risk in found.risks) == discards
    assert "1 node rejoins" in found.message


def test_a_rejoin_starts_what_is_down_and_names_what_it_cannot_reach() -> None:
    topology = Topology([primary("a"), standby("b"), unreachable("c"), unreachable("d")])
    found = describe_rejoin(topology, "main", {"b": {"method": "none"}}, {"c": "its container is stopped"}, {})
    assert changes(found) == {"c": "is started (its container is stopped) and made a standby of a"}
    assert "d cannot be reached and stays as it is." in found.risks


def test_a_rejoin_helps_the_others_of_one_that_cannot_be_started() -> None:
    topology = Topology([primary("a"), unreachable("b"), unreachable("c")])
    down = {"b": "its container is stopped", "c": "its container is paused"}
    found = describe_rejoin(topology, "main", {}, down, {"c": "The container c is paused. Run docker unpause c."})
    assert changes(found) == {"b": "is started (its container is stopped) and made a standby of a"}
    assert "c stays as it is. The container c is paused. Run docker unpause c." in found.risks


def test_a_backup_says_what_it_makes_and_what_that_took_the_last_time() -> None:
    days = parse_days({1: ["full"], 2: ["incr"]})
    backup = {
        "label": "x",
        "type": "full",
        "timestamp": {"start": 1000, "stop": 1090},
        "info": {"repository": {"delta": 1048576}},
    }
    decided = plan([backup], CycleRequest("1", days), NOW)
    found = describe(decided, [backup], "shop", "a")
    assert (found.operation, found.cluster, found.action) == ("backup", "shop", "backup")
    assert changes(found) == {"the repository": "gets a full backup of a (day 1, step 1/1)"}
    assert "The last full backup took 1 min 30 s and 1.0 MiB in the repository." in found.expected


def test_a_day_that_is_done_needs_no_backup() -> None:
    days = parse_days({1: ["full"], 2: ["incr"]})
    notes = {"relevo-day": "1", "relevo-step": "1/1", "relevo-requested": "20261124T110000Z"}
    stamps = {"start": 1, "stop": int((NOW - timedelta(hours=1)).timestamp())}
    backup = {"label": "x", "type": "full", "timestamp": stamps, "annotation": notes}
    found = describe(plan([backup], CycleRequest("auto", days), NOW), [backup], "main")
    assert (found.action, found.affects) == ("none", [])
    assert "Nothing to do: day 1 was finished today" in found.message


def test_what_does_not_move_with_the_role_is_a_risk() -> None:
    slots = [{"name": "barman", "type": "physical"}, {"name": "kept", "type": "logical", "failover": True}]
    copy = [{"name": "kept", "type": "logical", "failover": True, "synced": True}]
    planned = failover(primary("a", slots=slots), standby("b", slots=copy))
    assert any("barman" in risk for risk in planned.risks)
    assert not any("kept" in risk for risk in planned.risks)
    emergency = failover(unreachable("a"), standby("b", slots=copy, wal_level="logical"))
    assert "Of the logical slots of a, b has kept; any other is lost." in emergency.risks


def test_more_risks_are_added() -> None:
    plan = OperationPlan("failover", "main", "switchover", "x", risks=["one"]).with_risks(["two"])
    assert plan.risks == ["one", "two"]
