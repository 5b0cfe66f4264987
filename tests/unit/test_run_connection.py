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


def extra_arguments(name: str, **variables: object) -> str:
    connection = _machines.connect(name, VARIABLES | variables, PlayContext())
    return str(connection.get_option("ssh_extra_args"))


def options_of(arguments: str) -> dict[str, str]:
    """What ssh makes of these arguments."""
    done = subprocess.run(
        ["ssh", "-G", "-F", "none", *shlex.split(arguments), "db1.example"], capture_output=True, text=True, check=True
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", ["cp", "with a space", "100%"])
def test_ssh_shares_one_in_the_folder_of_ansibles_own(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    found = options_of(extra_arguments("db1", ansible_control_path_dir=str(folder)))
    path = Path(found["controlpath"])
    assert path.parent == folder
    assert len(path.name) == 10
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (found["controlmaster"], found["controlpersist"]) == ("auto", "60")
    assert (found["serveraliveinterval"], found["serveralivecountmax"]) == ("1", "5")


def test_another_machine_at_the_same_address_and_another_run_have_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = {"ansible_control_path_dir": str(tmp_path)}
    first = extra_arguments("db1", **folder)
    assert extra_arguments("db1", **folder) == first
    assert extra_arguments("db2", **folder) != first
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", "/tmp/another")
    assert extra_arguments("db1", **folder) != first


def test_what_the_user_gives_stays_and_comes_first(tmp_path: Path) -> None:
    own = {"ansible_ssh_extra_args": "-o ControlPath=own", "ansible_control_path_dir": str(tmp_path)}
    given = extra_arguments("db1", **own)
    assert given.startswith("-o ControlPath=own -o ControlMaster=auto ")
    assert options_of(given)["controlpath"] == "own"


def test_one_that_is_to_be_alone_shares_nothing() -> None:
    connection = _machines.connect("db1", VARIABLES, PlayContext(), alone=True)
    given = connection.get_option("ssh_extra_args")
    assert given == f"-o ControlPath=none {_run_connection.ALIVE}"
    # ssh itself prints nothing for a path that is "none".
    assert "controlpath" not in options_of(given)


def test_the_connection_of_a_task_takes_part_once_where_it_is_one_of_ssh(tmp_path: Path) -> None:
    connection = connection_loader.get("ssh", PlayContext(), None)
    connection.set_options(var_options={"ansible_control_path_dir": str(tmp_path)})
    for _question in range(2):
        _run_connection.use(connection, "db1")
    assert connection.get_option("ssh_extra_args") == extra_arguments("db1", ansible_control_path_dir=str(tmp_path))
    other = connection_loader.get("local", PlayContext(), None)
    # It has no such option.
    _run_connection.use(other, "db1")
