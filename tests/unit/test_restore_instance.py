# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making and removing a scratch instance: whose directory it is, whose port, and what a failure says of the backup."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _names, _process
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository import scratch_roots
from ansible_collections.relevo.postgres.plugins.module_utils._repository.in_use import in_use
from ansible_collections.relevo.postgres.plugins.module_utils._restore import blame, drill_run, instance, scratch
from ansible_collections.relevo.postgres.plugins.module_utils._restore.drill import Result
from ansible_collections.relevo.postgres.plugins.module_utils._restore.scratch import Files
from ansible_collections.relevo.postgres.plugins.module_utils._restore.target import parse
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import NotConnected, Session

pytestmark = pytest.mark.usefixtures("own_account", "roots")


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This host's own directories of scratch instances and of sockets."""
    monkeypatch.setattr(scratch_roots, "SCRATCH", tmp_path / "default")
    monkeypatch.setattr(_names, "SOCKET_DIR", tmp_path / "sockets")


def order(**changes: Any) -> instance.Order:
    given = {"cluster": "main", "target": parse("latest", ""), "label": "20261124-120000F", "timeline": 1}
    return instance.Order(**{**given, "version": "17", "asked": {"target_type": "latest"}, "timeout": 5, **changes})


def standing(root: Path, name: str = "one", **note: Any) -> Files:
    """One that was made, and whose server does not run."""
    files = Files(root, name)
    for path in (files.data, files.tablespaces, files.home / "lock"):
        path.mkdir(parents=True)
    given = {"cluster": "main", "backup": "b", "port": 5600, "request": {"target_type": "latest"}}
    files.note.write_text(json.dumps({**given, **note}))
    files.outcome.write_text("{}")
    return files


@pytest.mark.parametrize(
    ("replayed", "at_least", "whole"),
    [
        ("0/6000110", "0/6000000", True),
        # The segment before was switched, and the last one could not be read.
        ("0/6000000", "0/6000000", False),
        ("0/5FFFFE0", "0/6000000", False),
        ("0/5000000", "", True),
    ],
)
def test_a_recovery_that_could_not_read_the_last_segment_is_told_apart(
    replayed: str, at_least: str, whole: bool
) -> None:
    assert instance.read_to_the_end(replayed, at_least) is whole


@pytest.mark.parametrize("file", ["photo.jpg", "data/PG_VERSION", "lock/x", "outcome.json"])
@pytest.mark.parametrize("act", ["make", "remove"])
def test_a_directory_that_is_no_instance_is_left_as_it_is(tmp_path: Path, act: str, file: str) -> None:
    kept = tmp_path / "one" / file
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    files = Files(tmp_path, "one")
    with pytest.raises(RelevoError, match=r"is not a scratch instance: it has no instance.json, and it holds "):
        instance.make(files, order()) if act == "make" else instance.remove(files)
    assert kept.read_text() == "mine"


def test_what_was_cut_off_before_its_note_is_removed(tmp_path: Path) -> None:
    files = standing(tmp_path)
    files.note.rename(files.home / ".instance.json.new")
    files.outcome.unlink()
    assert instance.remove(files)
    assert not files.home.exists()


def test_an_instance_is_removed(tmp_path: Path) -> None:
    files = standing(tmp_path)
    (files.data / "PG_VERSION").write_text("17")
    assert instance.remove(files)
    assert not instance.remove(files)
    assert not files.home.exists()


def test_a_drill_does_not_remove_what_is_not_a_drills(tmp_path: Path) -> None:
    files = standing(tmp_path, drill_run.name_for("main"))
    with pytest.raises(RelevoError, match="main_drill of cluster main was not made by a drill of main"):
        drill_run.carry_out(files, order(), drill_run.Looks(), Result("b", "now"))
    files.note.write_text(files.note.read_text().replace('"target_type": "latest"', '"drill": "b"'))
    with pytest.raises(RelevoError, match="was not made by a drill of other"):
        drill_run.carry_out(files, order(cluster="other"), drill_run.Looks(), Result("b", "now"))
    assert files.note.exists()


def test_nobody_names_an_instance_as_drills_name_theirs() -> None:
    with pytest.raises(RelevoError, match="those that end in _drill are of drills"):
        scratch.given_name("main_drill")
    assert scratch.given_name("drill_2") == "drill_2"


def test_an_instance_of_another_cluster_is_not_taken_for_ours(tmp_path: Path) -> None:
    files = standing(tmp_path)
    with pytest.raises(RelevoError, match="made for something else .cluster=main, target_type=latest"):
        instance.make(files, order(cluster="shop"))


def test_clusters_whose_names_differ_in_capitals_share_no_name() -> None:
    names = [scratch.default_name(cluster, parse("latest", "")) for cluster in ("shop", "Shop", "SHOP")]
    assert names[0] == "shop_latest"
    assert len(set(names)) == 3
    assert all(scratch.checked_name(name) == name for name in names)
    assert len({drill_run.name_for(cluster) for cluster in ("shop", "Shop", "SHOP")}) == 3


# --- ports and directories of this host --------------------------------------------------------------------------


def test_no_two_instances_of_a_host_have_one_port(tmp_path: Path) -> None:
    (tmp_path / "sockets").mkdir()
    (tmp_path / "sockets" / ".s.PGSQL.5601").touch()
    made = [Files(tmp_path / root, "one") for root in ("a", "b", "default")]
    ports = []
    for files in made:
        files.root.mkdir(exist_ok=True)
        ports.append(instance._reserve(files, order()))
    assert ports == [5600, 5602, 5603]
    assert scratch_roots.roots() == [tmp_path / "default", tmp_path / "a", tmp_path / "b"]


def test_what_is_made_in_another_directory_keeps_its_backup(tmp_path: Path) -> None:
    files = Files(tmp_path / "elsewhere", "one")
    files.root.mkdir()
    instance._reserve(files, order(label="20261124-120000F"))
    proc = tmp_path / "proc"
    proc.mkdir()
    assert in_use("main", ["20261124-120000F", "b"], proc=proc) == {
        "20261124-120000F": "is read by the scratch instance one"
    }


def test_what_another_host_restores_keeps_its_backup_until_it_has_it(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()

    def needed() -> dict[str, str]:
        return in_use("main", ["a", "b"], proc=tmp_path / "proc")

    one = scratch_roots.Elsewhere("reports", "one", "main", "a", reading=True)
    one.note()
    assert needed() == {"a": "is read by the scratch instance one on reports"}
    replace(one, reading=False).note()
    assert needed() == {}
    assert scratch_roots.elsewhere("main") == [replace(one, reading=False)]
    assert not one.stands
    # Which backup it has chosen is not known: it may be any.
    replace(one, backup="", name="two").note()
    scratch_roots.Elsewhere("reports", "one", "shop", "b", reading=True).note()
    assert set(needed()) == {"a", "b"}
    replace(one, name="two").forget()
    assert needed() == {}


def test_a_note_that_cannot_be_read_lets_nothing_go(tmp_path: Path) -> None:
    scratch_roots.Elsewhere("reports", "one", "main").note()
    scratch_roots.Elsewhere("reports", "one", "main").path.write_text("{}")
    with pytest.raises(RelevoError, match=r"reports\+one.json on the repository host says .* Nothing was removed"):
        in_use("main", ["a"], proc=tmp_path)


def test_room_that_others_still_need_is_not_free(tmp_path: Path) -> None:
    (tmp_path / "default").mkdir()
    plan = {"needed": 10 * 2**30}
    unfinished = standing(tmp_path / "default", "half", plan=plan)
    unfinished.outcome.unlink()
    standing(tmp_path / "default", "whole", plan=plan)
    owed = instance.owed(Files(tmp_path / "default", "new"))
    assert 10 * 2**30 - 2**20 < owed <= 10 * 2**30
    assert instance.owed(unfinished) == 0


class Answer:
    """A server that says which data are its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.closed = False

    def value(self, _sql: str) -> str:
        return str(self.data)

    def close(self) -> None:
        self.closed = True


def test_the_server_of_another_instance_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = standing(tmp_path)
    there = Answer(tmp_path / "two" / "data")
    monkeypatch.setattr(Session, "at_socket", lambda *_given, **_options: there)
    with pytest.raises(RelevoError, match=r"On port 5600, that of the scratch instance one, the server of .*two/data"):
        instance.session(files, 5600)
    assert there.closed
    there.data = files.data
    assert instance.session(files, 5600)


# --- making one --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [blame.fault("x", "[28] No space left on device"), OSError(28, "full"), OSError(122, "")]
)
def test_a_restore_that_fills_the_disk_leaves_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fill(files: Files, *_more: object) -> None:
        (files.data / "PG_VERSION").write_text("17")
        raise error

    monkeypatch.setattr(instance, "_restore", fill)
    files = Files(tmp_path, "one")
    with pytest.raises(type(error)):
        instance.make(files, order())
    assert not files.home.exists()


def test_the_copy_is_told_along_which_timeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest one may lead nowhere from this backup, and then pgBackRest would not begin."""
    ran: list[list[str]] = []

    def end(command: list[str], *_more: object) -> _process.Finished:
        ran.append(command)
        return _process.Finished(58, "ERROR: [058]: enough", "", 0.1)

    monkeypatch.setattr(_process, "run_with_lock", end)
    config = tmp_path / "pgbackrest.conf"
    config.write_text("[global]\nrepo1-path=/var/lib/pgbackrest\n")
    with pytest.raises(RelevoError, match="enough"):
        instance.make(Files(tmp_path, "one"), order(timeline=12), config)
    [command] = ran
    assert {"--type=default", "--target-timeline=12", "--archive-mode=off"} <= set(command)


def test_one_that_failed_otherwise_is_left_to_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_given: object) -> None:
        raise RelevoError("no")

    monkeypatch.setattr(instance, "_restore", fail)
    files = Files(tmp_path, "one")
    with pytest.raises(RelevoError, match="no"):
        instance.make(files, order())
    assert instance.look(files).state == "unfinished"


def test_what_stands_needs_no_backup_any_more(tmp_path: Path) -> None:
    plan = {
        "type": "latest", "value": "", "sentence": "the end of the archive", "label": "gone", "timeline": 1, "why": "w",
        "segments": 3, "size": 5, "needed": 7, "free": 9, "version": "17",
    }  # fmt: skip
    files = standing(tmp_path, plan=plan)
    found = instance.planned(files)
    assert found
    assert (found.label, found.segments, found.needed, found.target) == ("gone", 0, 0, parse("latest", ""))
    files.outcome.unlink()
    assert instance.planned(files) is None
    assert instance.planned(standing(tmp_path, "before")) is None


def test_a_copy_that_was_left_behind_is_ended(tmp_path: Path) -> None:
    files = standing(tmp_path)
    files.outcome.unlink()
    waits = "import time; time.sleep(600)"
    with instance.held(files, 5) as lock:
        left = subprocess.Popen([sys.executable, "-c", waits, f"--config={files.repository}"], pass_fds=(lock,))
    other = subprocess.Popen([sys.executable, "-c", waits, f"--config={tmp_path}/two/pgbackrest.conf"])
    try:
        started = time.monotonic()
        while not (instance._copies(files) and instance._copies(Files(tmp_path, "two"))):
            assert time.monotonic() < started + 30
        # A child of ours is a zombie, which has no command line, until it is waited for.
        assert instance.remove(files, 5)
        assert left.wait(10) == -signal.SIGTERM
        assert other.poll() is None
    finally:
        left.kill()
        other.kill()


# --- whose fault it is -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "data"),
    [
        ("ERROR: [026]: error restoring '1/2': actual checksum 'a' does not match expected checksum 'b'", True),
        ("ERROR: [029]: raised from local-1 protocol: unexpected eof in compressed data", True),
        ("ERROR: [055]: unable to open missing file '/repo/backup/main/x/backup.manifest'", True),
        ("ERROR: [095]: unable to flush", True),
        ("ERROR: [095]: unable to verify certificate presented by 'repo:8432': certificate has expired", False),
        ("ERROR: [042]: unable to read from socket: [104] Connection reset by peer", False),
        (
            "ERROR: [042]: unable to get 000000010000000000000003:\n"
            "  repo1: 17-1/0000000100000000/000000010000000000000003-ab.zst [FormatError] zst error: [-20] corrupted\n"
            "FATAL:  WAL ends before end of online backup",
            True,
        ),
        (
            "ERROR: [042]: unable to get 000000010000000000000003:\n  repo1: x.zst [FormatError] zst error\n"
            "ERROR: [042]: unable to read from socket: [104] Connection reset by peer",
            False,
        ),
        ("ERROR: [042]: unable to get x:\n  repo1: x.zst [ProtocolError] unexpected eof", False),
        ("ERROR: [056]: unable to connect", False),
        ("Killed", False),
        ("FATAL:  recovery ended before configured recovery target was reached", True),
        ("ERROR: [029]: zst error\nFATAL:  recovery ended before configured recovery target was reached", True),
        # The archive has not ended there: it could not be asked.
        (
            "ERROR: [049]: unable to connect\nFATAL:  recovery ended before configured recovery target was reached",
            False,
        ),
        ("ERROR: [029]: zst error\nERROR: [049]: unable to connect", False),
        ("PANIC:  could not locate a valid checkpoint record", True),
        ("PANIC:  WAL contains references to invalid pages", True),
        ('FATAL:  lock file "/run/postgresql/.s.PGSQL.5600.lock" already exists', False),
        ("LOG:  startup process (PID 7) was terminated by signal 9: Killed", False),
        ("FATAL:  could not map anonymous shared memory: Cannot allocate memory", False),
        ("", False),
    ],
)
def test_a_backup_is_blamed_only_where_the_data_are_named(said: str, data: bool) -> None:
    assert isinstance(blame.fault("It failed.", said), blame.FaultError) is data


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded"])
def test_a_disk_that_takes_no_more_is_full(words: str) -> None:
    assert isinstance(blame.fault("It failed.", f"ERROR: [064]: unable to write: {words}"), blame.FullError)


# --- logins of its own -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "everybody"), [("15", False), ("16", True), ("18", True)])
def test_we_are_let_in_by_every_version(version: str, everybody: bool) -> None:
    lines = scratch.ident(version).splitlines()
    assert {"scratch postgres postgres", "scratch root postgres"} <= set(lines)
    assert ("scratch postgres all" in lines) is everybody


def test_a_login_that_is_refused_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = standing(tmp_path)
    refusal = 'FATAL:  Peer authentication failed for user "postgres"'

    def refuse(*_given: object, **_options: object) -> None:
        raise NotConnected(refusal)

    monkeypatch.setattr(instance, "session", refuse)
    monkeypatch.setattr(Server, "postmaster_pid", lambda _self: 1)
    files.log.write_text("LOG:  starting up\n")
    with pytest.raises(RelevoError, match=r"Timed out after 0.3 s .* \(it said last: FATAL: .*Peer authentication"):
        instance._wait_open(files, "17", 5600, 0.3)
    files.log.write_text(f"LOG:  {instance.READY}\n")
    with pytest.raises(RelevoError, match="has reached its target, and refuses our login: FATAL: .*Peer"):
        instance._wait_open(files, "17", 5600, 60)


def done(code: int, stdout: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], code, stdout, "")


def test_what_a_database_limits_does_not_hold_for_a_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, str] = {}
    monkeypatch.setattr(_process, "run", lambda *_given, **more: given.update(more) or done(0))
    assert drill_run._amcheck(5600, order(), 1) == []
    for option in ("statement_timeout=0", "transaction_timeout=0", "default_transaction_read_only=off"):
        assert f"-c {option}" in given["PGOPTIONS"]
    assert "-c session_preload_libraries= " in given["PGOPTIONS"]


def test_only_what_pg_amcheck_found_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_process, "run", lambda *_given, **_more: done(2, "heap table: bad"))
    assert drill_run._amcheck(5600, order(), 1) == ["pg_amcheck found: heap table: bad."]
    monkeypatch.setattr(_process, "run", lambda *_given, **_more: done(1, "error: connection to server was lost"))
    with pytest.raises(RelevoError, match="pg_amcheck could not look: error: connection to server was lost"):
        drill_run._amcheck(5600, order(), 1)
