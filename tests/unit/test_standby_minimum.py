"""The five settings that a standby compares: it starts with the greater of its file and its control file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _names, _process
from ansible_collections.relevo.postgres.plugins.module_utils._server import standby_minimum
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server

CONTROL = """wal_level setting:                    replica
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           20
max_locks_per_xact setting:           64
track_commit_timestamp setting:       off
"""
HAD = {
    "max_connections": 100,
    "max_worker_processes": 8,
    "max_wal_senders": 10,
    "max_prepared_transactions": 20,
    "max_locks_per_transaction": 64,
}


def test_what_the_primary_had_is_in_the_control_file() -> None:
    assert standby_minimum.control_values(CONTROL) == HAD
    assert set(standby_minimum.COMPARED) == set(HAD)


@pytest.mark.parametrize(
    ("configured", "found"),
    [
        ({"max_prepared_transactions": "20"}, {}),
        # PostgreSQL's own default is lower, too.
        ({}, {"max_prepared_transactions": 20}),
        ({"max_connections": "50", "max_prepared_transactions": "20"}, {"max_connections": 100}),
        ({"max_connections": "500", "max_prepared_transactions": "30"}, {}),
        # Both in one change: the raised one is what it is.
        (
            {"max_connections": "50", "max_worker_processes": "16", "max_prepared_transactions": "20"},
            {"max_connections": 100},
        ),
        ({"max_connections": "0x32", "max_prepared_transactions": "20"}, {}),
    ],
)
def test_a_standby_starts_with_the_greater_value(configured: dict[str, str], found: dict[str, int]) -> None:
    assert standby_minimum.minimum(configured, HAD) == found


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(standby_minimum, "FILE", tmp_path / "95.conf")
    monkeypatch.setattr(standby_minimum, "write_file", lambda path, text: path.write_text(text))
    monkeypatch.setattr(_names, "CONFIG_FILE", tmp_path / "postgresql.conf")
    _names.CONFIG_FILE.write_text("max_connections = '50'\nmax_prepared_transactions = '20'\n")
    said = type("Said", (), {"stdout": CONTROL})
    monkeypatch.setattr(_process, "run", lambda *_command, **_options: said)
    data = tmp_path / "17" / "main"
    data.mkdir(parents=True)
    return Server(data)


@pytest.mark.parametrize("signal", ["standby.signal", "recovery.signal"])
def test_a_standby_gets_it_and_a_primary_loses_it(node: Server, signal: str) -> None:
    assert not standby_minimum.bring(node)
    (node.pgdata / signal).touch()
    assert standby_minimum.bring(node, check_mode=True)
    assert standby_minimum.in_place() == {}
    assert standby_minimum.bring(node)
    assert standby_minimum.in_place() == {"max_connections": "100"}
    assert not standby_minimum.bring(node)
    (node.pgdata / signal).unlink()
    assert standby_minimum.bring(node)
    assert standby_minimum.in_place() == {}


def test_it_goes_when_the_primary_has_the_lower_value(node: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    (node.pgdata / "standby.signal").touch()
    standby_minimum.bring(node)
    said = type("Said", (), {"stdout": CONTROL.replace("100", "50")})
    monkeypatch.setattr(_process, "run", lambda *_command, **_options: said)
    assert standby_minimum.bring(node)
    assert standby_minimum.in_place() == {}
