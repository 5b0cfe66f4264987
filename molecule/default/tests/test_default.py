"""The cluster that the default scenario made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testinfra.host import Host


@pytest.mark.parametrize(("name", "in_recovery"), [("primary", "f"), ("standby", "t")])
def test_postgresql_answers_over_its_socket_without_a_password(
    node: Callable[[str], Host], name: str, in_recovery: str
) -> None:
    command = node(name).run("psql -U postgres -d postgres -XAtc 'SELECT pg_is_in_recovery()'")
    assert (command.rc, command.stdout.strip()) == (0, in_recovery), command.stderr
