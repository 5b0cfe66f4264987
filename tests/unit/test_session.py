"""How our sessions reach a server: with which options, and at which of its addresses."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._server import session
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import Session

PORT = 5432


class OpenedError(Exception):
    """With what a session would have been opened."""


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Session, conninfo: str, _deadline: float) -> pq.abc.PGconn:
        raise OpenedError(conninfo)

    monkeypatch.setattr(Session, "_open", refuse)


def options_of(conninfo: str) -> str:
    return str(conninfo_to_dict(conninfo)["options"])


def listening(monkeypatch: pytest.MonkeyPatch, folder: Path, version: str) -> None:
    """A server of this version has its socket, and its data, in the folder."""
    monkeypatch.setattr(_names, "SOCKET_DIR", folder)
    (folder / "PG_VERSION").write_text(f"{version}\n")
    (folder / f".s.PGSQL.{PORT}.lock").write_text(f"77\n{folder}\n1790000000\n{PORT}\n{folder}\n")


@pytest.mark.parametrize(("version", "off"), [("15", False), ("16", False), ("17", True), ("18", True)])
def test_no_trigger_at_login_refuses_a_superuser_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, opened: None, version: str, off: bool
) -> None:
    """One that writes does so on every standby. What a server does not know it refuses, so its version counts."""
    listening(monkeypatch, tmp_path, version)
    with pytest.raises(OpenedError) as found:
        Session.at_socket(PORT, "shop", "a", options="-c work_mem=64kB")
    for options in (options_of(str(found.value)), options_of(session.socket_dsn(PORT, "shop"))):
        assert ("-c event_triggers=off" in options) is off
        assert "-c lc_messages=C" in options
    assert options_of(str(found.value)).endswith("-c work_mem=64kB")
    assert options_of(session.socket_dsn(PORT, "shop", "-c work_mem=64kB")).startswith("-c work_mem=64kB -c ")


def test_a_server_of_which_nothing_is_known_is_asked_for_what_all_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_names, "SOCKET_DIR", tmp_path)
    oldest = _names.unlimited(_names.OLDEST_VERSION, superuser=True)
    assert options_of(session.socket_dsn(PORT, "shop")) == oldest
    (tmp_path / f".s.PGSQL.{PORT}.lock").write_text("77\n")
    assert options_of(session.socket_dsn(PORT, "shop")) == oldest
