"""The fence of a machine over its connection: its WAL is worth much, and the proof that it is stopped is worth more."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext

from ansible_collections.relevo.postgres.plugins.action import pg_fence
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover.fence_plan import FenceRequest
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.fence_here import pack
from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines

FIRST, SECOND = "00000001000000000000000A", "00000001000000000000000B"
STOPPED = {"proved": True, "evidence": "systemd says so", "changed": True, "marked": True, "newer_timeline": 0}
REQUEST = FenceRequest(
    primary="a",
    candidate="b",
    timeline=1,
    requested_by="test",
    means={"a": "service"},
    repository="r",
    record_possible=True,
)

Question = dict[str, Any]
Machine = Callable[[str, str, Question], dict[str, Any]]


def with_wal(name: str, ended: str = "") -> dict[str, Any]:
    wal = {"directory": "/salvage/x", "segments": [name], "bytes": 16, "ended": ended, "following": SECOND}
    return STOPPED | {"wal": wal | {"newer_timeline": 0}, "files": {f"/salvage/x/{name}": pack(b"wal")}}


def fenced(monkeypatch: pytest.MonkeyPatch, machine: Machine, *command: str) -> dict[str, Any]:
    """What the action returns when this answers in the place of the machines."""

    def program(
        name: str, _variables: Any, _context: Any, entry: str, question: Question, _deadline: float
    ) -> dict[str, Any]:
        return {} if entry == "_repository.fence_record_here" else machine(name, entry, question)

    monkeypatch.setattr(_machines, "run_program", program)
    action: Any = object.__new__(pg_fence.ActionModule)
    action._options = {"salvage_from": FIRST, "fence_command": [*command], "fence_timeout": 60, "fence_living": False}
    action._kinds = {"a": "machine", "b": "machine"}
    action._task_vars = {"hostvars": {name: {"node_service_manager": "systemd"} for name in "abr"}}
    action._task = SimpleNamespace(check_mode=False)
    action._play_context, action._run_id, action._of_machine = PlayContext(), "a-1", {}
    done: dict[str, Any] = action._fence_all(REQUEST)
    return done


def test_a_line_that_is_too_slow_for_the_wal_does_not_undo_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    def machine(name: str, _entry: str, question: Question) -> dict[str, Any]:
        if question["salvage_from"]:
            raise AnsibleError(f"{name} did not answer within 60 s")
        return STOPPED | {"newer_timeline": 3}

    done = fenced(monkeypatch, machine)
    assert (done["proved"], done["marked"], done["stopped"]) == (True, True, {"a": "systemd says so"})
    assert (done["wal"]["ended"], done["wal"]["interrupted"]) == ("a did not answer within 60 s", True)
    # The archive is asked instead, and the timeline that only this disk knows is not lost sight of.
    assert (done["wal"]["segments"], done["archived_from"], done["newer_timeline"]) == ([], FIRST, 3)
    assert "directory" not in done["wal"]


def test_a_machine_that_never_answers_is_not_proved_to_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def machine(name: str, _entry: str, _question: Question) -> dict[str, Any]:
        raise AnsibleError(f"{name} did not answer within 60 s")

    with pytest.raises(RelevoError, match="Nobody was promoted"):
        fenced(monkeypatch, machine)


def test_a_candidate_that_takes_no_wal_does_not_undo_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    def machine(_name: str, entry: str, question: Question) -> dict[str, Any]:
        if entry == "_nodes.receive_here":
            raise AnsibleError("b did not answer within 60 s")
        return with_wal(question["salvage_from"])

    done = fenced(monkeypatch, machine)
    assert done["proved"]
    assert (done["wal"]["ended"], done["wal"]["interrupted"]) == ("b did not answer within 60 s", True)
    # What did not arrive is not there to be replayed.
    assert (done["wal"]["segments"], done["wal"]["bytes"]) == ([], 0)


def test_a_line_that_breaks_in_the_middle_leaves_what_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    def machine(name: str, entry: str, question: Question) -> dict[str, Any]:
        if entry == "_nodes.receive_here":
            return {"written": 1}
        if question["salvage_from"] == SECOND:
            raise AnsibleError(f"{name} went away")
        return with_wal(question["salvage_from"])

    done = fenced(monkeypatch, machine)
    assert (done["wal"]["segments"], done["wal"]["ended"]) == ([FIRST], "a went away")


def test_all_of_the_wal_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def machine(_name: str, entry: str, question: Question) -> dict[str, Any]:
        if entry == "_nodes.receive_here":
            written.extend(question["files"])
            return {"written": 1}
        return with_wal(question["salvage_from"], "there is no more" if question["salvage_from"] == SECOND else "")

    done = fenced(monkeypatch, machine)
    assert written == [f"/salvage/x/{name}" for name in (FIRST, SECOND)]
    assert (done["wal"]["segments"], done["wal"]["bytes"]) == ([FIRST, SECOND], 32)
    assert done["wal"]["ended"] == "there is no more"
    assert not {"interrupted", "following"} & set(done["wal"])


def test_a_disk_that_fails_in_the_middle_is_not_one_that_was_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def machine(_name: str, entry: str, question: Question) -> dict[str, Any]:
        if entry == "_nodes.receive_here":
            return {"written": 1}
        if question["salvage_from"] == FIRST:
            return with_wal(FIRST)
        broken = with_wal(SECOND, "B cannot be read")
        broken["wal"] |= {"segments": [], "bytes": 0, "interrupted": True}
        return broken | {"files": {}}

    done = fenced(monkeypatch, machine)
    assert (done["wal"]["segments"], done["wal"]["ended"]) == ([FIRST], "B cannot be read")
    assert done["wal"]["interrupted"]


def test_a_candidate_in_a_container_whose_engine_fails_does_not_undo_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    def engine(*_given: object) -> None:
        raise RelevoError("Writing of b failed: the Docker engine does not answer.")

    monkeypatch.setattr(pg_fence.ActionModule, "_write_on_candidate", engine)
    done = fenced(monkeypatch, lambda _name, _entry, question: with_wal(question["salvage_from"]))
    assert (done["proved"], done["wal"]["segments"], done["wal"]["interrupted"]) == (True, [], True)


@pytest.mark.parametrize(("silence", "proved"), [(None, False), ("Connection refused", True)])
def test_a_command_is_not_believed_of_a_machine_that_still_answers(
    monkeypatch: pytest.MonkeyPatch, silence: str | None, proved: bool
) -> None:
    """It answered when the play began, and could not stop its server."""

    def machine(name: str, _entry: str, _question: Question) -> dict[str, Any]:
        raise AnsibleError(f"{name} did not answer within 60 s")

    monkeypatch.setattr(_machines, "asker", lambda *_given, **_options: lambda: silence)
    if proved:
        assert fenced(monkeypatch, machine, "true")["stopped"] == {"a": "the fence command true ended with status 0"}
        return
    with pytest.raises(RelevoError) as refused:
        fenced(monkeypatch, machine, "true")
    assert "the fence command true ended with status 0, but the machine still answers" in refused.value.message
    assert "Nobody was promoted" in refused.value.message
