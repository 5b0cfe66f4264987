"""What holds the replay of a standby back that is to be promoted, and how it is made to go on."""

from __future__ import annotations

import time
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
        self.replayed = ["0/10"]
        self.next_waits: list[str | None] = []

    def value(self, query: str, timeout: float | None = None) -> str | None:
        del timeout
        self.asked.append((query, ()))
        if query == held_replay.REPLAYED:
            return self.replayed.pop(0) if len(self.replayed) > 1 else self.replayed[0]
        assert query == held_replay.WAITS
        # One conflict after the other, and the last one stays.
        if len(self.next_waits) > 0:
            now, self.waits = self.waits, self.next_waits.pop(0)
            return now
        return self.waits

    def flag(self, query: str) -> bool:
        assert query == "SELECT pg_is_wal_replay_paused()"
        return self.paused

    def query(self, query: str, parameters: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        self.asked.append((query, parameters))
        if "pg_wal_replay_resume" in query and self.refuses:
            raise self.refuses
        if query in (held_replay.BLOCKING, held_replay.OLDER, held_replay.OLD_SNAPSHOT):
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


# --- before a planned hand-over --------------------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_replay, "AGAIN", 0.01)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("waits", "query"),
    [
        (held_replay.SNAPSHOT, held_replay.OLD_SNAPSHOT),
        ("BufferPin BufferPin", held_replay.OLDER),
        ("Lock relation", held_replay.BLOCKING),
    ],
)
def test_replay_that_stands_at_each_look_is_held_by_those_who_can(waits: str, query: str) -> None:
    standby = Standby(waits)
    began = time.monotonic()
    said = held_replay.held_by(session(standby), 0.2)
    assert 0.2 <= time.monotonic() - began < 5
    assert said == "ana@imdb (no name, process 7, in a transaction for 9 s)"
    [(asked, given)] = [
        (one, given) for one, given in standby.asked if one not in (held_replay.WAITS, held_replay.REPLAYED)
    ]
    # Whoever began since the first look is none of them.
    assert (asked, given) == (query, ("0.200", "false") if query == held_replay.OLDER else ())


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("waits", "replayed"),
    [
        (None, ["0/10"]),
        # It has gone on, be it to the next one.
        (held_replay.SNAPSHOT, ["0/10", "0/20"]),
        ("Lock relation", ["0/10", "0/20"]),
    ],
)
def test_replay_that_goes_on_is_held_by_nobody(waits: str | None, replayed: list[str]) -> None:
    standby = Standby(waits)
    standby.replayed = replayed
    assert held_replay.held_by(session(standby), 10) == ""
    standby = Standby(held_replay.SNAPSHOT)
    standby.next_waits = [held_replay.SNAPSHOT, "Activity RecoveryWalStream"]
    assert held_replay.held_by(session(standby), 10) == ""


@pytest.mark.usefixtures("hasty")
def test_one_whose_holder_is_not_known_is_held_all_the_same() -> None:
    assert held_replay.held_by(session(Standby(held_replay.SNAPSHOT, holders=())), 0.1) == (
        "a session that PostgreSQL does not name"
    )


@pytest.mark.usefixtures("hasty")
def test_one_that_ends_at_the_very_last_holds_nothing() -> None:
    standby = Standby("Lock relation")
    # After the first look and that of the wait.
    standby.next_waits = ["Lock relation", "Activity RecoveryWalStream"]
    assert held_replay.held_by(session(standby), 1e-9) == ""


def test_inside_the_window_nobody_looks_twice() -> None:
    standby = Standby("Lock relation")
    assert held_replay.held_by(session(standby), timeout=1) != ""
    assert [query for query, _given in standby.asked] == [held_replay.WAITS, held_replay.BLOCKING]
