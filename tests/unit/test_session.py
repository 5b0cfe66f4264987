"""How our sessions reach a server: with which options, and at which of its addresses."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._server import addresses, liveness, session
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
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


def test_a_server_notices_that_the_host_of_a_session_of_ours_is_gone(opened: None) -> None:
    """Its lock would bar the emergency for hours: the kernel asks an idle connection after two of them."""
    with pytest.raises(OpenedError) as found:
        Session.remote(Peer("a", "127.0.0.1"), "somebody")
    given = dict(option.split("=") for option in options_of(str(found.value)).split("-c ") if "tcp_" in option)
    numbers = {name: int(value) for name, value in given.items()}
    probes = numbers["tcp_keepalives_interval"] * numbers["tcp_keepalives_count"]
    assert numbers["tcp_keepalives_idle"] + probes == numbers["tcp_user_timeout"] / 1000 == 45


# --- addresses -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def listener(host: str, port: int = 0, full: bool = False) -> Iterator[int]:
    """Something that takes connections there; ``full``: it takes no more, as if a firewall dropped what comes."""
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(socket.socket())
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, port))
        server.listen(0 if full else 64)
        number = int(server.getsockname()[1])
        for _one in range(3 if full else 0):
            client = opened.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((host, number))
        yield number


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of the name ``db``, in this order."""
    listed: list[str] = []

    def lookup(_host: str, port: int, **_type: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in listed]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(addresses, "_chosen", {})
    return listed


def test_an_address_that_nothing_comes_through_to_hides_no_server(named: list[str], opened: None) -> None:
    with listener("127.0.0.2") as port, listener("127.0.0.1", port, full=True):
        named += ["127.0.0.1", "127.0.0.2"]
        with pytest.raises(OpenedError) as found:
            Session.remote(Peer("a", "db", port), "somebody")
        asked = conninfo_to_dict(str(found.value))
        assert (asked["host"], asked["hostaddr"]) == ("db", "127.0.0.2")
        # It is not waited for again.
        started = time.monotonic()
        assert addresses.reach("db", port, 5) == "127.0.0.2"
        assert time.monotonic() - started < addresses.HEAD_START


def test_the_order_of_the_addresses_counts_where_all_take_connections(named: list[str]) -> None:
    """What a server allows to whom goes by addresses: it is not to be another one each time."""
    with listener("127.0.0.3") as port, listener("127.0.0.2", port), listener("127.0.0.1", port):
        named += ["127.0.0.2", "127.0.0.1", "127.0.0.3"]
        assert {addresses.reach("db", port, 5) for _attempt in range(20)} == {"127.0.0.2"}


def test_a_refusal_is_libpqs_to_tell_and_silence_ours(named: list[str]) -> None:
    with listener("127.0.0.3") as port:
        named += ["127.0.0.1", "127.0.0.2"]
        assert addresses.reach("db", port, 5) == "127.0.0.1"
    with listener("127.0.0.1", full=True) as port:
        with pytest.raises(RelevoError, match=r"none of its addresses \(127.0.0.1, 127.0.0.2\) answered in time"):
            addresses.reach("db", port, 0.2)
        assert session.answer_of(Peer("a", "db", port)) == "none"


def test_a_single_address_costs_no_connection(named: list[str]) -> None:
    named.append("192.0.2.1")
    started = time.monotonic()
    assert addresses.reach("db", PORT, 5) == "192.0.2.1"
    assert time.monotonic() - started < 1


def test_a_witness_loads_no_library_where_nobody_listens(named: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Peer] = []

    def answer_of(node: Peer, _timeout: int) -> str:
        asked.append(node)
        return "refused"

    monkeypatch.setattr(session, "answer_of", answer_of)
    named += ["127.0.0.1", "127.0.0.2"]
    with listener("127.0.0.3") as port:
        question = {"node": {"name": "a", "host": "db", "port": port}}
        assert liveness.answer(question) == {"answer": "none"}
        assert asked == []
    with listener("127.0.0.2") as port:
        question = {"node": {"name": "a", "host": "db", "port": port}}
        assert liveness.answer(question) == {"answer": "refused"}
        assert asked == [Peer("a", "127.0.0.2", port)]
    monkeypatch.setattr(liveness, "TIMEOUT", 0.2)
    with listener("127.0.0.1", full=True) as port:
        named.remove("127.0.0.2")
        assert liveness.answer({"node": {"name": "a", "host": "db", "port": port}}) == {"answer": "none"}
