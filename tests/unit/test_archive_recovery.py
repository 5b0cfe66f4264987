"""The recovery of an old primary from the archive: what its server is told, and when it counts as recovered."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover import archive_recovery
from ansible_collections.relevo.postgres.plugins.module_utils._handover.archive_recovery import ArchiveRecovery
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.methods import standby_settings
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.plan import Request
from ansible_collections.relevo.postgres.plugins.module_utils._repository.archive import Archive
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import Away
from ansible_collections.relevo.postgres.plugins.module_utils._server import held_replay, marker, server_log
from ansible_collections.relevo.postgres.plugins.module_utils._server import recovery as server_recovery
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import format_lsn
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.modules import pg_archive_recovery

AWAY = [Away(2, "No route.")]


class Recorder:
    """A service manager that notes what is asked of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def dont_restart(self) -> None:
        self.calls.append("dont_restart")

    def start(self) -> None:
        self.calls.append("start")

    def stop(self, timeout: float) -> None:
        self.calls.append("stop")

    def ask_to_stop(self) -> None:
        return None

    def stopped(self) -> bool:
        return False

    def wanted(self) -> bool:
        return True


class LocalSession:
    """A standby of this node that has replayed up to ``replayed``."""

    replayed = "0/3000000"

    @classmethod
    def local(cls, **_options: object) -> LocalSession:
        return cls()

    def __enter__(self) -> LocalSession:
        return self

    def __exit__(self, *_exception: object) -> None:
        return None

    def value(self, _sql: str) -> str:
        return self.replayed


@pytest.fixture
def recovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_account: None) -> ArchiveRecovery:
    monkeypatch.setattr(_names, "MARKER_DIR", tmp_path / "relevo")
    monkeypatch.setattr(archive_recovery, "Session", LocalSession)
    monkeypatch.setattr(Archive, "newest", lambda *_arguments: None)
    monkeypatch.setattr(Server, "answers", lambda _server, **_named: True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("17\n")
    return ArchiveRecovery("a", "main", Recorder(), 0.3, Server(tmp_path / "data", tmp_path / "90-replication.conf"))


def settings(server: Server) -> dict[str, str]:
    lines = [line for line in server.replication_conf.read_text().splitlines() if not line.startswith("#")]
    return {name: value.strip("'") for name, _equals, value in (line.partition(" = ") for line in lines)}


def test_the_server_starts_as_a_standby_that_restores_without_the_race(recovery: ArchiveRecovery) -> None:
    """It always crosses a switch of timelines, where asynchronous archive-get has a race (pgBackRest issue 2423)."""
    marker.write(marker.Marker.now("fence", node="a", by="alice"))
    found = recovery.run()
    assert found == {"recovery_target_timeline": "latest", "replayed": "0/3000000", "away": [], "warnings": []}
    command = settings(recovery.server)["restore_command"]
    assert "--no-archive-async" in command
    assert recovery.server.is_standby_configured
    assert marker.read("fence") is None
    assert recovery.service.calls == ["stop", "start"]  # type: ignore[attr-defined]


def test_one_that_holds_no_data_is_left_alone(recovery: ArchiveRecovery) -> None:
    """Seen: "[Errno 2] No such file or directory: .standby.signal.new", of a node whose volume was lost."""
    (recovery.server.pgdata / "PG_VERSION").unlink()
    with pytest.raises(RelevoError, match=r"^a holds no data, so it cannot return. Nothing was changed. .*restore.yml"):
        recovery.run()
    assert recovery.service.calls == []  # type: ignore[attr-defined]


def test_a_rejoin_restores_by_the_same_command(recovery: ArchiveRecovery) -> None:
    recovery.run()
    wanted = standby_settings(Request("a", Peer("b", "b")), restore=True)
    assert settings(recovery.server)["restore_command"] == wanted[2]


class Start:
    """A start of the server: what its process is, and the title of its startup process, at each look; then it answers.

    Each look takes ``step`` seconds.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *looks: tuple[int | None, str], step: float = 10) -> None:
        self.looks, self.at, self.now, self.step = looks, -1, 0.0, step
        monkeypatch.setattr(archive_recovery, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep))
        monkeypatch.setattr(Server, "answers", self.answers)
        monkeypatch.setattr(Server, "postmaster_pid", lambda _server: self.looks[self.at][0])
        monkeypatch.setattr(server_recovery, "startup_title", lambda _server: self.looks[self.at][1])
        monkeypatch.setattr(server_recovery, "how_far", lambda _server: "It is replaying.")
        monkeypatch.setattr(server_log, "last_complaint", lambda: "FATAL: no")

    def sleep(self, _seconds: float) -> None:
        self.now += self.step

    def answers(self, standby: bool) -> bool:
        assert standby
        self.at += 1
        return self.at >= len(self.looks)


def replaying(number: int) -> str:
    return f"postgres: startup recovering 0000000100000000000000{number:02X}"


NOWHERE = "postgres: startup waiting for 000000020000000000000005"


@pytest.mark.parametrize(
    "looks",
    [
        # All files are made durable, which has no name, and takes longer than a server is waited for that does nothing.
        [(7, "postgres: startup")] * 25,
        # One segment takes its time, and then another.
        [(7, title) for number in range(1, 9) for title in [replaying(number)] * 4],
        # The start guard asks first.
        [(None, ""), (None, ""), (7, replaying(1))],
        # It was started again for another reason.
        [(7, "postgres: startup"), (None, ""), (8, replaying(1)), (8, replaying(2))],
    ],
)
def test_a_recovery_that_takes_long_is_no_sign_of_another_history(
    recovery: ArchiveRecovery, monkeypatch: pytest.MonkeyPatch, looks: list[tuple[int | None, str]]
) -> None:
    """Taken for one, the rows that its successor had archived would be lost."""
    recovery.timeout = 300
    start = Start(monkeypatch, *looks)
    assert recovery.run()["recovery_target_timeline"] == "latest"
    assert start.at == len(looks)
    assert recovery.service.calls == ["stop", "start"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("looks", "seconds"),
    [
        # It ends at once, each time that it is started.
        ([(number, "postgres: startup") for number in range(1, 99)], 30),
        ([(number // 2, replaying(1 + number % 2)) for number in range(2, 99)], 40),
        ([(7, replaying(1))] + [(None, "")] * 99, 40),
        # The segment never comes.
        ([(7, NOWHERE)] * 99, 30),
        ([(None, "")] * 99, 30),
        # It hangs.
        ([(7, replaying(1))] * 99, 300),
    ],
)
def test_a_server_that_left_the_successors_history_follows_its_own(
    recovery: ArchiveRecovery, monkeypatch: pytest.MonkeyPatch, looks: list[tuple[int | None, str]], seconds: float
) -> None:
    recovery.timeout = 300
    start = Start(monkeypatch, *looks)
    stops: list[float] = []

    def stop(_timeout: float) -> None:
        stops.append(start.now)
        if len(stops) == 2:
            start.at = len(looks)

    monkeypatch.setattr(recovery.service, "stop", stop)
    assert recovery.run()["recovery_target_timeline"] == "current"
    assert settings(recovery.server)["recovery_target_timeline"] == "current"
    assert stops == [0, seconds]


def test_a_server_that_cannot_start_at_all_says_why(recovery: ArchiveRecovery, monkeypatch: pytest.MonkeyPatch) -> None:
    Start(monkeypatch, *[(None, "")] * 99)
    with pytest.raises(RelevoError, match=r"waiting for the server of a to answer as a standby \(FATAL: no\)"):
        recovery.run()


def test_a_recovery_without_end_is_left_at_that(recovery: ArchiveRecovery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is bounded, and it is not begun again with another history."""
    Start(monkeypatch, *[(7, replaying(number)) for number in range(99)], step=100)
    with pytest.raises(RelevoError, match=r"has been recovering for 3600 s, and goes on\. It is replaying\."):
        recovery.run()
    assert recovery.service.calls == ["stop", "start"]  # type: ignore[attr-defined]
    assert "recovery_target_timeline" not in settings(recovery.server)


def test_it_waits_for_the_last_segment_of_the_archive(
    recovery: ArchiveRecovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = SimpleNamespace(newest_timeline=lambda: 1, segments=lambda _timeline: ["000000010000000000000002"])
    monkeypatch.setattr(Archive, "newest", lambda *_arguments: archive)
    assert recovery.run()["recovery_target_timeline"] == "latest", "0/3000000 is the end of that segment"

    archive.segments = lambda _timeline: ["000000010000000000000003"]
    with pytest.raises(RelevoError, match="a to replay the archive up to 0/4000000"):
        recovery._wait_for_archive("latest", held_replay.HeldReplay("a", recovery.server))


def test_what_it_waits_for_is_the_newest_that_any_repository_has(
    recovery: ArchiveRecovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that answers may have been away, and have less."""
    monkeypatch.setattr(
        archive_recovery, "newest_segment_anywhere", lambda _stanza: ("0" * 7 + "1" + "0" * 15 + "2", AWAY)
    )
    found = recovery.run()
    assert found["away"] == [{"repository": 2, "reason": "No route."}]
    monkeypatch.setattr(
        archive_recovery, "newest_segment_anywhere", lambda _stanza: ("0" * 7 + "1" + "0" * 15 + "3", [])
    )
    with pytest.raises(RelevoError, match="a to replay the archive up to 0/4000000"):
        recovery._wait_for_archive("latest", held_replay.HeldReplay("a", recovery.server))


def test_of_two_repositories_the_one_that_answers_is_asked(
    recovery: ArchiveRecovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that hangs would be asked for each segment, for longer than a server is waited for."""
    monkeypatch.setattr(archive_recovery, "config_that_answers", lambda _stanza: Path("/etc/pgbackrest/repo2.conf"))
    recovery.run()
    assert "--config=/etc/pgbackrest/repo2.conf" in settings(recovery.server)["restore_command"]


def test_a_repository_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"recovery_target_timeline": "latest", "replayed": "0/1", "away": [one.as_dict() for one in AWAY]}
    monkeypatch.setattr(ArchiveRecovery, "run", lambda _recovery: found)
    warnings: list[str] = []
    params = {"node": "a", "stanza": "main", "service_manager": "runit", "timeout": 1}
    module: Any = SimpleNamespace(params=params, check_mode=False, warn=warnings.append)
    assert pg_archive_recovery.work(module) == {"changed": True, **found}
    assert warnings == [
        "Repository 2 is away: No route. What it alone may have of the dead primary was not looked for."
    ]


def test_an_archive_that_takes_long_is_waited_for_while_it_is_replayed(
    recovery: ArchiveRecovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other way is for who cannot follow, and costs rows."""
    archive = SimpleNamespace(newest_timeline=lambda: 1, segments=lambda _timeline: ["000000010000000000000003"])
    monkeypatch.setattr(Archive, "newest", lambda *_arguments: archive)
    ended = itertools.count(0x3000000, 0x200000)
    monkeypatch.setattr(LocalSession, "value", lambda _self, _sql: format_lsn(next(ended)))
    assert recovery.run()["recovery_target_timeline"] == "latest"
    assert recovery.timeout < 0.2 * 0x1000000 / 0x200000 / 2, "it takes longer than it would be waited for"


def test_a_session_that_reads_there_does_not_hold_the_archive_up(
    recovery: ArchiveRecovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With max_standby_archive_delay = -1 for ever: it answers as a standby, so anybody may read there."""
    monkeypatch.setattr(archive_recovery, "newest_segment_anywhere", lambda _stanza: ("000000010000000000000003", []))
    monkeypatch.setattr(held_replay, "GRACE", 0.0)
    monkeypatch.setattr(held_replay, "AGAIN", 0.0)
    reading = ["7"]

    def value(_self: object, sql: str) -> str:
        if sql == held_replay.WAITS:
            return "Lock relation"
        return "0/3000000" if reading else "0/4000000"

    def query(_self: object, sql: str, _parameters: tuple[str, ...] = ()) -> list[dict[str, str]]:
        if "pg_terminate_backend" in sql:
            reading.clear()
        holder = {"pid": "7", "user": "ana", "database": "imdb", "program": "psql", "open_s": "9"}
        return [holder for _pid in reading] if sql == held_replay.BLOCKING else []

    monkeypatch.setattr(LocalSession, "value", value)
    monkeypatch.setattr(LocalSession, "query", query, raising=False)
    recovery.timeout = 5
    done = recovery.run()
    assert done["replayed"] == "0/4000000"
    assert done["warnings"] == [
        "Ended on a, since replay waited for 1 session: ana@imdb (psql, process 7, in a transaction for 9 s)."
    ]


def test_data_that_was_being_overwritten_is_not_recovered(recovery: ArchiveRecovery) -> None:
    marker.write(marker.Marker.now("rejoin", node="a", by="pg_rejoin"))
    with pytest.raises(RelevoError, match="was being overwritten"):
        recovery.run()
    assert recovery.service.calls == []  # type: ignore[attr-defined]
