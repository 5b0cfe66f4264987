"""What keeps a planned hand-over from beginning."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.slots import SLOTS
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover.switchover import (
    UNCONFIRMED,
    Limits,
    Situation,
    Switchover,
    aborted,
    obstacles,
)
from ansible_collections.relevo.postgres.plugins.module_utils._handover.switchover_check import (
    RepositoryState,
    SwitchoverRequest,
    refusal,
    reserves_timelines,
    risks,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import Away, archiver_timeout
from ansible_collections.relevo.postgres.plugins.module_utils._server import held_replay
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.senders import SENDERS
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import DB_SHUTDOWNED, Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import Runit
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import Session, SessionError

GOOD = Situation()
REQUEST = SwitchoverRequest("a", "b", 2, "backup")
IDLE = RepositoryState(running=None, newest_timeline=2)


@pytest.mark.parametrize(
    "situation", [GOOD, replace(GOOD, oldest_query_s=60)], ids=["nothing special", "a query as long as it may be"]
)
def test_a_candidate_that_streams_can_take_over(situation: Situation) -> None:
    assert obstacles(situation, "b", "a", 60) == []


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        (replace(GOOD, same_cluster=False), "belongs to another cluster"),
        (replace(GOOD, replay_paused=True), "replay is paused on b"),
        (replace(GOOD, apply_delay_ms=5), "b replays with a delay"),
        (replace(GOOD, restore_command="x"), "restore_command is set: run rejoin.yml"),
        (replace(GOOD, oldest_query_s=61), "a query on b has run for 61 s"),
        (replace(GOOD, held_by="ana@imdb (psql)"), "replay on b is held back by ana@imdb (psql): end that first"),
        (replace(GOOD, synchronous="nobody would acknowledge"), "nobody would acknowledge"),
        (replace(GOOD, sender_state=""), "b does not stream from a"),
        (replace(GOOD, sender_state="catchup"), "b does not stream from a"),
    ],
)
def test_each_obstacle_is_named(situation: Situation, words: str) -> None:
    (found,) = obstacles(situation, "b", "a", 60)
    assert words in found


@pytest.mark.parametrize("why", ["b: no answer in time", "Timed out after 3 s waiting for b."])
def test_one_that_was_aborted_is_told_in_two_sentences(why: str) -> None:
    said = aborted("a", "b", why)
    assert said == f"The hand-over to b was aborted: {why.rstrip('.')}. a takes writes again; nothing has changed."


def test_all_obstacles_are_named_at_once() -> None:
    assert len(obstacles(replace(GOOD, replay_paused=True, apply_delay_ms=5, sender_state=""), "b", "a", 60)) == 3


@pytest.mark.parametrize(
    ("request_", "repository"),
    [
        (REQUEST, IDLE),
        (replace(REQUEST, unreachable=("c",)), IDLE),
        # Abandoned: everybody is there, and nobody is on it.
        (REQUEST, replace(IDLE, newest_timeline=3)),
    ],
)
def test_a_hand_over_that_can_end_may_begin(request_: SwitchoverRequest, repository: RepositoryState) -> None:
    assert refusal(request_, repository) == ""


def test_with_a_repository_that_is_away_the_old_archiver_is_not_waited_for() -> None:
    """It never ends: each of its attempts tries that one, too."""
    assert (archiver_timeout([]), archiver_timeout([Away(2, "no route.")])) == (60.0, 5.0)
    assert risks([]) == []
    (said,) = risks([Away(2, "no route.")])
    assert said.startswith("Repository 2 is away: no route. The role moves as quickly as ever")


@pytest.mark.parametrize(
    ("request_", "repository", "words"),
    [
        (REQUEST, None, "The repository host backup does not answer"),
        (REQUEST, replace(IDLE, running="10 % done"), "A backup is running (10 % done)"),
        (
            replace(REQUEST, unreachable=("c", "d")),
            replace(IDLE, newest_timeline=3),
            "newer timeline (3) than that of a (2), so another node was promoted, maybe c or d,",
        ),
    ],
)
def test_one_that_could_not_is_refused(
    request_: SwitchoverRequest, repository: RepositoryState | None, words: str
) -> None:
    assert words in refusal(request_, repository)
    assert "Nothing was changed" in refusal(request_, repository)
    assert refusal(replace(request_, force=True), repository) == ""


@pytest.mark.parametrize(
    ("request_", "repository", "reserves"),
    [
        (REQUEST, IDLE, False),
        (REQUEST, replace(IDLE, newest_timeline=3), True),
        (replace(REQUEST, force=True), None, True),
    ],
)
def test_numbers_of_abandoned_timelines_are_reserved(
    request_: SwitchoverRequest, repository: RepositoryState | None, reserves: bool
) -> None:
    assert reserves_timelines(request_, repository) is reserves


class HeldCandidate:
    """A session at a candidate whose replay waits for another session; or, gone, one that answers nothing more."""

    def __init__(self, gone: bool) -> None:
        self.gone = gone

    def value(self, query: str, timeout: float | None = None) -> str:
        if query == held_replay.WAITS and self.gone:
            raise SessionError("no answer in time")
        return "Lock relation" if query == held_replay.WAITS else "0/10"

    def query(self, query: str) -> list[dict[str, str]]:
        assert query == held_replay.BLOCKING
        return [{"pid": "7", "user": "ana", "database": "imdb", "program": "psql", "open_s": "9"}]


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (
            False,
            "b did not replay the last WAL within 0.01 s, since it is held back there by ana@imdb (psql, process 7",
        ),
        (True, "b did not replay the last WAL within 0.01 s[.]$"),
    ],
)
def test_a_window_that_ends_says_who_held_the_replay(gone: bool, words: str) -> None:
    one = Switchover(Peer("a", "a"), Peer("b", "b"), [], "alice", Runit("x"), limits=Limits(window=0.01))
    with pytest.raises(RelevoError, match=words.replace("(psql", "[(]psql")):
        one._wait_replayed(cast("Session", HeldCandidate(gone)), 0x20, time.monotonic() + 0.01)


class SleepingCandidate:
    """A session at a candidate that has noted the request to promote, and sleeps until it is woken."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def query(self, query: str, timeout: float | None = None) -> None:
        self.said.append(query)

    def flag(self, query: str, timeout: float | None = None) -> bool:
        assert query == "SELECT pg_is_in_recovery()"
        return "SELECT pg_reload_conf()" not in self.said


def test_a_candidate_that_sleeps_over_the_request_is_woken() -> None:
    """A server that forbids ALTER SYSTEM slept 5 s, in one hand-over of three; nobody took writes meanwhile."""
    one = Switchover(Peer("a", "a"), Peer("b", "b"), [], "alice", Runit("x"), limits=Limits(promotion=2))
    candidate = SleepingCandidate()
    one._promote(cast("Session", candidate))
    assert candidate.said == ["SELECT pg_promote(false)", "SELECT pg_reload_conf()"]


# --- who reads from the primary and does not confirm -----------------------------------------------------------------


def sender(
    name: str, pid: int, slot: str | None = None, state: str = "streaming", silent: float = 0.1
) -> dict[str, Any]:
    return {"application_name": name, "pid": str(pid), "state": state, "slot": slot, "silent_s": str(silent)}


class Primary:
    """A session. The consumers in ``slow`` confirm nothing; each ends when it is asked to for the second time."""

    def __init__(self, senders: list[dict[str, Any]], slow: Iterable[int] = ()) -> None:
        self.senders = senders
        self.slow = dict.fromkeys(slow, 2)
        self.asked: list[int] = []

    def value(self, _sql: str) -> str:
        return "0/5000000"

    def query(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        if sql == SENDERS:
            return self.senders
        if sql == UNCONFIRMED:
            return [row for row in self.senders if self.slow.get(int(row["pid"]))]
        assert "pg_terminate_backend" in sql
        pid = int(parameters[0])
        self.asked.append(pid)
        self.slow[pid] = max(0, self.slow.get(pid, 1) - 1)
        return []


class Stopping(Server):
    """It writes its last checkpoint once the processes in ``holding`` have been ended."""

    holding: frozenset[int] = frozenset()

    def terminate(self, backends: Iterable[int]) -> list[int]:
        living = [pid for pid in backends if pid in self.holding]
        self.holding = self.holding - set(living)
        return living

    def quick_state(self) -> tuple[int, int]:
        return (0, 0) if self.holding else (DB_SHUTDOWNED, 0x5000028)


def switchover(holding: Iterable[int] = ()) -> Switchover:
    server = Stopping()
    server.holding = frozenset(holding)
    limits = Limits(window=0.6, grace=0.2)
    return Switchover(Peer("a", "a"), Peer("b", "b"), [], "test", Runit("postgresql"), server=server, limits=limits)


def test_a_consumer_that_does_not_confirm_is_ended_before_the_window_and_named() -> None:
    primary = Primary([sender("b", 1), sender("shop", 2, "stuck"), sender("other", 3, "fine")], slow=[2])
    work = switchover()
    work._end_slow_consumers(primary)  # type: ignore[arg-type]
    assert primary.asked == [2, 2], "blocked in a write, it ends at the second request"
    (said,) = work.warnings
    assert "The logical consumer shop (slot stuck) had not confirmed within 0.2 s" in said


def test_nobody_waits_where_all_confirm() -> None:
    started = time.monotonic()
    work = switchover()
    work._end_slow_consumers(Primary([sender("shop", 2, "fine")]))  # type: ignore[arg-type]
    assert work.warnings == []
    assert time.monotonic() - started < 0.1


def test_one_that_holds_the_stop_all_the_same_is_ended_inside_the_window() -> None:
    work = switchover(holding=[2])
    work._look_at_senders(Primary([sender("b", 1), sender("shop", 2, "stuck"), sender("c", 4)]))  # type: ignore[arg-type]
    assert work.warnings == []
    started = time.monotonic()
    assert work._wait_shut_down(started, started + 0.6) == 0x5000028
    assert 0.2 <= time.monotonic() - started < 0.5
    assert [said.split(" had")[0] for said in work.warnings] == ["The logical consumer shop (slot stuck)"]


def test_a_standby_that_hangs_is_ended_as_a_consumer_is() -> None:
    """Its sender is blocked in a write, and so does not notice that the server stops."""
    primary = Primary([sender("b", 1), sender("c", 4)], slow=[4])
    work = switchover(holding=[4])
    work._end_slow_consumers(primary)  # type: ignore[arg-type]
    assert primary.asked == [4, 4]
    said = "c had not confirmed the last WAL; its connection was ended."
    assert work.warnings == [said]
    work._look_at_senders(primary)  # type: ignore[arg-type]
    started = time.monotonic()
    assert work._wait_shut_down(started, started + 0.6) == 0x5000028
    assert work.warnings == [said]


def test_what_it_does_not_know_holds_the_stop_until_the_deadline() -> None:
    work = switchover(holding=[9])
    started = time.monotonic()
    with pytest.raises(RelevoError, match="a did not stop within 0.6 s"):
        work._wait_shut_down(started, started + 0.6)


def test_a_standby_that_does_not_answer_is_dropped_at_once_and_the_candidate_never() -> None:
    silent = [sender("b", 1, silent=99), sender("c", 2, silent=99), sender("d", 3, state="catchup"), sender("e", 4)]
    primary = Primary([*silent, sender("shop", 5, "read", state="catchup")])
    work = switchover()
    work._look_at_senders(primary)  # type: ignore[arg-type]
    assert primary.asked == [2, 3], "a logical consumer gets its grace"
    assert (list(work.senders), list(work.consumers)) == ([4], [5])


# --- failover slots --------------------------------------------------------------------------------------------------


class WithSlots:
    """A session at a server with these slots; a copy comes with the third question."""

    def __init__(self, slots: list[dict[str, Any]], later: list[dict[str, Any]] | None = None) -> None:
        self.answers = [slots, slots] if later is not None else []
        self.last = slots if later is None else later

    def value(self, sql: str) -> str:
        if "sync_replication_slots" in sql:
            return "on"
        assert sql == SLOTS
        return json.dumps(self.answers.pop(0) if self.answers else self.last)


KEPT = {"name": "kept", "type": "logical", "failover": True, "database": "shop"}


@pytest.mark.parametrize(
    ("reading", "later", "named"),
    [
        (True, [KEPT | {"synced": True}], False),
        (True, None, True),
        # Nobody reads from it, so no copy of it would come.
        (False, [KEPT | {"synced": True}], True),
    ],
)
def test_a_failover_slot_that_somebody_reads_is_waited_for(
    reading: bool, later: list[dict[str, Any]] | None, named: bool
) -> None:
    work = switchover()
    work.limits = replace(work.limits, slots=0.5)
    work._name_slots(WithSlots([KEPT | {"active": reading}]), WithSlots([], later))  # type: ignore[arg-type]
    assert any("The failover slot kept" in said for said in work.warnings) == named
