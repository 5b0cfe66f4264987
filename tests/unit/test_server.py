"""What a node writes for its server, and how it ends the server's processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._server import server as servers
from ansible_collections.relevo.postgres.plugins.module_utils._server import session
from ansible_collections.relevo.postgres.plugins.module_utils._server.installation import configured_wal_level
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import SLOT_SYNC, Server, primary_conninfo


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return of_version(tmp_path, "17")


def of_version(folder: Path, version: str) -> Server:
    data = folder / version / "main"
    data.mkdir(parents=True)
    (data / "standby.signal").write_text("")
    return Server(data, folder / "90-replication.conf")


def configured(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    monkeypatch.setattr(servers, "configured_wal_level", lambda: level)


def running(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    class Answer:
        @classmethod
        def local(cls, **_named: float) -> Answer:
            return cls()

        def value(self, _sql: str) -> str:
            return level

        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *_exception: object) -> None:
            return None

    monkeypatch.setattr(Server, "postmaster_pid", lambda _self: 1)
    monkeypatch.setattr(session, "Session", Answer)


def test_the_last_wal_level_of_the_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "postgresql.conf"
    assert configured_wal_level(file) == ""
    file.write_text("wal_level = 'replica'\nwal_level = 'logical'\n")
    assert configured_wal_level(file) == "logical"


@pytest.mark.parametrize(("level", "synchronises"), [("logical", True), ("replica", False), ("", False)])
def test_a_standby_synchronises_slots_where_there_can_be_any(
    server: Server, monkeypatch: pytest.MonkeyPatch, level: str, synchronises: bool
) -> None:
    configured(monkeypatch, level)
    server.write_replication_conf("host=a", "b")
    assert server.replication_conf.read_text().endswith(SLOT_SYNC) == synchronises
    assert server.replication_conf_is("host=a", "b")
    server.write_replication_conf("", "")
    assert SLOT_SYNC not in server.replication_conf.read_text(), "it follows nobody"


@pytest.mark.parametrize(("version", "synchronises"), [("15", False), ("16", False), ("17", True), ("18", True)])
def test_an_older_server_has_no_slots_to_synchronise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, synchronises: bool
) -> None:
    """It would not start with settings that it does not know."""
    configured(monkeypatch, "logical")
    server = of_version(tmp_path, version)
    server.write_replication_conf("host=a", "b")
    assert server.replication_conf.read_text().endswith(SLOT_SYNC) == synchronises


def test_not_before_its_own_server_has_that_level(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older one would end: "replication slot synchronization requires wal_level >= logical"."""
    configured(monkeypatch, "logical")
    running(monkeypatch, "replica")
    server.write_replication_conf("host=a", "b")
    assert SLOT_SYNC not in server.replication_conf.read_text()
    assert not server.adjust_slot_sync()

    # Restarted.
    running(monkeypatch, "logical")
    assert server.adjust_slot_sync()
    assert server.replication_conf_is("host=a", "b")
    assert not server.adjust_slot_sync()

    configured(monkeypatch, "replica")
    assert server.adjust_slot_sync()
    assert SLOT_SYNC not in server.replication_conf.read_text()


def test_a_primary_is_left_alone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.write_replication_conf("host=a", "b")
    (server.pgdata / "standby.signal").unlink()
    configured(monkeypatch, "logical")
    assert not server.adjust_slot_sync()


def test_a_standby_names_the_database_in_which_it_asks_for_slots() -> None:
    said = primary_conninfo(Peer("a", "a.example"), "b")
    assert " dbname=relevo " in said
    assert said.startswith("host=a.example "), "who follows whom is read from the first one"


def test_only_processes_of_this_server_are_ended(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        monkeypatch.setattr(Server, "postmaster_pid", lambda _self: None)
        assert server.terminate([child.pid]) == [], "another's"
        monkeypatch.setattr(Server, "postmaster_pid", lambda _self: os.getpid())
        assert server.terminate([child.pid, 1 << 30]) == [child.pid]
        assert child.wait(10) == -signal.SIGTERM
