"""Whether the standby of this node may be promoted, given what the servers and the archive say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from segments import SIZE, named, segment

from ansible_collections.relevo.postgres.plugins.module_utils import _wait
from ansible_collections.relevo.postgres.plugins.module_utils._cluster import synchronous
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover import promotion
from ansible_collections.relevo.postgres.plugins.module_utils._handover.promotion import PromotionRequest, refusal
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import Away
from ansible_collections.relevo.postgres.plugins.module_utils._server import (
    abandoned_timelines,
    held_replay,
    marker,
    service,
    standby_minimum,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.held_replay import OutgrownError
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import format_lsn
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import Session, SessionError

A, B, C = (Peer(name, name) for name in "abc")
MANAGER = "runit"
REQUEST = PromotionRequest(local=B, nodes=[A, B, C], old_primary="a", requested_by="alice")


def state(node: Peer, lsn: str = "0/5000000", timeline: int = 2, primary: bool = False) -> NodeState:
    lsns = {"current_lsn": lsn} if primary else {"receive_lsn": lsn, "replay_lsn": lsn}
    data: dict[str, Any] = {"in_recovery": not primary, "timeline": timeline, "system_identifier": "7", **lsns}
    return NodeState(node, data)


def gone(node: Peer) -> NodeState:
    return NodeState(node, error="no answer")


@pytest.mark.parametrize(
    ("states", "archived"),
    [
        ([gone(A), state(B), gone(C)], 2),
        ([gone(A), state(B), state(C)], 2),
        ([gone(A), state(B, "0/6000000"), state(C)], 2),
        # Where the archive cannot be asked it objects to nothing.
        ([gone(A), state(B), state(C)], 0),
    ],
)
def test_the_most_advanced_standby_is_promoted(states: list[NodeState], archived: int) -> None:
    assert refusal(REQUEST, Topology(states), archived) == ""


@pytest.mark.parametrize("force", [False, True])
def test_beside_a_primary_nobody_is(force: bool) -> None:
    said = refusal(replace(REQUEST, force=force), Topology([state(A, primary=True), state(B)]), 2)
    assert said.startswith("a takes writes. Nothing was changed")


@pytest.mark.parametrize(
    ("wanted", "states", "archived", "words"),
    [
        (REQUEST, [state(B), state(C, "0/6000000")], 2, "c is ahead of b (LSN 0/6000000 on timeline 2 against 0/50"),
        (REQUEST, [state(B, "0/6000000"), state(C, timeline=3)], 2, "c is ahead of b"),
        (replace(REQUEST, newer_timeline=3), [state(B)], 2, "a was promoted to timeline 3, and b is on timeline 2"),
        (REQUEST, [state(B)], 3, "The archive holds a newer timeline (3) than that of b (2)"),
    ],
)
def test_what_would_be_lost_is_refused_unless_forced(
    wanted: PromotionRequest, states: list[NodeState], archived: int, words: str
) -> None:
    said = refusal(wanted, Topology([gone(A), *states]), archived)
    assert said.startswith(words)
    assert "force=true" in said
    assert refusal(replace(wanted, force=True), Topology([gone(A), *states]), archived) == ""


def test_the_server_that_is_to_be_promoted_is_asked_again_over_its_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow over the network, it would count as being on timeline 0, and the archive as ahead of it."""
    data = state(B).data
    questions: list[tuple[str, float]] = []

    class Local:
        def __init__(self, dbname: str, _name: str, timeout: float) -> None:
            questions.append((dbname, timeout))

        def __enter__(self) -> Local:
            return self

        def __exit__(self, *_exception: object) -> None:
            pass

        def value(self, _query: str, timeout: float) -> str:
            questions.append(("", timeout))
            return json.dumps(data)

    answers = [gone(A), gone(B), state(C)]
    monkeypatch.setattr(promotion, "probe", lambda *_given: answers)
    monkeypatch.setattr(Session, "local", Local)
    assert promotion.Promotion(REQUEST, MANAGER).check() == (2, 0)
    assert questions == [("relevo", 30.0), ("", 30.0)]
    # It has answered: what was wrong the first time is wrong no more.
    assert answers[1].error is None
    # What others have that it lacks is still seen.
    answers[1:] = [gone(B), state(C, "0/9000000")]
    with pytest.raises(RelevoError, match="c is ahead of b"):
        promotion.Promotion(REQUEST, MANAGER).check()
    # Who answered is not asked twice.
    questions.clear()
    answers[1:] = [state(B), state(C)]
    assert promotion.Promotion(REQUEST, MANAGER).check() == (2, 0)
    assert questions == []


def test_the_archive_is_asked_by_the_name_that_it_likely_has(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def newest(_stanza: str, _timeout: float, likely: str) -> tuple[int, list[Away]]:
        asked.append(likely)
        return 2, []

    def unknown(_server: Server) -> int:
        raise RelevoError("This node is not configured.")

    monkeypatch.setattr(promotion, "newest_timeline_anywhere", newest)
    one = promotion.Promotion(replace(REQUEST, stanza="main"), MANAGER, Server(Path("/var/lib/postgresql/17/main")))
    assert one._newest_archived() == 2
    # A guess that cannot be made is no reason not to ask.
    monkeypatch.setattr(Server, "version", property(unknown))
    assert one._newest_archived() == 2
    assert (asked, one.warnings) == (["17-1", ""], [])


def test_one_of_two_repositories_that_is_away_is_named_and_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    away = [Away(2, "It takes no connections.")]
    monkeypatch.setattr(promotion, "newest_timeline_anywhere", lambda *_given, likely: (2, away))
    one = promotion.Promotion(replace(REQUEST, stanza="main"), MANAGER)
    assert one._newest_archived() == 2
    assert one.away == [2]
    assert one.warnings == [
        "Repository 2 is away: It takes no connections. What it alone may have of the dead primary was not looked for."
    ]


# --- what it waits for -----------------------------------------------------------------------------------------------


class Standby:
    """The server of this node, on a clock that goes on while somebody sleeps.

    It replays up to ``end`` at ``speed`` bytes a second; its receiver ends after ``receives`` seconds, and once it is
    asked to it takes writes when all is replayed. ``unwilling``: what fails of each further session. ``holding``: the
    sessions that its replay waits for; until they are ended it stands still. ``asleep``: it has noted the request, and
    sleeps until it is woken.
    """

    def __init__(
        self,
        end: int,
        speed: float = 1.0,
        receives: float = 0,
        unwilling: str = "",
        holding: tuple[str, ...] = (),
        asleep: bool = False,
    ) -> None:
        self.asleep = asleep
        self.end, self.speed, self.receives, self.unwilling = end, speed, receives, unwilling
        self.holding, self.freed = dict.fromkeys(holding), 0.0
        self.now, self.promoted, self.paces = 0.0, False, list[str]()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 1)

    @property
    def replayed(self) -> int:
        if self.holding:
            return 0x5000000
        return min(self.end, 0x5000000 + int(self.speed * (self.now - self.freed)))

    def value(self, query: str) -> str | None:
        if query == held_replay.WAITS:
            return held_replay.SNAPSHOT if self.holding else "Activity RecoveryWalStream"
        if "pg_stat_wal_receiver" in query:
            return "t" if self.now < self.receives else None
        if "pg_settings" in query:
            return str(SIZE) if "wal_segment_size" in query else "0"
        assert query in (held_replay.REPLAYED, promotion.RECEIVED)
        return format_lsn(self.replayed)

    def flag(self, query: str) -> bool:
        takes_writes = self.promoted and not self.asleep and self.replayed == self.end
        return takes_writes if "in_recovery" in query else False

    def query(self, query: str, parameters: tuple[str, ...] = (), timeout: float | None = None) -> list[dict[str, str]]:
        if query == held_replay.OLDER:
            return [
                {"pid": pid, "user": "ana", "database": "imdb", "program": "report", "open_s": "300"}
                for pid in self.holding
            ]
        if "pg_terminate_backend" in query:
            del self.holding[parameters[0]]
            self.freed = self.now
        self.promoted = self.promoted or query == "SELECT pg_promote(false)"
        if "pg_reload_conf" in query and self.promoted:
            self.asleep = False
        assert "ALTER SYSTEM" not in query, "it is to be done in a session of its own"
        return []

    def another(self, **given: Any) -> Any:
        if self.unwilling:
            raise SessionError(self.unwilling)
        paces = self.paces

        class Another:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_exception: object) -> None:
                pass

            def query(self, query: str, timeout: float | None = None) -> None:
                paces.append(query)

        assert given["timeout"] == promotion.PACE
        return Another()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Standby], promotion.Promotion]:
    def make(standby: Standby) -> promotion.Promotion:
        monkeypatch.setattr(_wait, "time", standby)
        monkeypatch.setattr(promotion, "time", standby)
        monkeypatch.setattr(Session, "local", standby.another)
        monkeypatch.setattr(Server, "write_replication_conf", lambda *_given: True)
        monkeypatch.setattr(synchronous, "drop_requirement", lambda: False)
        monkeypatch.setattr(abandoned_timelines, "reserve", lambda *_given: None)
        return promotion.Promotion(REQUEST, MANAGER, Server(tmp_path / "data"), began=0.0)

    return make


Make = Callable[[Standby], promotion.Promotion]


def taken_over(one: promotion.Promotion, standby: Standby) -> dict[str, Any]:
    return one._take_over(cast("Session", standby), 2, 0)


def test_a_promotion_that_replays_for_minutes_is_waited_for(made: Make) -> None:
    """As a standby that lags on purpose does, or a slow one: 500 s of replay, and the receiver ends after 100 of it."""
    standby = Standby(end=0x5000000 + 500, receives=100)
    done = taken_over(made(standby), standby)
    assert (done["end_lsn"], standby.promoted, 500 <= standby.now < 510) == ("0/50001F4", True, True)
    assert standby.paces == ["ALTER SYSTEM SET wal_retrieve_retry_interval = '5ms'", "SELECT pg_reload_conf()"]


def test_one_that_sleeps_over_the_request_is_woken(made: Make) -> None:
    """A server that forbids ALTER SYSTEM slept 5 s, in one promotion of three."""
    standby = Standby(end=0x5000000, asleep=True, unwilling="ALTER SYSTEM is not allowed in this environment")
    assert taken_over(made(standby), standby)["end_lsn"] == "0/5000000"
    assert standby.now < 5


@pytest.mark.parametrize(
    ("standby", "words", "ends"),
    [
        # It would take longer than the play waits for.
        (
            Standby(0x5000000 + 5000),
            "after 840 s, although it still goes on, waiting for b to be promoted.* run this",
            840,
        ),
        (Standby(0x5000001, receives=999), "after 30 s in which nothing went on, waiting for the WAL receiver", 31),
        (Standby(0x5000001, speed=0), "after 60 s in which nothing went on, waiting for b to be promoted", 60),
    ],
)
def test_what_stands_ends_it_and_so_does_what_never_ends(made: Make, standby: Standby, words: str, ends: float) -> None:
    with pytest.raises(RelevoError, match=words):
        taken_over(made(standby), standby)
    assert standby.now == ends


def test_sessions_that_hold_replay_back_are_ended_and_named(made: Make) -> None:
    """For ever, with max_standby_streaming_delay = -1. Before, 60 s later nobody had been promoted."""
    standby = Standby(end=0x5000000 + 5, holding=("812", "813"))
    one = made(standby)
    assert taken_over(one, standby)["end_lsn"] == "0/5000005"
    assert standby.now < 10
    assert one.held.sentences() == [
        "Ended on b, since replay waited for 2 sessions: ana@imdb (report, process 812, in a transaction for 300 s), "
        "ana@imdb (report, process 813, in a transaction for 300 s)."
    ]


def test_a_standby_that_paused_for_greater_settings_is_started_again_with_them(
    made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To resume it would shut it down. The lock on it is taken again; who shut down for that is told by its files."""
    standby = Standby(end=0x5000000)
    one = made(standby)
    said: list[str] = []

    class Lock:
        def __init__(self, *_given: object) -> None:
            self.unreachable: dict[str, str] = {}

        def take(self, *_given: object) -> None:
            said.append("lock")

        def release(self) -> None:
            said.append("release")

    class Service:
        def start(self) -> None:
            said.append("start")

    failures: list[RelevoError] = [OutgrownError("b", ["max_connections"]), SessionError("it is gone")]
    pgdata = tmp_path / "data"
    pgdata.mkdir()
    (pgdata / "standby.signal").touch()

    def promoted(_self: object, _started: float) -> dict[str, Any]:
        if failures:
            raise failures.pop(0)
        return {"promoted": True}

    monkeypatch.setattr(promotion, "HandoverLock", Lock)
    monkeypatch.setattr(marker, "require_no_restore", lambda _name: None)
    monkeypatch.setattr(marker, "require_membership", lambda _name: None)
    monkeypatch.setattr(service, "stop_for_good", lambda *_given, **_options: said.append("stop"))
    monkeypatch.setattr(service, "service_for", lambda _manager: Service())
    monkeypatch.setattr(standby_minimum, "needed", lambda _server: {"max_worker_processes": 16})
    monkeypatch.setattr(Server, "wait_ready", lambda *_given, **_options: said.append("ready"))
    monkeypatch.setattr(promotion.Promotion, "_promoted", promoted)
    # It stands still when it is found so, and is gone when it shut down.
    monkeypatch.setattr(Server, "postmaster_pid", lambda _server: 7 if len(failures) == 1 else None)
    assert one.run()["promoted"]
    again = ["release", "start", "ready", "lock"]
    assert said == ["lock", "release", "stop", *again[1:], *again, "release"]
    assert "had a greater max_connections, and its replay" in one.warnings[0]
    assert "had a greater max_worker_processes, and its replay" in one.warnings[1]
    # One that has lost its session and goes on was only slow, and is not stopped for it.
    monkeypatch.setattr(promotion, "SHUTDOWN", 0.1)
    monkeypatch.setattr(Server, "postmaster_pid", lambda _server: 7)
    one.postmaster = 7
    assert one._shut_down_for(SessionError("no answer in time")) == ""
    # Not for ever; and not for a server that answered, or is a standby no longer.
    failures = [OutgrownError("b", ["max_connections"]) for _number in range(9)]
    with pytest.raises(OutgrownError):
        one.run()
    assert one.started_again == promotion.MOST_STARTS
    assert one._shut_down_for(SessionError("no", "42501")) == ""
    (pgdata / "standby.signal").unlink()
    assert one._shut_down_for(SessionError("it is gone")) == ""


def test_the_only_standby_is_started_again_even_when_it_could_not_be_stopped(
    made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its service would leave it down otherwise, with the old primary fenced."""
    started: list[bool] = []

    def refuse(*_given: object, **_options: object) -> None:
        raise RelevoError("it hangs.")

    monkeypatch.setattr(service, "stop_for_good", refuse)
    monkeypatch.setattr(service, "service_for", lambda _manager: SimpleNamespace(start=lambda: started.append(True)))
    monkeypatch.setattr(Server, "postmaster_pid", lambda _server: 7)
    with pytest.raises(RelevoError, match="it hangs"):
        made(Standby(end=0x5000000))._start_again("max_connections", cast("Any", SimpleNamespace(release=lambda: None)))
    assert started == [True]


def test_what_is_only_for_speed_ends_nothing(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    standby = Standby(end=0x5000001, unwilling="the server of this node: no answer in time")
    one = made(standby)
    reloads: list[bool] = []
    monkeypatch.setattr(Server, "reload", lambda _server: reloads.append(standby.promoted))
    taken_over(one, standby)
    assert reloads == [False], "it is told of its files all the same, before it is promoted"
    one.finish(cast("Session", standby))
    assert len(one.warnings) == 2
    assert all(said.endswith(" (the server of this node: no answer in time).") for said in one.warnings)
    assert "look for WAL more often" in one.warnings[0]
    assert "ALTER SYSTEM RESET" in one.warnings[1]


@pytest.mark.usefixtures("own_account")
@pytest.mark.parametrize(("speed", "replayed"), [(0.5, True), (0, False)])
def test_salvaged_wal_is_waited_for_as_long_as_it_is_replayed(
    made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speed: float, replayed: bool
) -> None:
    """400 s and more of it; of a segment whose copy broke off nothing is taken."""
    standby = Standby(end=0x5000000 + 300, speed=speed)
    one = made(standby)
    wal, salvage = tmp_path / "data" / "pg_wal", tmp_path / "salvage"
    wal.mkdir(parents=True)
    salvage.mkdir()
    for number, length in ((5, SIZE), (6, SIZE // 2)):
        (salvage / named(number)).write_bytes(segment(named(number))[:length])
    read: list[str] = []

    def last(path: Path, _programs: Path) -> int:
        read.append(path.name)
        return 0x5000000 + 200

    monkeypatch.setattr(promotion, "last_record", last)
    monkeypatch.setattr(Server, "bin_directory", tmp_path)
    if replayed:
        assert one._replay_salvage(cast("Session", standby), salvage) == (201, True)
        # A server that was started again since has them, and the folder does not.
        assert one._replay_salvage(cast("Session", standby), salvage) == (200, True)
    else:
        with pytest.raises(RelevoError, match="after 300 s in which nothing went on, waiting for the salvaged WAL"):
            one._replay_salvage(cast("Session", standby), salvage)
    assert read == [named(5)]
    assert sorted(path.name for path in wal.iterdir()) == [named(5)]


@pytest.mark.usefixtures("own_account")
@pytest.mark.parametrize(
    ("received", "saved"),
    [
        # All of it; the last record begins at 0/50000C8 and ends before 0/50000D0.
        ("0/50000D0", 0),
        # Only its first byte: its rest is on the dead primary's disk alone.
        ("0/50000C9", 7),
        ("0/5000000", 0xD0),
    ],
)
def test_what_the_standby_had_received_is_not_counted_as_saved(
    made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, received: str, saved: int
) -> None:
    """Seen: "3319408 bytes that only it had were saved", of a standby whose replay was paused and that had them all.

    It is put in its place all the same: what was received need not be whole, and may not be what was written.
    """
    standby = Standby(end=0x50000D0, speed=1000)
    value = standby.value
    monkeypatch.setattr(standby, "value", lambda query: received if query == promotion.RECEIVED else value(query))
    monkeypatch.setattr(promotion, "last_record", lambda *_given: 0x50000C8)
    monkeypatch.setattr(Server, "bin_directory", tmp_path)
    one = made(standby)
    wal, salvage = tmp_path / "data" / "pg_wal", tmp_path / "salvage"
    wal.mkdir(parents=True)
    salvage.mkdir()
    (salvage / named(5)).write_bytes(segment(named(5)))
    assert one._replay_salvage(cast("Session", standby), salvage) == (saved, True)
    assert (wal / named(5)).exists()
