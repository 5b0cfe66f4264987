"""A program on a machine that no task of the play is delegated to: as whom it runs, and what becomes of its answer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader, connection_loader

from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.plugin_utils import (
    _machines,
    _membership,
    _node_program,
    _witnesses,
)
from ansible_collections.relevo.postgres.plugins.plugin_utils._early_question import EarlyQuestion


def command_of(variables: dict[str, Any]) -> str:
    context = PlayContext()
    connection = connection_loader.get("ssh", context, None)
    return _machines.as_become_user(connection, variables, context, "python3 -")


def test_the_variables_of_the_host_say_as_whom_it_runs() -> None:
    assert command_of({}) == "python3 -"
    assert command_of({"ansible_become": "false"}) == "python3 -"
    said = command_of({"ansible_become": True, "ansible_become_password": "hidden"})
    assert said.startswith("sudo ")
    assert "-u root" in said
    assert "python3 -" in said
    assert "hidden" not in said
    assert "-u other" in command_of({"ansible_become": True, "ansible_become_user": "other"})


def test_a_method_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(become_loader, "get", lambda _name: None)
    with pytest.raises(AnsibleError, match="there is no become plugin magic"):
        command_of({"ansible_become": True, "ansible_become_method": "magic"})


class Machine:
    """A connection that gives this answer ``after`` seconds."""

    def __init__(self, code: int, output: str, said: str = "", after: float = 0.0) -> None:
        self.answer, self.after, self.closed = (code, output.encode(), said.encode()), after, False

    def exec_command(self, command: str, in_data: bytes, sudoable: bool) -> tuple[int, bytes, bytes]:
        assert (command, sudoable) == ("python3 -", True)
        time.sleep(self.after)
        return self.answer

    def close(self) -> None:
        self.closed = True


def run(monkeypatch: pytest.MonkeyPatch, machine: Machine, deadline: float = 5) -> dict[str, Any]:
    monkeypatch.setattr(_machines, "connect", lambda *_arguments, **_options: machine)
    question = {"node": "a", "service_manager": "systemd", "files": {}}
    return _machines.run_program("a", {}, PlayContext(), "_nodes.receive_here", question, deadline)


def test_its_answer_is_found_in_what_a_login_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(0, f"Welcome!\n{_node_program.MARK}{json.dumps({'written': 0})}\n")
    assert run(monkeypatch, machine) == {"written": 0}
    assert machine.closed


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (
            Machine(0, _node_program.MARK + json.dumps({"failed": True, "msg": "The disk is full."})),
            "The disk is full.",
        ),
        (
            Machine(1, "", "sudo: a password\nis required"),
            "ended with status 1 and without an answer: sudo: a password is",
        ),
        (Machine(127, ""), "ended with status 127 and without an answer: it printed nothing"),
        (Machine(0, "", after=2), "a did not answer within 0.1 s"),
    ],
)
def test_what_is_no_answer_is_an_error(monkeypatch: pytest.MonkeyPatch, machine: Machine, words: str) -> None:
    with pytest.raises(AnsibleError, match=words):
        run(monkeypatch, machine, 0.1 if machine.after else 5)


# --- in whose thread its variables are read --------------------------------------------------------------------------


class Templates(dict[str, Any]):
    """The variables of a host, whose templates are filled in when they are read: by one thread only.

    Seen with a password that a lookup gives: of three machines that were asked at once one "could not be reached",
    since "the lookup plugin ansible.builtin.file failed to load".
    """

    def __init__(self, **values: Any) -> None:
        super().__init__(values)
        self.mine = threading.current_thread()
        self.read: set[str] = set()

    def _look(self, name: str) -> None:
        assert threading.current_thread() is self.mine, f"{name} was read by another thread"
        self.read.add(name)

    def __getitem__(self, name: str) -> Any:
        self._look(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._look(name)
        return super().get(name, default)


class Failing(Templates):
    """The lookup of its password fails."""

    def _look(self, name: str) -> None:
        super()._look(name)
        if name == "ansible_password":
            raise AnsibleError("the vault is sealed")


GIVEN = {
    "ansible_connection": "ssh",
    "ansible_host": "127.0.0.1",
    "ansible_port": 1,
    "ansible_password": "x",
    "ansible_become": True,
    "ansible_become_password": "x",
}
ENTERED: list[tuple[str, Callable[[Templates], Callable[[], object]], object]] = [
    ("asker", lambda host: _machines.asker("a", host, PlayContext()), "the vault is sealed"),
    ("witness", lambda host: _witnesses.on_node("a", host, PlayContext(), Peer("b", "b")), "none"),
    ("membership", lambda host: _membership.asker("a", host, PlayContext()), ""),
    ("early", lambda host: early(host), {}),
]


def early(host: Templates) -> Callable[[], object]:
    question = EarlyQuestion("a", host, PlayContext(), [{"name": "b", "host": "b", "port": 5432}], {}, {})

    def ask() -> object:
        question.start()
        return question.result()

    return ask


@pytest.mark.parametrize(("name", "made", "without"), ENTERED, ids=[name for name, _made, _without in ENTERED])
def test_whoever_enters_in_a_thread_reads_no_template_there(
    monkeypatch: pytest.MonkeyPatch, name: str, made: Callable[[Templates], Callable[[], object]], without: object
) -> None:
    entered: list[dict[str, Any]] = []

    def execute(_name: str, variables: dict[str, Any], *_given: object, **_options: object) -> tuple[int, str, str]:
        # A copy, and not the variables themselves, which somebody else may be reading.
        assert type(variables) is dict
        entered.append(variables)
        raise AnsibleError("refused")

    monkeypatch.setattr(_machines, "execute", execute)
    host = Templates(**GIVEN)
    ask = made(host)
    with ThreadPoolExecutor() as pool:
        pool.submit(ask).result()
    assert entered[0] == GIVEN
    # A password that cannot be looked up keeps this one from being entered, and nothing else.
    assert made(Failing(**GIVEN))() == without
    assert len(entered) == 1, name
