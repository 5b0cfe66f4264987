"""The question who is primary, asked while the machines are still asked whether they answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._wait import wait_until
from ansible_collections.relevo.postgres.plugins.plugin_utils import _early_question, _machines
from ansible_collections.relevo.postgres.plugins.plugin_utils._early_question import EarlyQuestion, topology_of

DOWN = {"c": "its container is paused"}
ANSWER = Topology([NodeState(Peer("a", "a"), error="a: no answer")]).as_dict()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The questions that the repository host was asked."""
    questions: list[dict[str, Any]] = []

    def run(
        name: str, _variables: object, _context: object, entry: str, question: dict[str, Any], _limit: float
    ) -> Any:
        assert (name, entry) == ("repository", "_cluster.ask")
        questions.append(question)
        return ANSWER

    monkeypatch.setattr(_machines, "run_program", run)
    return questions


def early(disks: dict[str, Callable[[], str]] | None = None) -> EarlyQuestion:
    nodes = [{"name": "a", "host": "a", "port": 5432}]
    return EarlyQuestion("repository", {}, PlayContext(), nodes, DOWN, disks or {})


def test_those_that_are_known_to_be_down_are_left_out(asked: list[dict[str, Any]]) -> None:
    question = early()
    question.start()
    assert question.result() == {"unreachable": DOWN, "answer": ANSWER, "refusals": {}}
    assert [one["unreachable"] for one in asked] == [DOWN]


def test_a_machine_is_asked_when_it_has_answered(asked: list[dict[str, Any]]) -> None:
    question, answered = early(), threading.Event()

    def ask() -> None:
        assert asked == []
        answered.set()

    assert question.after({"repository": ask})["repository"]() is None
    assert answered.is_set()
    assert question.result()["answer"] == ANSWER


def test_one_that_does_not_answer_is_asked_nothing(asked: list[dict[str, Any]]) -> None:
    question = early()
    assert question.after({"repository": lambda: "refused"})["repository"]() == "refused"
    assert (question.result(), asked) == ({}, [])


def test_the_disks_of_machines_that_answer_are_asked_at_the_same_time(asked: list[dict[str, Any]]) -> None:
    disks = {"a": lambda: "it was removed", "b": lambda: "", "d": lambda: "never asked"}
    question = early(disks)
    machines = question.after({"repository": lambda: None, "a": lambda: None, "b": lambda: None, "d": lambda: "off"})
    assert [machines[name]() for name in ("repository", "a", "b", "d")] == [None, None, None, "off"]
    wait_until(lambda: question.result()["refusals"] == {"a": "it was removed", "b": ""}, "the disks to answer", 10)
    assert len(asked) == 1


@pytest.mark.usefixtures("asked")
def test_a_disk_that_hangs_is_not_waited_for() -> None:
    hangs = threading.Event()
    question = early({"a": lambda: str(hangs.wait(30))})
    for ask in question.after({"repository": lambda: None, "a": lambda: None}).values():
        ask()
    try:
        assert question.result()["refusals"] == {}
    finally:
        hangs.set()


def test_the_repository_host_is_entered_first(monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, Any]]) -> None:
    monkeypatch.setattr(_early_question, "HEAD_START", 30)
    entered: list[str] = []

    def enter(name: str) -> None:
        entered.append(name)

    question = early()
    machines = question.after({name: partial(enter, name) for name in ("a", "repository")})
    assert _machines.ask_all(machines) == {"a": None, "repository": None}
    assert entered == ["repository", "a"]
    assert question.result()["answer"] == ANSWER
    assert len(asked) == 1


@pytest.mark.parametrize("machines", [{"repository": 30.0, "a": 0.0}, {"a": 0.0}], ids=["hangs", "is a container"])
def test_it_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch, machines: dict[str, float]) -> None:
    monkeypatch.setattr(_early_question, "HEAD_START", 0.05 if "repository" in machines else 30)
    hangs, entered = threading.Event(), threading.Event()

    def enter(name: str) -> str | None:
        if name == "a":
            entered.set()
            return None
        return str(hangs.wait(machines[name]))

    asks = early().after({name: partial(enter, name) for name in machines})
    waiting = threading.Thread(target=_machines.ask_all, args=(asks,), daemon=True)
    waiting.start()
    try:
        assert entered.wait(10)
    finally:
        hangs.set()
        waiting.join(10)


def test_a_question_that_fails_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_given: object) -> None:
        raise AnsibleError("two primaries")

    monkeypatch.setattr(_machines, "run_program", fail)
    question = early()
    question.start()
    assert question.result() == {}


@pytest.mark.usefixtures("asked")
def test_an_answer_goes_out_of_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine took long to answer, and who is primary may have changed meanwhile."""
    monkeypatch.setattr(_early_question, "FRESH", -1)
    question = early()
    question.start()
    assert question.result() == {}


def test_it_counts_where_the_same_nodes_are_known_to_be_down() -> None:
    found = topology_of({"unreachable": DOWN, "answer": ANSWER}, DOWN)
    assert found is not None
    assert found.as_dict() == ANSWER
    assert topology_of({"unreachable": DOWN, "answer": ANSWER}, {}) is None
    assert topology_of({}, {}) is None
