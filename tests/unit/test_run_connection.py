"""The SSH connection that the questions of one run share, as ssh itself understands what we give it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from ansible import constants
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader

from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines, _run_connection

VARIABLES = {"ansible_host": "db1.example", "ansible_connection": "ssh"}


def options_of(arguments: str) -> dict[str, str]:
    """What ssh makes of these arguments."""
    done = subprocess.run(
        ["ssh", "-G", "-F", "none", *shlex.split(arguments), "db1.example"], capture_output=True, text=True, check=True
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", ["ansible-local-1", "with a space", "100%"])
def test_ssh_shares_one_in_the_folder_of_the_run(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = f"/tmp/{name}"
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", folder)
    found = options_of(_run_connection.ssh_arguments())
    path = Path(found["controlpath"])
    assert str(path.parent) == folder
    assert len(path.name) == 40
    assert (found["controlmaster"], found["controlpersist"]) == ("auto", "60")
    assert (found["serveraliveinterval"], found["serveralivecountmax"]) == ("3", "3")


def test_a_folder_whose_name_leaves_no_room_for_a_socket_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", f"/{'a' * 60}")
    # ssh itself prints nothing for a path that is "none".
    assert "controlpath" not in options_of(_run_connection.ssh_arguments())
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", f"/{'a' * 48}")
    assert "controlpath" in options_of(_run_connection.ssh_arguments())


def test_what_the_user_gives_stays_and_comes_first() -> None:
    connection = _machines.connect("db1", VARIABLES | {"ansible_ssh_extra_args": "-o ControlPath=own"}, PlayContext())
    given = connection.get_option("ssh_extra_args")
    assert given == f"-o ControlPath=own {_run_connection.ssh_arguments()}"
    assert options_of(given)["controlpath"] == "own"


def test_the_connection_of_a_task_takes_part_where_it_is_one_of_ssh() -> None:
    for kind in ("ssh", "local"):
        connection = connection_loader.get(kind, PlayContext(), None)
        connection.set_options(var_options={})
        _run_connection.use(connection)
        if kind == "ssh":
            assert connection.get_option("ssh_extra_args") == _run_connection.ssh_arguments()
