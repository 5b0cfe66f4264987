"""What a node prints when a file is carried, whatever sudo or the engine do to it."""

from __future__ import annotations

import pytest

from ansible_collections.relevo.postgres.plugins.action.node_transfer import ATTEMPTS, BEGIN, END, Node
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError


def node(*answers: str) -> Node:
    """A node that prints these, one after the other."""
    made, left = Node.__new__(Node), list(answers)
    made.name = "db1"
    made.run = lambda command, stdin=b"": left.pop(0)  # type: ignore[method-assign]
    return made


@pytest.mark.parametrize(
    "printed",
    [
        f"{BEGIN}\n2238\n{END}\n",
        f"{BEGIN}\r\n2238\r\n{END}\r\n",
        f"sudo: unable to resolve host db1: Name or service not known\r\n\r\n{BEGIN}\r\n2238\r\n{END}\r\n",
    ],
)
def test_the_answer_is_what_the_command_printed(printed: str) -> None:
    assert node(printed).ask("stat") == "2238"


def test_a_lost_answer_is_asked_for_again() -> None:
    assert node("", f"{BEGIN}\n22", f"{BEGIN}\n2238\n{END}").ask("stat") == "2238"
    with pytest.raises(RelevoError, match="db1 prints nothing"):
        node(*[""] * ATTEMPTS).ask("stat")
