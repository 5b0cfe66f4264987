"""Numbers of timelines that a promotion must not use again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._server import abandoned_timelines
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import parse_history
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(abandoned_timelines, "write_file", lambda path, text: path.write_text(text))
    (tmp_path / "pg_wal").mkdir()
    return Server(tmp_path)


def histories(server: Server) -> list[str]:
    return sorted(path.name for path in (server.pgdata / "pg_wal").iterdir())


def test_every_number_up_to_the_newest_is_reserved(server: Server) -> None:
    """PostgreSQL stops looking at the first number that is free."""
    assert abandoned_timelines.unreserved(server, 9, 11) == [10, 11]
    assert histories(server) == [], "to look changes nothing"
    assert abandoned_timelines.reserve(server, 9, 11) == [10, 11]
    assert histories(server) == ["0000000A.history", "0000000B.history"]
    assert abandoned_timelines.reserve(server, 9, 11) == [], "a second run changes nothing"


def test_nothing_is_reserved_where_the_archive_knows_nothing_newer(server: Server) -> None:
    assert abandoned_timelines.reserve(server, 3, 3) == []
    assert abandoned_timelines.reserve(server, 3, 0) == []
    assert histories(server) == []


def test_a_history_that_is_there_is_kept(server: Server) -> None:
    real = server.pgdata / "pg_wal" / "00000003.history"
    real.write_text("2\t0/5000000\tno recovery target specified\n")
    assert abandoned_timelines.reserve(server, 2, 4) == [4]
    assert abandoned_timelines.release(server, 2) == [4]
    assert histories(server) == ["00000003.history"]


def test_only_what_is_newer_than_the_server_is_released(server: Server) -> None:
    """A standby of a standby may ask for the others."""
    abandoned_timelines.reserve(server, 1, 4)
    assert abandoned_timelines.any_reserved(server)
    assert abandoned_timelines.release(server, 3) == [4]
    assert histories(server) == ["00000002.history", "00000003.history"]


def test_what_reserves_a_number_is_a_history_without_ancestors() -> None:
    assert parse_history(abandoned_timelines.TEXT) == []


def test_what_an_older_version_reserved_is_released(server: Server) -> None:
    """The text on a node's disk outlives the version that wrote it."""
    text = "# relevo: this timeline was given up; the file keeps its number from being used again\n"
    (server.pgdata / "pg_wal" / "00000004.history").write_text(text)
    assert abandoned_timelines.release(server, 3) == [4]
