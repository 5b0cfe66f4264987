"""What holds the replay of a standby back that is to be promoted, and how it is made to go on."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._server import held_replay, standby_minimum
from ansible_collections.relevo.postgres.plugins.module_utils._server.held_replay import HeldReplay, OutgrownError
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import Session, SessionError

SERVER = cast("Server", None)


class Standby:
    """A session at a standby whose startup process waits for ``waits``; ``running``: its settings."""

    def __init__(self, waits: str | None = None, paused: bool = False, holders: tuple[str, ...] = ("7",)) -> None:
        self.waits, self.paused, self.holders = waits, paused, holders
        self.running = {"max_connections": "100", "max_wal_senders": "10"}
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.refuses: SessionError | None = None

    def value(self, query: str) -> str | None:
        self.asked.append((query, ()))
        assert query == held_replay.WAITS
        return self.waits

    def flag(self, query: str) -> bool:
        assert query == "SELECT pg_is_wal_replay_paused()"
        return self.paused

    def query(self, query: str, parameters: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        self.asked.append((query, parameters))
        if "pg_wal_replay_resume" in query and self.refuses:
            raise self.refuses
        if query in (held_replay.BLOCKING, held_replay.OLDER):
            return [
                {"pid": pid, "user": "ana", "database": "imdb", "program": "", "open_s": "9"} for pid in self.holders
            ]
        return [{"name": name, "setting": value} for name, value in self.running.items()]

    @property
    def ended(self) -> list[str]:
        return [given[0] for query, given in self.asked if "pg_terminate_backend" in query]

    @property
    def resumed(self) -> bool:
        return any("pg_wal_replay_resume" in query for query, _given in self.asked)


def session(standby: Standby) -> Session:
    return cast("Session", standby)


@pytest.fixture(autouse=True)
def primary(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What the primary had last."""
    had = {"max_connections": 100, "max_wal_senders": 10}
    monkeypatch.setattr(standby_minimum, "of_primary", lambda _server: had)
    return had


@pytest.mark.parametrize(
    ("waits", "holds"),
    [
        ("IPC RecoveryConflictSnapshot", True),
        ("IPC RecoveryConflictTablespace", True),
        ("BufferPin BufferPin", True),
        ("Lock relation", True),
        ("Lock object", True),
        (None, False),
        ("Activity RecoveryWalStream", False),
        ("Timeout RecoveryApplyDelay", False),
        ("IPC RecoveryPause", False),
        ("IO DataFileRead", False),
    ],
)
def test_what_it_waits_for_says_whether_sessions_hold_it(waits: str | None, holds: bool) -> None:
    assert held_replay.conflicts(waits) is holds
    assert bool(held_replay.holders(session(Standby(waits)), waits)) is holds


@pytest.mark.parametrize(
    ("waits", "query", "given"),
    [
        ("Lock relation", held_replay.BLOCKING, ()),
        # Whoever began after it stood still is not what it waits for; a removed row is kept by snapshots only.
        ("IPC RecoveryConflictSnapshot", held_replay.OLDER, ("1.500", "true")),
        ("BufferPin BufferPin", held_replay.OLDER, ("1.500", "false")),
    ],
)
def test_who_is_asked_for(waits: str, query: str, given: tuple[str, ...]) -> None:
    standby = Standby(waits)
    held_replay.holders(session(standby), waits, 1.5)
    assert standby.asked == [(query, given)]


def test_nobody_is_asked_while_replay_goes_on_nor_ended_within_the_grace() -> None:
    standby, held = Standby("Lock relation"), HeldReplay("b", SERVER)
    for number in range(50):
        held.look(session(standby), number, number / 50)
    held.look(session(standby), 49, 0.98 + held_replay.GRACE - 0.01)
    assert standby.asked == []
    held.look(session(standby), 49, 0.98 + held_replay.GRACE)
    assert standby.ended == ["7"]
    # What it waits for next is ended sooner, and again where it has not ended; but not at each look.
    held.look(session(standby), 49, 0.98 + held_replay.GRACE + 0.1)
    held.look(session(standby), 50, 3)
    held.look(session(standby), 50, 3.1)
    assert standby.ended == ["7"]
    held.look(session(standby), 50, 3 + held_replay.AGAIN)
    assert standby.ended == ["7", "7"]
    (said,) = held.sentences()
    assert said == (
        "Ended on b, since replay waited for 1 session: ana@imdb (no name, process 7, in a transaction for 9 s)."
    )


def test_of_many_some_are_named() -> None:
    holders = held_replay.holders(session(Standby(holders=tuple("12345678"))), "Lock relation")
    said = held_replay.named(holders)
    assert said.count("process") == held_replay.NAMED
    assert said.endswith(", and 3 more")
    assert HeldReplay("b", SERVER).sentences() == []


def test_what_somebody_paused_goes_on() -> None:
    standby = Standby(paused=True)
    held_replay.resume(session(standby), SERVER, "b")
    assert standby.resumed
    standby = Standby(paused=False)
    held_replay.resume(session(standby), SERVER, "b")
    assert not standby.asked


def test_what_the_server_paused_itself_is_not_resumed_which_would_shut_it_down(primary: dict[str, int]) -> None:
    primary["max_connections"] = 200
    standby = Standby(held_replay.PAUSED, paused=True)
    with pytest.raises(OutgrownError, match="b has paused its replay, since its primary had a greater max_connections"):
        held_replay.resume(session(standby), SERVER, "b")
    assert not standby.resumed
    held = HeldReplay("b", SERVER)
    held.look(session(standby), 1, 0)
    with pytest.raises(OutgrownError):
        held.look(session(standby), 1, held_replay.GRACE)


@pytest.mark.parametrize(("state", "raised"), [(held_replay.NOT_NOW, False), ("42501", True)])
def test_one_that_is_being_promoted_ends_its_pause_itself(state: str, raised: bool) -> None:
    standby, held = Standby(held_replay.PAUSED, paused=True), HeldReplay("b", SERVER)
    standby.refuses = SessionError("no", state)
    held.look(session(standby), 1, 0)
    if raised:
        with pytest.raises(SessionError):
            held.look(session(standby), 1, held_replay.GRACE)
    else:
        held.look(session(standby), 1, held_replay.GRACE)
    assert standby.resumed


@pytest.mark.parametrize(("waits", "since"), [("IPC RecoveryConflictSnapshot", 50.0), ("BufferPin BufferPin", 1.0)])
def test_what_somebody_may_have_taken_since_is_looked_for_in_the_last_second(waits: str, since: float) -> None:
    """A session that took the page after replay stood still would always be younger than that."""
    standby, held = Standby(waits), HeldReplay("b", SERVER)
    held.look(session(standby), 1, 0)
    held.look(session(standby), 1, 50)
    [given] = [given for query, given in standby.asked if query == held_replay.OLDER]
    assert float(given[0]) == since
