# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpkg and apt say of a node's packages, and whether a process runs what is on the disk."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._server import software
from ansible_collections.relevo.postgres.plugins.module_utils._server.software import (
    belongs,
    candidates_in,
    dpkg_log,
    in_use,
    installed_in,
    is_server,
    newer_than,
    packages,
    release,
    runs_replaced,
    unfinished_in,
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


@pytest.mark.parametrize(
    ("state", "unfinished"),
    [
        ("installed", False),
        ("config-files", False),
        ("not-installed", False),
        ("half-installed", True),
        ("unpacked", True),
        ("half-configured", True),
        ("triggers-awaited", True),
        ("triggers-pending", True),
    ],
)
def test_what_dpkg_has_not_finished_with(state: str, unfinished: bool) -> None:
    assert bool(unfinished_in(f"bash\t5\tinstalled\nlibpq5\t17\t{state}\n")) is unfinished


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
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, tuple[int, str]]:
    """What each program ends with, and prints."""
    monkeypatch.setattr(software, "DPKG", tmp_path)
    answers = {
        "dpkg-query --show": (0, LISTED.replace("half-configured", "installed")),
        "apt-cache policy": (0, POLICY),
        "apt-mark showhold": (0, "bash\nlibpq5\n"),
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
    said["dpkg-query --show"] = (0, LISTED)
    assert packages("17").interrupted


def locked(lock: Path) -> subprocess.Popen[str]:
    """Another process that works with packages, as apt does it; it has the lock once it has said so."""
    program = (
        "import fcntl, sys\nfile = open(sys.argv[1], 'w')\nfcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('has it', flush=True)\ninput()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "has it\n"
    return process


@pytest.mark.parametrize("name", software.LOCKS)
def test_a_running_apt_has_not_been_cut_off(tmp_path: Path, name: str) -> None:
    assert not in_use(tmp_path)
    (tmp_path / name).touch()
    assert not in_use(tmp_path)
    with locked(tmp_path / name) as process:
        assert in_use(tmp_path)
        process.communicate("\n")
    assert not in_use(tmp_path)
    # Nobody is kept from it by the question.
    with (tmp_path / name).open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_who_works_with_packages_is_waited_for(
    said: dict[str, tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    said["dpkg-query --show"] = (0, LISTED)
    monkeypatch.setattr(software, "in_use", lambda _directory: True)
    assert not packages("17").interrupted
    with pytest.raises(
        RelevoError, match=r"Timed out after 0\.1 s waiting for another process that works with the pack"
    ):
        packages("17", wait=0.1)
    # It has begun while dpkg was asked.
    answers = iter([False, False, True])
    monkeypatch.setattr(software, "in_use", lambda _directory: next(answers))
    assert not packages("17", wait=1).interrupted


def test_what_dpkg_left_in_its_journal(said: dict[str, tuple[int, str]], tmp_path: Path) -> None:
    assert said
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates" / "tmp.i").touch()
    assert not packages("17").interrupted
    (tmp_path / "updates" / "0001").touch()
    assert packages("17").interrupted


def test_what_was_installed_since_the_server_began(tmp_path: Path) -> None:
    def unpacked(name: str, when: float) -> None:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (when, when))

    here = ["libpq5", "postgresql-17", "postgresql-17-cron", "postgresql-17-lists"]
    for name in ("libpq5:amd64.list", "postgresql-17.list", "postgresql-17-cron.list"):
        unpacked(name, 1000)
    assert newer_than(here, "17", 2000, 3000, tmp_path) == []
    # What is not the server's does not count, nor what is dated tomorrow.
    unpacked("libpq5:amd64.list", 2500)
    unpacked("postgresql-17.list", 3001)
    assert newer_than(here, "17", 2000, 3000, tmp_path) == []
    unpacked("postgresql-17-cron.list", 2500)
    unpacked("postgresql-17-lists:arm64.list", 2001)
    assert newer_than(here, "17", 2000, 3000, tmp_path) == ["postgresql-17-cron", "postgresql-17-lists"]
    assert newer_than(here, "17", None, 3000, tmp_path) == []
    assert newer_than(here, "17", 2600, 3000, tmp_path) == []


@pytest.mark.parametrize(
    ("log", "owed"),
    [
        ("2026-11-25 12:00:00 install postgresql-17-cron:amd64 <none> 1.6-1\n", False),
        # It was there before; or nobody can tell what the server has seen of it.
        ("2026-11-25 12:00:00 upgrade postgresql-17-cron:amd64 1.6-1 1.6-2\n", True),
        ("2026-11-25 12:00:00 upgrade postgresql-17-cron:amd64 1.6-2 1.6-1\n", True),
        ("2026-11-25 12:00:00 install postgresql-17-cron:amd64 1.6-1 1.6-2\n", True),
        (
            "2026-11-25 12:00:00 install postgresql-17-cron:amd64 <none> 1.6-1\n"
            "2026-11-26 12:00:00 upgrade postgresql-17-cron:amd64 1.6-1 1.6-2\n",
            True,
        ),
        (
            "2026-11-25 12:00:00 purge postgresql-17-cron:amd64 1.6-1 <none>\n"
            "2026-11-26 12:00:00 install postgresql-17-cron:amd64 <none> 1.6-1\n",
            True,
        ),
        ("2026-11-25 12:00:00 install postgresql-17-cron-extras:all <none> 1.6-1\n", True),
        ("2026-11-25 12:00:00 status installed postgresql-17-cron:amd64 1.6-1\n", True),
        ("", True),
    ],
)
def test_what_was_not_there_before_is_no_reason_to_restart(log: str, owed: bool, tmp_path: Path) -> None:
    (tmp_path / "postgresql-17-cron.list").touch()
    os.utime(tmp_path / "postgresql-17-cron.list", (2500, 2500))
    assert bool(newer_than(["postgresql-17-cron"], "17", 2000, 3000, tmp_path, log)) is owed


def test_the_notes_of_dpkg_are_read_in_their_order(tmp_path: Path) -> None:
    assert dpkg_log(tmp_path) == ""
    (tmp_path / "dpkg.log").write_text("new\n")
    (tmp_path / "dpkg.log.1").write_text("old\n")
    assert dpkg_log(tmp_path) == "old\nnew\n"


def test_what_was_taken_back_and_pinned_is_not_wanted_again(said: dict[str, tuple[int, str]]) -> None:
    """docs/upgrade.md, A node that does not come back: the candidate of a pin is the version that is there."""
    said["dpkg-query --show"] = (0, "postgresql-17\t17.6-1\tinstalled\n")
    said["dpkg --compare-versions 17.7-1"] = (0, "")
    for candidate, newer in (("17.7-1", {"postgresql-17": "17.7-1"}), ("17.6-1", {}), ("17.5-1", {})):
        said["apt-cache policy"] = (0, f"postgresql-17:\n  Installed: 17.6-1\n  Candidate: {candidate}\n")
        assert packages("17").newer == newer


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
