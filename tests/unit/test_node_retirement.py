# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What remove_node.yml does to a standby, and what it refuses: each row; and what keeps the node from coming back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from answers import primary, standby, unreachable

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.retirement import (
    Facts,
    Request,
    Retirement,
    Scratch,
    retirement,
)
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover.report import followers
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.container_plan import (
    Container,
    Engine,
    Wanted,
    refuse_removed,
)
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.plan import Removed
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.plan import Request as RejoinRequest
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.rejoin import Rejoin
from ansible_collections.relevo.postgres.plugins.module_utils._server import marker
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.replication import drop_slot

STREAMS: Any = {"status": "streaming", "host": "a"}
A, B, C = primary("a"), standby("b", receiver=STREAMS), standby("c", receiver=STREAMS)
YES = Request("c")
UP = {"a": "running", "b": "running", "c": "running", "repo": "running"}
DOWN: Any = {"containers": UP | {"c": "stopped"}, "unreachable": {"c": "its container is stopped"}}
AWAY: Any = {"unreachable": {"c": "no route."}}


def facts(*states: NodeState, **more: Any) -> Facts:
    return Facts("shop", "c", Topology(list(states or (A, B, C))), "repo", **more)


def effects(found: Retirement) -> dict[str, str]:
    return {effect.name: effect.change for effect in found.plan.affects}


def does(found: Retirement) -> tuple[bool, bool, bool]:
    return found.asks_node, found.fences, found.clears


@pytest.mark.parametrize(
    ("request_", "given", "done", "becomes"),
    [
        (YES, facts(containers=UP), (True, True, False), "is stopped for good, and may not start again; its data stay"),
        (
            Request("c", data=True),
            facts(containers=UP),
            (True, True, True),
            "is removed, with its container and volumes",
        ),
        (YES, facts(A, B, unreachable("c"), **DOWN), (False, True, False), "is stopped for good, and may not start"),
        (YES, facts(), (True, False, False), "is stopped for good, and may not start again; its data stay"),
        (Request("c", data=True), facts(), (True, False, True), "is stopped for good; its data, configuration, keys,"),
        # A machine that does not answer keeps its data for the run that finds it again.
        (
            Request("c", data=True, force=True),
            facts(A, B, unreachable("c"), **AWAY),
            (False, False, False),
            "is stopped, as you say; its disk cannot be reached",
        ),
        (
            YES,
            facts(A, B, unreachable("c"), fence_command=True, **AWAY),
            (False, True, False),
            "is stopped, by failover_fence_command; its disk cannot be reached",
        ),
    ],
)
def test_what_becomes_of_the_node(request_: Request, given: Facts, done: tuple[bool, ...], becomes: str) -> None:
    found = retirement(request_, given)
    assert found.plan.refusals == []
    assert does(found) == done
    assert effects(found)["c"].startswith(becomes)
    assert list(effects(found)) == ["c", "a", "b", "repo"]


@pytest.mark.parametrize(
    ("also", "keys", "named"),
    [([], True, ""), (["redis"], True, "redis"), (["pgbackrest", "haproxy"], False, "pgbackrest and haproxy")],
)
def test_a_machine_goes_on_being_what_else_it_is(also: list[str], keys: bool, named: str) -> None:
    found = retirement(Request("c", data=True), facts(also=also))
    assert (found.plan.refusals, found.keeps, found.keys) == ([], also, keys)
    if named:
        assert effects(found)["c"].endswith(f"its packages stay, and what it needs in the group {named}")
        assert f"out of the group postgres of the inventory; it stays in the group {named}." in found.left[0]


def test_a_container_that_is_something_else_too_is_refused() -> None:
    [refused] = retirement(YES, facts(containers=UP, also=["pgbackrest"])).plan.refusals
    assert refused.startswith("c is a container that is also in the group pgbackrest, and would stop as a whole.")


def test_what_was_cut_off_is_gone_on_with() -> None:
    """Its container is there no more, and nobody knows it."""
    gone = facts(A, B, unreachable("c"), containers={"c": "missing"}, unreachable={"c": "its container is missing"})
    found = retirement(Request("c", data=True), gone)
    assert (found.plan.refusals, does(found)) == ([], (False, True, True))


def test_the_primary_counts_it_no_more() -> None:
    counted: Any = {"wanted": True, "names": 'ANY 1 ("b", "c")'}
    found = retirement(YES, facts(primary("a", synchronous=counted), B, C))
    assert effects(found)["a"] == "forgets it, and drops its slot; no longer counts it as a synchronous standby"
    assert effects(found)["b"] == "forgets it, and drops its slot"


@pytest.mark.parametrize(
    ("request_", "more", "left"),
    [
        (YES, {}, "Until then site.yml refuses to bring it back; add_node.yml does."),
        (Request("c", data=True), {}, "Until then site.yml would make it anew."),
        (YES, {"preferred": True}, "set node_preferred_primary on another node."),
        (Request("c", force=True), AWAY, "Run this again when c answers"),
    ],
)
def test_what_is_left_to_do_is_said(request_: Request, more: dict[str, Any], left: str) -> None:
    found = retirement(request_, facts(**more))
    assert left in " ".join(found.left)
    assert found.plan.expected == found.left


@pytest.mark.parametrize("unreachable_", [{}, {"d": "its container is stopped"}])
def test_another_standby_may_be_down(unreachable_: dict[str, str]) -> None:
    found = retirement(YES, facts(A, B, C, unreachable("d"), unreachable=unreachable_))
    assert found.plan.refusals == []
    assert "The server of d does not answer. Once it does, run site.yml" in " ".join(found.left)
    assert found.peers == (["a", "b"] if unreachable_ else ["a", "b", "d"])
    assert found.servers == ["a", "b"]


ALONE = Topology([A, C])
SYNCHRONOUS = Topology([primary("a", synchronous={"wanted": True, "names": 'ANY 1 ("c")'}), C])


@pytest.mark.parametrize(
    ("request_", "changed", "said"),
    [
        (Request(), {}, "Confirm it with -e confirm=c."),
        (Request("b"), {}, "confirm=b is not its name. Confirm it with -e confirm=c."),
        (YES, {"unfinished": "It is being restored."}, "It is being restored."),
        (YES, {"second": "Run site.yml first."}, "Run site.yml first."),
        (
            YES,
            {"unreachable": {"repo": "paused"}, "topology": Topology([])},
            "The repository host repo does not answer",
        ),
        (
            YES,
            {"topology": Topology([B, primary("c")])},
            "c is the primary. Hand over first: failover.yml -e candidate=b.",
        ),
        (YES, {"topology": Topology([unreachable("b"), primary("c")])}, "failover.yml, once a standby answers."),
        (YES, {"topology": Topology([primary("c")])}, "A whole cluster is removed with remove.yml."),
        (YES, {"topology": Topology([A, B, primary("c")])}, "Two primaries: a and c take writes."),
        (YES, {"topology": Topology([unreachable("a"), B, C])}, "No primary answers"),
        (YES, {"unreachable": {"a": "no route"}}, "The primary a does not answer (no route), and must drop its slot."),
        (YES, {"topology": ALONE}, "Without c no standby streams, and nobody could take over."),
        (YES, {"topology": Topology([A, standby("b"), C])}, "Without c no standby streams"),
        (Request("c", last=True), {"topology": SYNCHRONOUS}, "a requires a synchronous standby, and without c none"),
        (YES, AWAY, "c does not answer (no route), and nothing could stop it. Set failover_fence_command"),
        (Request("c", data=True), AWAY, "say so with -e force=true."),
    ],
)
def test_what_is_refused(request_: Request, changed: dict[str, Any], said: str) -> None:
    refusals = retirement(request_, replace(facts(), **changed)).plan.refusals
    assert len(refusals) == 1
    assert said in refusals[0]


def test_the_last_standby_goes_when_that_is_said() -> None:
    found = retirement(Request("c", last=True), replace(facts(), topology=ALONE))
    assert found.plan.refusals == []
    assert "The cluster has no standby then, which could take over." in found.plan.risks


DATA = Request("c", data=True)
SLOTS: list[dict[str, Any]] = [
    {"name": "orders", "type": "logical", "database": "shop"},
    {"name": "barman", "type": "physical"},
    # Of the cluster's nodes, a copy of the primary's, and one that goes with its connection.
    {"name": "b", "type": "physical"},
    {"name": "copy", "type": "logical", "database": "shop", "failover": True, "synced": True},
    {"name": "pg_basebackup_7", "type": "physical", "temporary": True},
]
READ: Any = {
    "slots": SLOTS,
    "senders": [{"name": "reports", "address": "192.0.2.9", "state": "streaming"}, {"state": "streaming"}],
}
CONSUMERS = [
    "The logical slot orders (database shop) is on c alone: its consumer has to begin anew elsewhere.",
    "The slot barman, which is not one of this cluster's standbys, is on c alone: its consumer needs one elsewhere.",
    "reports (192.0.2.9) is sent WAL by c, and is cut off.",
    "Somebody without a name is sent WAL by c, and is cut off.",
]


@pytest.mark.parametrize(("request_", "refused"), [(YES, False), (DATA, True), (replace(DATA, consumers=True), False)])
def test_who_reads_from_it_is_named(request_: Request, refused: bool) -> None:
    found = retirement(request_, facts(A, B, standby("c", receiver=STREAMS, **READ))).plan
    assert [risk for risk in found.risks if risk != "Nothing brings the data of c back."] == CONSUMERS
    assert len(found.refusals) == refused
    if refused:
        assert found.refusals[0].startswith("Others read from c. The logical slot orders (database shop)")
        assert found.refusals[0].endswith("Move them first, or say -e lose_consumers=true.")


def test_what_nobody_can_ask_for_is_said() -> None:
    unknown = "Its server does not answer, so nobody knows which replication slots of others c has."
    down = facts(A, B, unreachable("c"), **DOWN)
    assert retirement(DATA, down).plan.risks[-1] == unknown
    assert retirement(DATA, down).plan.refusals == []
    assert unknown not in retirement(YES, down).plan.risks
    assert unknown not in retirement(DATA, facts()).plan.risks


def test_what_was_restored_there_does_not_go_with_its_data() -> None:
    given = facts(scratch=[Scratch("main_latest", "main"), Scratch("old", "shop", "/n/c+old.json")])
    command = "restore.yml -e cluster=main -e remove=main_latest -e restore_host=c."
    refusals = retirement(DATA, given).plan.refusals
    assert refusals[0] == f"main_latest was restored beside main on c. Remove it first: {command}"
    assert refusals[1].endswith("-e restore_host=c. If it is gone with its host, delete /n/c+old.json on repo.")
    assert len(refusals) == 2
    kept = retirement(YES, given).plan
    assert kept.refusals == []
    assert command in " ".join(kept.risks)
    # Its data stay for now: the run that finds it again asks again.
    away = replace(given, unreachable={"c": "no route"})
    assert retirement(replace(DATA, force=True), away).plan.refusals == []


def test_the_hosts_with_haproxy_forget_it() -> None:
    assert effects(retirement(YES, facts(proxies=["proxy"])))["proxy"] == "forgets it: its HAProxy"


# --- what keeps it from coming back ----------------------------------------------------------------------------------

MARK = marker.Marker("removed", "c", "ann@ctl", "2026-11-27T02:00:00+00:00")


def test_it_rejoins_only_when_it_is_added_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marker, "read", lambda kind: MARK if kind == "removed" else None)
    wanted = RejoinRequest("c", Peer("a", "a"))
    with pytest.raises(Removed, match=r"c was removed from its cluster by ann@ctl .*: add_node\.yml -e node=c\."):
        Rejoin(wanted, None).run()  # type: ignore[arg-type]
    said = Rejoin(replace(wanted, required=False), None).run()  # type: ignore[arg-type]
    assert (said["changed"], said["cut_off"], said["withdraw_record"]) == (False, "", False)
    assert followers({"c": said}, "a") == [said["removed"]]
    readmitted = Rejoin(replace(wanted, readmit=True), None)  # type: ignore[arg-type]
    readmitted._require_membership()


@pytest.mark.parametrize("status", ["exited", "created"])
def test_its_container_is_started_by_nobody_else(status: str) -> None:
    labels = {"relevo.managed": "true", "relevo.cluster": "main"}
    engine = Engine({"c": Container("c", status, labels)})
    node = Wanted("c", "postgres", "main")
    with pytest.raises(RelevoError, match="c was removed. Nothing was touched."):
        refuse_removed([node], engine, lambda name: f"{name} was removed.")
    refuse_removed([node], engine, lambda name: "")
    refuse_removed([node], engine, lambda name: f"{name} was removed.", readmitted=["c"])


class FakeSession:
    """A server with one slot, which its sender leaves when that is ended."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows, self.asked = rows, []  # type: ignore[var-annotated]

    def query(self, text: str, values: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        self.asked.append((text.split("(")[0], values))
        return self.rows if "FROM pg_replication_slots" in text else []

    def flag(self, text: str, values: tuple[Any, ...] = ()) -> bool:
        return True


@pytest.mark.parametrize(
    ("rows", "ended", "there"),
    [([], False, False), ([{"active_pid": None}], False, True), ([{"active_pid": 7}], True, True)],
)
def test_its_slot_is_dropped(rows: list[dict[str, Any]], ended: bool, there: bool) -> None:
    session = FakeSession(rows)
    assert drop_slot(session, "c") is there  # type: ignore[arg-type]
    assert (("SELECT pg_terminate_backend", (7,)) in session.asked) is ended
    assert (("SELECT pg_drop_replication_slot", ("c",)) in session.asked) is there
