"""The question who is primary, asked while the machines are still asked whether they answer."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
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


def early() -> EarlyQuestion:
    return EarlyQuestion("repository", {}, PlayContext(), [{"name": "a", "host": "a", "port": 5432}], DOWN)


def test_those_that_are_known_to_be_down_are_left_out(asked: list[dict[str, Any]]) -> None:
    question = early()
    question.start()
    assert question.result() == {"unreachable": DOWN, "answer": ANSWER}
    assert [one["unreachable"] for one in asked] == [DOWN]


def test_a_machine_is_asked_when_it_has_answered(asked: list[dict[str, Any]]) -> None:
    question, answered = early(), threading.Event()

    def ask() -> None:
        assert asked == []
        answered.set()

    assert question.after(ask)() is None
    assert answered.is_set()
    assert question.result()["answer"] == ANSWER


def test_one_that_does_not_answer_is_asked_nothing(asked: list[dict[str, Any]]) -> None:
    question = early()
    assert question.after(lambda: "refused")() == "refused"
    assert (question.result(), asked) == ({}, [])


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
