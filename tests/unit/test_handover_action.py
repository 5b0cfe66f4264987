"""What the plan of a hand-over asks the candidate's own disk, before anything is touched."""

from __future__ import annotations

from contextlib import nullcontext
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.playbook.play_context import PlayContext

from ansible_collections.relevo.postgres.plugins.action import pg_handover_plan
from ansible_collections.relevo.postgres.plugins.action.pg_handover_plan import ActionModule
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.plugin_utils import (
    _machines,
    _membership,
    _node_program,
    _offline_nodes,
    _witnesses,
)

#: As it is, where a test has another in its place.
HEARD = ActionModule._heard
REMOVED = "b was removed from its cluster by alice at noon. Nothing was changed."
OPTIONS: dict[str, Any] = {
    "nodes": [],
    "unreachable": {},
    "no_connection": {},
    "servers": {},
    "timeout": 4.0,
    "preferred": "a",
    "operation": "failover",
    "candidate": "",
    "force": False,
    "fence_living": False,
    "fence_command": [],
    "show_first": False,
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
    made._play_context = PlayContext()
    made._connection = SimpleNamespace(transport="local")
    made._task = SimpleNamespace(delegate_to="a")
    monkeypatch.setattr(ActionModule, "_topology", lambda _self, _options: topology)
    monkeypatch.setattr(ActionModule, "module", lambda _self, _name, _given: topology.as_dict())
    monkeypatch.setattr(ActionModule, "_heard", lambda _self, _options, found: (found, {}))
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


def test_a_plan_that_is_to_be_shown_first_asks_nobody_and_promotes_nobody(
    monkeypatch: pytest.MonkeyPatch, asked: list[Any]
) -> None:
    result = action(monkeypatch, LIVING)
    monkeypatch.setattr(ActionModule, "_topology", lambda *_given: pytest.fail("a server was asked"))
    # Its nodes are only what tasks that are passed over are delegated to.
    plan = {"action": "show", "candidate": "a", "primary": "a"}
    assert result.work(OPTIONS | {"show_first": True}) == {"changed": False, "plan": plan}
    assert asked == []


def planner(monkeypatch: pytest.MonkeyPatch, *answers: Topology) -> ActionModule:
    """One whose question to the servers is answered by these, one after the other."""
    asks = ActionModule._topology
    made: Any = action(monkeypatch, LIVING)
    left = iter(answers)
    monkeypatch.setattr(ActionModule, "_topology", asks)
    monkeypatch.setattr(ActionModule, "ask", lambda *_given: next(left).as_dict())
    monkeypatch.setattr(_machines, "run_program", lambda *_given: {"refusal": ""})
    return cast("ActionModule", made)


def test_the_servers_need_not_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    early = {"unreachable": {}, "answer": LIVING.as_dict()}
    assert planner(monkeypatch).work(OPTIONS | {"servers": early})["plan"]["action"] == "switchover"


def test_they_are_where_somebody_else_is_down_than_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    early = {"unreachable": {"c": "its container is stopped"}, "answer": Topology([]).as_dict()}
    assert planner(monkeypatch, LIVING).work(OPTIONS | {"servers": early})["plan"]["action"] == "switchover"


def test_nor_the_disk_of_a_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    early = {"unreachable": {}, "answer": LIVING.as_dict(), "refusals": {"b": REMOVED}}
    made = planner(monkeypatch)
    monkeypatch.setattr(_machines, "run_program", lambda *_given: pytest.fail("a disk was asked"))
    with pytest.raises(RelevoError, match="^b was removed from its cluster"):
        made.work(OPTIONS | {"servers": early})


def test_an_early_answer_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers all are asked again, and a server that starts is asked until it has."""
    starting = Topology([NodeState(Peer("a", "a"), error="a: starting", life="starting"), node("b", in_recovery=True)])
    early = {"unreachable": {}, "answer": starting.as_dict()}
    monkeypatch.setattr(pg_handover_plan, "POLL", 0)
    plan = planner(monkeypatch, LIVING).work(OPTIONS | {"servers": early, "starting_timeout": 30})["plan"]
    assert plan["action"] == "switchover"


def emergency(monkeypatch: pytest.MonkeyPatch, *standbys: str, witness: Any = None) -> ActionModule:
    """One in which a does not answer, and these do; all of them are machines."""
    lost = NodeState(Peer("a", "a"), error="a: no answer")
    made: Any = action(monkeypatch, Topology([lost, *(node(name, in_recovery=True) for name in standbys)]))
    made._task_vars["hostvars"]["c"] = {}
    monkeypatch.setattr(ActionModule, "_heard", HEARD)
    monkeypatch.setattr(ActionModule, "_witness", lambda *_given: witness)
    return cast("ActionModule", made)


def test_an_emergency_passes_by_a_node_whose_removal_was_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its server still runs. That it takes over nothing is known before anybody is fenced."""
    monkeypatch.setattr(_machines, "run_program", lambda name, *_given: {"refusal": REMOVED if name == "b" else ""})
    plan = emergency(monkeypatch, "b", "c").work(OPTIONS)["plan"]
    assert (plan["action"], plan["candidate"], plan["removed"]) == ("promote", "c", ["b"])
    shown = emergency(monkeypatch, "b", "c").work(OPTIONS | {"describe": True})["operation_plan"]
    assert {"name": "b", "change": "was removed from the cluster and is left alone"} in shown["affects"]


def test_an_emergency_asks_only_the_disks_that_have_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(name: str, *_given: object) -> dict[str, str]:
        asked.append(name)
        return {"refusal": ""}

    monkeypatch.setattr(_machines, "run_program", run)
    early = {"refusals": {"b": REMOVED, "elsewhere": REMOVED}}
    plan = emergency(monkeypatch, "b", "c").work(OPTIONS | {"servers": early})["plan"]
    assert (plan["candidate"], plan["removed"], asked) == ("c", ["b"], ["c"])


@pytest.mark.parametrize(
    ("standbys", "candidate", "words"),
    [
        (["b"], "", "No other node answers that could take over. b was removed from its cluster"),
        (["b"], "b", "^b was removed from its cluster"),
        (["b", "c"], "b", "^b was removed from its cluster"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_an_emergency_fences_nobody_for_it(
    monkeypatch: pytest.MonkeyPatch, standbys: list[str], candidate: str, words: str, force: bool
) -> None:
    monkeypatch.setattr(_machines, "run_program", lambda name, *_given: {"refusal": REMOVED if name == "b" else ""})
    with pytest.raises(RelevoError, match=words):
        emergency(monkeypatch, *standbys).work(OPTIONS | {"candidate": candidate, "force": force})


def test_a_standby_that_cannot_be_asked_is_judged_at_its_promotion(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_given: object) -> dict[str, Any]:
        raise AnsibleError("b did not answer")

    monkeypatch.setattr(_machines, "run_program", silent)
    plan = emergency(monkeypatch, "b").work(OPTIONS)["plan"]
    assert (plan["candidate"], plan["removed"]) == ("b", [])


@pytest.mark.parametrize(
    ("text", "said"), [(None, ""), ('{"node": "b", "by": "alice", "at": "noon"}', REMOVED), ("?", "b was removed from")]
)
def test_the_disk_of_a_container_is_read_through_its_engine(
    monkeypatch: pytest.MonkeyPatch, text: str | None, said: str
) -> None:
    def file(_path: str) -> Any:
        return nullcontext(None if text is None else SimpleNamespace(chunks=[text.encode()]))

    monkeypatch.setattr(_offline_nodes, "containers", lambda _n: {"b": SimpleNamespace(read_file=file)})
    why = _membership.asker("b", {"node_kind": "docker"}, PlayContext())()
    assert why.startswith(said.partition(" Nothing")[0].partition("Take")[0])
    assert bool(why) == (text is not None)


def test_who_takes_too_long_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_membership, "DEADLINE", 0.05)
    held = Event()
    question = _membership.Question({"b": lambda: str(held.wait(10)), "c": lambda: REMOVED, "d": lambda: ""})
    assert question.answers() == {"c": REMOVED}
    held.set()


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


# --- who lets nobody in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [1, 2])
@pytest.mark.parametrize(("in_recovery", "promoted"), [(True, True), (False, False), (None, False)])
def test_a_standby_whose_connections_are_all_in_use_is_one_by_the_word_of_its_machine(
    monkeypatch: pytest.MonkeyPatch, answers: int, in_recovery: bool | None, promoted: bool
) -> None:
    """Its superuser gets in. A primary stays one that lives, and a machine that says nothing changes nothing."""
    full = NodeState(Peer("b", "b"), error="b: FATAL: sorry, too many clients already", life="refused")
    lost = NodeState(Peer("a", "a"), error="a: no answer")
    made = action(monkeypatch, Topology([lost, full]))
    monkeypatch.setattr(ActionModule, "_heard", HEARD)
    monkeypatch.setattr(ActionModule, "_witness", lambda *_given: None)
    questions: list[tuple[str, str, object]] = []

    def run(name: str, _hostvars: object, _context: object, entry: str, question: Any, _deadline: float) -> Any:
        questions.append((name, entry, question))
        if len(questions) < answers and entry != "_server.marker":
            raise AnsibleError("a program on b ended with status 0 and without an answer")
        if entry == "_server.marker":
            questions.pop()
            return {"refusal": ""}
        return {"data": None if in_recovery is None else node("b", in_recovery).data}

    monkeypatch.setattr(_machines, "run_program", run)
    if promoted:
        plan = made.work(OPTIONS)["plan"]
        assert (plan["action"], plan["primary"], plan["candidate"]) == ("promote", "a", "b")
        assert full.error is None
    else:
        with pytest.raises(RelevoError, match=r"^b lives and answers, but not to us \(FATAL: sorry, too many clients"):
            made.work(OPTIONS)
    assert questions == answers * [("b", "_cluster.ask_here", {"timeout": 4.0})]


def test_where_a_primary_answers_no_machine_is_asked(monkeypatch: pytest.MonkeyPatch, asked: list[Any]) -> None:
    refusing = NodeState(Peer("c", "c"), error="c: too many clients", life="refused")
    made = action(monkeypatch, LIVING)
    HEARD(made, OPTIONS, Topology([*LIVING.states, refusing]))
    assert asked == []


# --- answers that are lost -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "questions", "answer"),
    [
        (['relevo-answer:{"x": 1}'], 1, {"x": 1}),
        (["", 'relevo-answer:{"x": 1}'], 2, {"x": 1}),
        ([AnsibleConnectionFailure("gone"), 'relevo-answer:{"x": 1}'], 2, {"x": 1}),
        (["", ""], 2, None),
        ([None, None], 2, None),
    ],
)
def test_an_answer_that_is_lost_is_asked_for_once_more(
    monkeypatch: pytest.MonkeyPatch, outputs: list[Any], questions: int, answer: Any
) -> None:
    """``None``: the node's interpreter is not known, and a module is asked in the program's place."""
    left = list(outputs)

    def run(*_given: object) -> dict[str, str] | None:
        said = left.pop(0)
        if isinstance(said, Exception):
            raise said
        return None if said is None else {"stdout": said}

    monkeypatch.setattr(_node_program, "run", run)
    made = action(monkeypatch, LIVING)
    assert made.ask("_cluster.ask", {}) == answer
    assert len(outputs) - len(left) == questions


def test_a_node_that_is_gone_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_given: object) -> None:
        raise AnsibleConnectionFailure("gone")

    monkeypatch.setattr(_node_program, "run", gone)
    with pytest.raises(AnsibleConnectionFailure):
        action(monkeypatch, LIVING).ask("_cluster.ask", {})


@pytest.mark.parametrize(
    ("outputs", "seen"),
    [
        (["", 'relevo-answer:{"answer": "refused"}'], "refused"),
        (['relevo-answer:{"answer": "none"}', ""], "none"),
        (["", ""], "none"),
    ],
)
def test_a_witness_whose_answer_is_lost_has_not_seen_nothing(
    monkeypatch: pytest.MonkeyPatch, outputs: list[str], seen: str
) -> None:
    left = list(outputs)
    monkeypatch.setattr(_machines, "execute", lambda *_given: (0, left.pop(0), ""))
    assert _witnesses.on_node("c", {}, PlayContext(), Peer("a", "a"))() == seen
