# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpkg and apt say of a node's packages, and whether a process runs what is on the disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._server import software
from ansible_collections.relevo.postgres.plugins.module_utils._server.software import (
    belongs,
    candidates_in,
    installed_in,
    is_server,
    packages,
    release,
    runs_replaced,
    upgrades,
)

#: As apt of Debian 13 prints it, with what it says of a package from another architecture and of one that is unknown.
POLICY = """\
libpq5:
  Installed: 17.6-0+deb13u1
  Candidate: 17.7-0+deb13u1
  Version table:
     17.7-0+deb13u1 500
        500 http://deb.example.org/debian trixie/main amd64 Packages
 *** 17.6-0+deb13u1 100
        100 /var/lib/dpkg/status
pgbackrest:
  Installed: 2.55.1-1
  Candidate: 2.55.1-1
  Version table:
 *** 2.55.1-1 500
        500 http://deb.example.org/debian trixie/main amd64 Packages
mine:
  Installed: (none)
  Candidate: (none)
  Version table:
"""
LISTED = (
    "libpq5\t17.6-0+deb13u1\tinstalled\npgbackrest\t2.55.1-1\thalf-configured\ngone\t1\tconfig-files\nnever\t\tnot-installed\n"
    "tree\t2\tinstalled\npostgresql-17-cron\t1.6-1\tinstalled\npostgresql-16\t16.1-1\tinstalled\n"
)


@pytest.mark.parametrize(
    ("package", "is_part", "is_the_server"),
    [
        ("postgresql-17", True, True),
        ("postgresql-17-cron", True, True),
        ("postgresql-client-17", True, False),
        ("postgresql-common", True, False),
        ("libpq5", True, False),
        ("pgbackrest", True, False),
        ("tree", True, False),
        ("postgresql-16", False, False),
        ("postgresql-client-16", False, False),
        ("bash", False, False),
    ],
)
def test_which_packages_are_a_node_s(package: str, is_part: bool, is_the_server: bool) -> None:
    assert belongs(package, "17", ["tree"]) is is_part
    assert is_server(package, "17") is is_the_server


def test_what_the_programs_print_is_read() -> None:
    assert candidates_in(POLICY) == {"libpq5": "17.7-0+deb13u1", "pgbackrest": "2.55.1-1"}
    assert list(installed_in(LISTED)) == ["libpq5", "pgbackrest", "tree", "postgresql-17-cron", "postgresql-16"]


@pytest.mark.parametrize(
    ("version", "its"),
    [
        ("2.55.1-1", "2.55.1"),
        ("2.55.1-1.pgdg13+1", "2.55.1"),
        ("1:2.60.0~rc1-1", "2.60.0"),
        ("2.56.0", "2.56.0"),
        ("what", "what"),
    ],
)
def test_the_version_of_a_program(version: str, its: str) -> None:
    assert release(version) == its


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, str]]:
    """What each program ends with, and prints."""
    answers = {
        "dpkg-query --show": (0, LISTED),
        "apt-cache policy": (0, POLICY),
        "apt-mark showhold": (0, "bash\nlibpq5\n"),
        "dpkg --audit": (0, ""),
        "dpkg --compare-versions": (1, ""),
        "dpkg --compare-versions 17.7-0+deb13u1": (0, ""),
    }

    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        key = max((one for one in answers if " ".join(command).startswith(one)), key=len)
        code, text = answers[key]
        return subprocess.CompletedProcess(command, code, text if code == 0 else "", text)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return answers


def test_a_node_is_asked(said: dict[str, tuple[int, str]]) -> None:
    found = packages("17", ["tree"])
    assert list(found.installed) == ["libpq5", "pgbackrest", "postgresql-17-cron", "tree"]
    assert found.newer == {"libpq5": "17.7-0+deb13u1"}
    assert (found.held, found.interrupted) == (["libpq5"], False)
    said["dpkg --audit"] = (0, "The following packages are only half configured")
    assert packages("17").interrupted


def test_pgbackrest_is_no_package_that_one_host_gets_alone() -> None:
    assert upgrades({"libpq5": "17.7-1", "pgbackrest": "2.56.0-1"}) == ["libpq5=17.7-1"]


def test_a_question_without_an_answer_fails(said: dict[str, tuple[int, str]]) -> None:
    said["apt-cache policy"] = (100, "E: The package lists could not be parsed")
    with pytest.raises(RelevoError, match="apt-cache policy failed on this node: E: The package lists"):
        packages("17")


def test_where_there_is_no_dpkg_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert packages("17") == software.Packages({}, {}, [], False)


def test_a_process_runs_what_it_was_started_from(tmp_path: Path) -> None:
    program = tmp_path / "sleeper"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([str(program), "60"]) as process:
        try:
            assert not runs_replaced(process.pid, program)
            # As dpkg does it.
            shutil.copy("/bin/sleep", tmp_path / "new")
            (tmp_path / "new").rename(program)
            assert runs_replaced(process.pid, program)
            program.unlink()
            assert runs_replaced(process.pid, program)
        finally:
            process.kill()
    assert not runs_replaced(None, program)
    assert not runs_replaced(os.getpid(), program, tmp_path)
