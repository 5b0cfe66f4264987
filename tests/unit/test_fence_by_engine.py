"""The fence of containers by an engine that fails at something: what is proved counts, and what is lost is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext
from segments import SIZE, named, segment

from ansible_collections.relevo.postgres.plugins.action import pg_fence
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover.fence_plan import FenceRequest
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.offline_node import (
    SALVAGE_DIRECTORY,
    FileStream,
    Proof,
)
from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines, _offline_nodes

REQUEST = FenceRequest(
    primary="a",
    candidate="b",
    timeline=1,
    requested_by="test",
    means=dict.fromkeys("abc", "engine"),
    repository="r",
    record_possible=True,
)
WAL = "/data/pg_wal"


class Container:
    """A container whose engine fails at each of ``fails`` as often as it says there; a negative number is for ever."""

    def __init__(self, name: str, **fails: int) -> None:
        self.name, self.fails = name, fails
        self.files = {f"{WAL}/{named(number)}": segment(named(number)) for number in (3, 4)}
        self.marker: str | None = None
        self.read: list[str] = []

    def _try(self, what: str) -> None:
        if self.fails.get(what, 0):
            self.fails[what] -= 1
            raise RelevoError(f"The engine failed at the {what} of {self.name}.")

    def state(self) -> str:
        return "running"

    def fence(self) -> bool:
        self._try("fence")
        return True

    def prove_stopped(self) -> Proof:
        self._try("proof")
        return Proof(True, "Docker says so")

    def read_marker(self) -> str | None:
        return self.marker

    def write_marker(self, text: str) -> None:
        self._try("marker")
        self.marker = text

    def wal_directory(self) -> str:
        return WAL

    @contextmanager
    def read_file(self, path: str) -> Iterator[FileStream | None]:
        self.read.append(path.rpartition("/")[2])
        self._try(path.rpartition(".")[2] if path.endswith(".history") else path.rpartition("/")[2][-1])
        data = self.files.get(path)
        yield None if data is None else FileStream(len(data), iter([data]))

    def write_file(self, path: str, stream: FileStream) -> None:
        data = b"".join(stream.chunks)
        self._try("write")
        self.files[path] = data


Fence = Callable[..., dict[str, Any]]


@pytest.fixture
def fence(monkeypatch: pytest.MonkeyPatch) -> Fence:
    """What the action returns; ``a``, ``b`` and ``c`` say at what the engine fails for those."""

    def run(force: bool = False, unreachable: tuple[str, ...] = (), **fails: dict[str, int]) -> dict[str, Any]:
        nodes = {name: Container(name, **fails.get(name, {})) for name in "abc"}
        records: list[str] = []

        def program(name: str, *_given: object) -> dict[str, Any]:
            records.append(name)
            return {}

        monkeypatch.setattr(_offline_nodes, "offline_node_of", lambda name, *_given: nodes[name])
        monkeypatch.setattr(_machines, "run_program", program)
        action: Any = object.__new__(pg_fence.ActionModule)
        action._options = {"salvage_from": named(3), "fence_command": [], "fence_timeout": 60, "fence_living": False}
        action._kinds = dict.fromkeys("abc", "docker")
        action._run_id, action._of_machine = "a-1", {}
        action._task = SimpleNamespace(check_mode=False)
        action._task_vars, action._play_context = {"hostvars": {"r": {}}}, PlayContext()
        done: dict[str, Any] = action._fence_all(replace(REQUEST, force=force, unreachable=unreachable))
        arrived = [name for name in nodes["b"].files if name.startswith(SALVAGE_DIRECTORY)]
        return done | {
            "arrived": [name.rpartition("/")[2] for name in arrived],
            "records": len(records),
            "read": nodes["a"].read,
        }

    return run


def test_nothing_is_in_the_way(fence: Fence) -> None:
    done = fence(unreachable=("c",))
    assert (done["arrived"], done["wal"]["bytes"]) == ([named(3), named(4)], 2 * SIZE)
    assert (done["wal"]["interrupted"], done["records"], sorted(done["stopped"])) == (False, 0, ["a", "c"])
    assert (done["archived_from"], done["newer_timeline"]) == ("", 0)


def test_in_check_mode_nothing_is_done_and_the_promotion_has_all_it_is_decided_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nodes = {name: Container(name, fence=-1) for name in "ab"}
    monkeypatch.setattr(_offline_nodes, "offline_node_of", lambda name, *_given: nodes[name])
    action: Any = object.__new__(pg_fence.ActionModule)
    action._task = SimpleNamespace(check_mode=True)
    named_in_request = ("primary", "candidate", "timeline", "requested_by", "repository")
    given = {name: getattr(REQUEST, name) for name in named_in_request}
    done = action.work(
        given
        | {"salvage_from": named(3), "kinds": dict.fromkeys("abc", "docker"), "unreachable": [], "answering": ["b"]}
        | {"repository_answers": True, "fence_command": [], "fence_timeout": 60, "fence_living": False, "force": False}
    )
    assert nodes["a"].marker is None
    assert done == {
        "changed": True,
        "proved": False,
        "evidence": "check mode: nothing was done",
        "marked": False,
        "stopped": {},
        "wal": {},
        "newer_timeline": 0,
        "archived_from": named(3),
    }


def test_a_machine_is_not_switched_off_where_no_record_could_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a bucket there is no place for one: its record would have failed after the fence."""
    asked = []

    def run(name: str, _variables: object, _context: object, entry: str, question: Any, _limit: float) -> None:
        asked.append((name, entry, question["nodes"], question["state"], question["check_mode"]))
        raise AnsibleError("No record of a fence can be kept here: a bucket.")

    monkeypatch.setattr(_machines, "run_program", run)
    monkeypatch.setattr(pg_fence.ActionModule, "_fence_all", lambda _self, _request: pytest.fail("it was fenced"))
    action: Any = object.__new__(pg_fence.ActionModule)
    action._task = SimpleNamespace(check_mode=False)
    action._task_vars, action._play_context = {"hostvars": {"r": {}}}, PlayContext()
    named_in_request = ("primary", "candidate", "timeline", "requested_by", "repository")
    given = {name: getattr(REQUEST, name) for name in named_in_request}
    given |= {"salvage_from": "", "kinds": dict.fromkeys("abc", "ssh"), "unreachable": [], "answering": ["b"]}
    given |= {"repository_answers": True, "fence_command": ["off"], "fence_timeout": 60, "fence_living": False}
    with pytest.raises(RelevoError, match="can be kept here: a bucket.*Nothing was touched"):
        action.work(given | {"force": False})
    assert asked == [("r", "_repository.fence_record_here", ["a"], "tried", False)]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_answer_of_the_repository_host_is_asked_for_once_more(
    monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    left = lost

    def run(*_given: object) -> dict[str, Any]:
        nonlocal left
        left -= 1
        if left >= 0:
            raise _machines.LostAnswerError("without an answer.")
        return {}

    monkeypatch.setattr(_machines, "run_program", run)
    action: Any = object.__new__(pg_fence.ActionModule)
    action._task = SimpleNamespace(check_mode=False)
    action._task_vars, action._play_context = {"hostvars": {"r": {}}}, PlayContext()
    assert action._leave_record(REQUEST).startswith("without an answer; it may still be") is (lost == 2)


@pytest.mark.parametrize("step", ["fence", "proof", "marker", "history", "3", "4"])
def test_an_answer_that_is_lost_once_costs_nothing(fence: Fence, step: str) -> None:
    done = fence(a={step: 1})
    assert (done["wal"]["segments"], done["wal"]["interrupted"]) == ([named(3), named(4)], False)
    assert done["marked"]


@pytest.mark.parametrize("where", [{"a": {"4": -1}}, {"b": {"write": -1}}])
@pytest.mark.parametrize("force", [False, True])
def test_wal_that_cannot_be_taken_is_told_and_ends_nothing(
    fence: Fence, force: bool, where: dict[str, dict[str, int]]
) -> None:
    done = fence(force=force, **where)
    assert (done["proved"], done["wal"]["interrupted"]) == (True, True)
    assert done["wal"]["segments"] == done["arrived"] == ([named(3)] if "a" in where else [])
    assert done["wal"]["ended"].startswith("The engine failed at the ")
    assert done["archived_from"] == named(3)


def test_a_disk_that_does_not_say_how_far_its_history_goes_is_risked_by_force_alone(fence: Fence) -> None:
    with pytest.raises(RelevoError, match="^a is stopped, and its disk does not say .* Nobody was promoted"):
        fence(a={"history": -1})
    done = fence(force=True, a={"history": -1})
    assert (done["wal"]["segments"], done["wal"]["interrupted"]) == ([], True)
    assert done["wal"]["ended"] == "The engine failed at the history of a"


@pytest.mark.parametrize("step", ["fence", "proof"])
def test_without_the_engines_word_there_is_no_proof(fence: Fence, step: str) -> None:
    words = rf"^a could not be proved to be stopped \(The engine failed at the {step} of a\)\. Nobody was promoted\."
    with pytest.raises(RelevoError, match=words):
        fence(a={step: -1})
    done = fence(force=True, a={step: -1})
    assert (done["proved"], done["stopped"], done["wal"]) == (False, {}, {})
    assert (done["archived_from"], done["newer_timeline"]) == (named(3), 0)


def test_a_disk_that_cannot_be_marked_has_a_record_in_its_place(fence: Fence) -> None:
    done = fence(a={"marker": -1})
    assert (done["proved"], done["marked"], done["recorded"], done["records"]) == (True, False, True, 1)
    assert done["arrived"] == [named(3), named(4)], "it is full, and can be read"
    with pytest.raises(RelevoError, match="^a is stopped, and its disk does not say .* Nobody was promoted"):
        fence(a={"marker": -1, "history": -1})


def test_what_a_first_attempt_brought_is_not_brought_again(fence: Fence) -> None:
    """The second one goes on behind it, so that one which ends sooner leaves no hole."""
    done = fence(a={"4": 1})
    assert (done["wal"]["segments"], done["wal"]["bytes"]) == ([named(3), named(4)], 2 * SIZE)
    assert [name for name in done["read"] if not name.endswith(".history")] == [named(3), named(4), named(4), named(5)]


@pytest.mark.parametrize("step", ["fence", "marker", "history"])
def test_another_node_of_which_nothing_is_known_is_risked_by_force_alone(fence: Fence, step: str) -> None:
    with pytest.raises(RelevoError, match="^c does not answer, and could not be proved to be stopped"):
        fence(unreachable=("c",), c={step: -1})
    assert fence(force=True, unreachable=("c",), c={step: -1})["proved"]
