"""What the plan of a hand-over asks the candidate's own disk, before anything is touched."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible.errors import AnsibleError

from ansible_collections.relevo.postgres.plugins.action.pg_handover_plan import ActionModule
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines

REMOVED = "b was removed from its cluster by alice at noon. Nothing was changed."
OPTIONS: dict[str, Any] = {
    "nodes": [],
    "unreachable": {},
    "no_connection": {},
    "timeout": 4.0,
    "preferred": "a",
    "operation": "failover",
    "candidate": "",
    "force": False,
    "fence_living": False,
    "starting_timeout": 0,
    "cluster": "main",
    "describe": False,
}


def node(name: str, in_recovery: bool) -> NodeState:
    data = {"in_recovery": in_recovery, "system_identifier": "1", "timeline": 1, "receive_lsn": "0/3", "follows": "a"}
    return NodeState(Peer(name, name), data)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    """The programs that were run, on which node, with which question; b says that it was removed."""
    programs: list[tuple[str, str, dict[str, Any]]] = []

    def run(name: str, _hostvars: object, _context: object, entry: str, question: Any, _deadline: float) -> Any:
        programs.append((name, entry, question))
        return {"refusal": REMOVED}

    monkeypatch.setattr(_machines, "run_program", run)
    return programs


def action(monkeypatch: pytest.MonkeyPatch, topology: Topology) -> ActionModule:
    made: Any = ActionModule.__new__(ActionModule)
    made._task_vars = {"hostvars": {"a": {}, "b": {}}}
    made._play_context = SimpleNamespace()
    made._task = SimpleNamespace(delegate_to="a")
    monkeypatch.setattr(ActionModule, "_topology", lambda _self, _options: topology)
    monkeypatch.setattr(ActionModule, "module", lambda _self, _name, _given: topology.as_dict())
    monkeypatch.setattr(ActionModule, "_heard", lambda _self, _options, found: found)
    return cast("ActionModule", made)


LIVING = Topology([node("a", in_recovery=False), node("b", in_recovery=True)])


def test_a_planned_hand_over_to_a_removed_node_is_refused_in_the_plan(
    monkeypatch: pytest.MonkeyPatch, asked: list[Any]
) -> None:
    with pytest.raises(RelevoError, match="b was removed from its cluster"):
        action(monkeypatch, LIVING).work(OPTIONS)
    assert asked == [("b", "_server.marker", {"node": "b"})]


def test_it_is_shown_as_refused(monkeypatch: pytest.MonkeyPatch, asked: list[Any]) -> None:
    result = action(monkeypatch, LIVING).work(OPTIONS | {"describe": True})
    assert result["operation_plan"]["refusals"] == [REMOVED]
    # Nothing else is asked for after that.
    assert not {"asked", "plan"} & set(result)


def test_an_emergency_asks_nobody_for_it(monkeypatch: pytest.MonkeyPatch, asked: list[Any]) -> None:
    lost = NodeState(Peer("a", "a"), error="a: no answer")
    plan = action(monkeypatch, Topology([lost, node("b", in_recovery=True)])).work(OPTIONS)["plan"]
    assert (plan["action"], plan["candidate"]) == ("promote", "b")
    assert asked == []


def test_a_candidate_whose_disk_cannot_be_read_is_judged_at_its_promotion(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_given: object) -> dict[str, Any]:
        raise AnsibleError("b did not answer")

    monkeypatch.setattr(_machines, "run_program", silent)
    assert action(monkeypatch, LIVING).work(OPTIONS)["plan"]["action"] == "switchover"


def test_a_busy_machine_with_the_only_standby_is_asked_for_longer(
    monkeypatch: pytest.MonkeyPatch, asked: list[Any]
) -> None:
    """Under load a login may take longer than the first question waits: a slow standby is not a dead one."""
    lost, slow = (NodeState(Peer(name, name), error=f"{name}: no answer in time") for name in "ab")
    answers = {4.0: [lost, slow], 15.0: [lost, node("b", in_recovery=True)]}
    made = action(monkeypatch, Topology([lost, slow]))
    questions: list[float] = []

    def topology(_self: object, options: dict[str, Any]) -> Topology:
        questions.append(options["timeout"])
        return Topology(answers[options["timeout"]])

    monkeypatch.setattr(ActionModule, "_topology", topology)
    plan = made.work(OPTIONS)["plan"]
    assert (plan["action"], plan["candidate"], questions) == ("promote", "b", [4.0, 15.0])

    answers[15.0] = [lost, slow]
    questions.clear()
    with pytest.raises(RelevoError, match="No node of the cluster answers"):
        made.work(OPTIONS)
    assert questions == [4.0, 15.0]
