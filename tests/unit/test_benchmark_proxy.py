"""The benchmark of HAProxy: what two clients saw of one hand-over, how it is judged, and what the page says."""

from __future__ import annotations

import multiprocessing
import socket
import struct
from typing import Any

import pytest
from benchmark_client import READY, acknowledged, answer
from psycopg import pq

from bench import report_proxy
from bench.figures import NoGap, side_by_side
from bench.prober import server_of
from bench.targets import proxy_targets

DIRECT = acknowledged((1.0, 0), (2.0, 0), (2.25, 1), (2.5, 1))
PROXIED = acknowledged((1.0, 77), (2.03125, 77), (2.75, 88), (3.0, 88))


def test_two_clients_see_one_hand_over() -> None:
    assert side_by_side(DIRECT, PROXIED, since=0.5, session_ended=2.0625) == {
        "outage": 0.25,
        "outage_proxied": 0.71875,
        "later": 0.5,
        "session_after": 0.03125,
        "session_before": 0.1875,
    }


def test_a_session_that_lives_on_beside_the_new_primary_ends_after_its_first_write() -> None:
    assert side_by_side(DIRECT, PROXIED, since=0.5, session_ended=5.0)["session_before"] == -2.75


def test_the_proxy_may_be_the_first() -> None:
    found = side_by_side(PROXIED, DIRECT, since=0.5, session_ended=2.0625)
    assert (found["later"], found["session_before"]) == (-0.5, 0.1875)


def test_both_must_have_moved() -> None:
    with pytest.raises(NoGap):
        side_by_side(DIRECT, PROXIED[:2], since=0.5, session_ended=2.0)


# What a server says to a client that logs in, and then the text that answers its question (protocol 3.0).
LOGGED_IN = b"R\0\0\0\x08\0\0\0\0" + READY


def message(kind: bytes, text: bytes) -> bytes:
    return kind + struct.pack("!i", len(text) + 4) + text


def answered(value: bytes | None) -> bytes:
    """A row of one column; None: NULL."""
    column = b"c\0" + struct.pack("!ihihih", 0, 0, 20, 8, -1, 0)
    cell = struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    row = message(b"T", b"\0\x01" + column) + message(b"D", b"\0\x01" + cell)
    return row + message(b"C", b"SELECT 1\0") + READY


@pytest.mark.parametrize(("said", "server"), [(answered(b"2886860802"), 2886860802), (answered(None), 0), (b"", 0)])
def test_behind_one_address_a_server_is_known_by_its_own(said: bytes, server: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # A process, since libpq waits without letting other threads of this one work.
        process = multiprocessing.get_context("fork").Process(target=answer, args=(listener, [LOGGED_IN, said]))
        process.start()
        port = listener.getsockname()[1]
        dsn = f"host=127.0.0.1 port={port} user=u dbname=d sslmode=disable gssencmode=disable connect_timeout=5"
        connection = pq.PGconn.connect(dsn.encode())
        # Among several it is known by its place, and is not asked.
        assert server_of(connection, 1, [b"", b""]) == 1
        assert server_of(connection, 0, [b""]) == server
        connection.finish()
        process.join(5)


def row(kind: str = "planned", **figures: Any) -> dict[str, Any]:
    fixed = {"system": "relevo", "variant": "", "kind": kind, "round": 1, "lost": 0, "session_wrote": False}
    seen = {"outage": 0.125, "outage_proxied": 0.5, "later": 0.375, "session_after": 0.002, "session_before": 0.1}
    return {**fixed, **seen, "session_error": "terminating connection", **figures}


def failed(kind: str = "planned") -> dict[str, Any]:
    return {"system": "relevo", "variant": "", "kind": kind, "round": 2, "failure": "It fell over."}


def test_what_was_promised_is_judged() -> None:
    assert [(one.figure, one.verdict) for one in proxy_targets([row(), row("killed", later=3.0)])] == [
        (0.375, "met"),
        (0, "met"),
        (0, "met"),
        (0, "met"),
    ]


def test_each_promise_can_be_missed() -> None:
    rows = [row(later=1.5, lost=1), row("killed", session_wrote=True), failed()]
    assert [(one.figure, one.verdict) for one in proxy_targets(rows)] == [
        (1.5, "missed"),
        (1, "missed"),
        (1, "missed"),
        (1, "missed"),
    ]


def test_nothing_measured_is_not_met() -> None:
    assert {one.verdict for one in proxy_targets([])} == {"not measured"}
    assert [one.verdict for one in proxy_targets([failed()])] == ["not measured"] * 3 + ["missed"]


def test_its_section() -> None:
    rows = [row(), row(outage_proxied=0.75, later=0.625), row("killed", session_error="", session_wrote=True), failed()]
    text = "\n".join(report_proxy.section({"rows": rows, "haproxy": "3.0.11"}))
    assert "HAProxy 3.0.11" in text
    assert "| planned | names both nodes | 0.125 | 0.125 | 0.125 | 0.125 | 2 | 1 |" in text
    assert "| planned | through HAProxy | 0.500 | 0.625 | 0.750 | 0.750 | 2 | 1 |" in text
    assert "names both nodes, planned: median 0.500 s, from 0.375 s to 0.625 s." in text
    assert "of both clients in 3 hand-overs: 0." in text
    assert "| planned | 2 | 0 | 2 | 2 | 100 | terminating connection (2) |" in text
    assert "| primary killed | 1 | 1 | 2 | 2 | 100 | nothing (1) |" in text
    assert "- relevo, planned: It fell over." in text


def test_its_section_when_all_failed() -> None:
    text = "\n".join(report_proxy.section({"rows": [failed("killed")], "haproxy": "3.0.11"}))
    assert "| primary killed | through HAProxy | - | - | - | - | 0 | 1 |" in text
    assert "Acknowledged rows lost" not in text
