"""A machine whose Python is too old is refused by name, before anything is touched."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ansible.playbook.play_context import PlayContext

from ansible_collections.relevo.postgres.plugins.action import inventory_check
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes import python_version
from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, ""),
        ({"db1": (3, 11), "db2": (3, 13), "db3": (4, 0)}, ""),
        # It did not say: it may be down, which others have words for.
        ({"db1": None}, ""),
        # Ubuntu 22.04 and Debian 11.
        ({"db1": (3, 10), "db2": (3, 9), "db3": (3, 11)}, "db1 has Python 3.10, db2 has Python 3.9, and 3.11 is the"),
        ({"db1": (2, 7)}, "db1 has Python 2.7"),
    ],
)
def test_which_machines_are_refused(found: dict[str, tuple[int, int] | None], words: str) -> None:
    said = python_version.refusal(found)
    assert said.startswith(words)
    assert bool(said) is bool(words)
    assert not said or "Nothing was touched" in said


@pytest.mark.parametrize(
    ("named", "has_server", "asked"),
    [
        (None, True, ["/usr/bin/python3"]),
        ("/usr/bin/python3", True, ["/usr/bin/python3"]),
        # The start guard runs with the system's, whatever the inventory names.
        ("/opt/python3.12", True, ["/opt/python3.12", "/usr/bin/python3"]),
        ("/opt/python3.12", False, ["/opt/python3.12"]),
        (None, False, ["/usr/bin/python3"]),
    ],
)
def test_which_python_is_asked(named: str | None, has_server: bool, asked: list[str]) -> None:
    assert python_version.interpreters(named, has_server) == asked


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("Welcome\nrelevo-python 3 11\n", (3, 11)),
        ("relevo-python 3 12\nrelevo-python 3 10\n", (3, 10)),
        ("", None),
        ("Python 3.10.1\n", None),
    ],
)
def test_what_a_machine_says(output: str, version: tuple[int, int] | None) -> None:
    assert python_version.version_in(output) == version


def test_a_shell_can_be_asked_it() -> None:
    command = python_version.question(["/no such/python3", sys.executable])
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert python_version.version_in(done.stdout) == sys.version_info[:2]


def test_the_oldest_is_that_of_the_project() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    said = ".".join(map(str, python_version.OLDEST))
    assert project["tool"]["mypy"]["python_version"] == said
    assert f"Nodes need Python {said} or newer" in (ROOT / "docs/reference/platforms.md").read_text()


@pytest.mark.parametrize("wanted", [True, False])
def test_only_machines_are_asked_and_only_where_a_play_says_so(monkeypatch: pytest.MonkeyPatch, wanted: bool) -> None:
    """A container has its own; in an emergency nobody asks."""
    asked: list[str] = []

    def execute(name: str, _variables: object, _context: object, command: str) -> tuple[int, str, str]:
        asked.append(name)
        assert "/usr/bin/python3" in command
        return 0, "relevo-python 3 10\n", ""

    monkeypatch.setattr(_machines, "execute", execute)
    checked = inventory_check.ActionModule.__new__(inventory_check.ActionModule)
    checked._play_context = PlayContext()
    node = {"node_service_manager": "systemd"}
    hosts = {"a": node | {"node_preferred_primary": True}, "repo": node | {"node_kind": "docker"}}
    checked._task_vars = {"groups": {"postgres": ["a"], "pgbackrest": ["repo"]}, "hostvars": hosts}
    options = {"groups": ["postgres"], "cluster": "", "choice": "one", "proxies": True, "names": "ignore", "others": []}
    if wanted:
        with pytest.raises(RelevoError, match=r"^a has Python 3.10, and 3.11"):
            checked.work(options | {"python": True})
    else:
        checked.work(options | {"python": False})
    assert asked == ["a"] * wanted
