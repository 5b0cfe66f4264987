"""Which segments the archive must hold after a hand-over."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _process
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover.archive_gap import (
    ArchiveGap,
    oldest_needed,
    still_lost,
)
from ansible_collections.relevo.postgres.plugins.module_utils._process import Finished
from ansible_collections.relevo.postgres.plugins.module_utils._repository import archive
from ansible_collections.relevo.postgres.plugins.module_utils._repository.archive import Archive, Span, spans
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import SEGMENT_SIZE, Fork
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server

pytestmark = pytest.mark.usefixtures("repositories_answer")


def test_the_whole_segments_before_the_fork_are_needed() -> None:
    found = spans([Fork(1, 9 * SEGMENT_SIZE + 100)], oldest=5)
    assert found == [Span(1, 5, 9)]
    assert found[0].names()[0] == "000000010000000000000005"
    assert found[0].names()[-1] == "000000010000000000000008"


def test_each_ancestor_begins_where_the_one_before_ended() -> None:
    history = [Fork(1, 4 * SEGMENT_SIZE + 1), Fork(2, 7 * SEGMENT_SIZE + 1)]
    assert spans(history, oldest=2) == [Span(2, 4, 7), Span(1, 2, 4)]


def test_a_timeline_that_ended_in_its_first_segment_needs_none() -> None:
    history = [Fork(1, 4 * SEGMENT_SIZE + 1), Fork(2, 4 * SEGMENT_SIZE + 9)]
    assert spans(history, oldest=1) == [Span(1, 1, 4)]


def test_what_is_older_than_the_archive_is_not_needed() -> None:
    assert spans([Fork(1, 4 * SEGMENT_SIZE)], oldest=4) == []


def backup(start: str | None) -> dict[str, dict[str, str | None]]:
    return {"archive": {"start": start, "stop": start}}


def test_what_the_oldest_backup_does_not_need_is_not_pushed_again() -> None:
    # A server that did not know of the expiry archived segment 2 of timeline 1 once more.
    archived = {"000000010000000000000002", "00000005000000000000001B"}
    kept = [backup(None), backup("000000050000000000000020"), backup("00000005000000000000001B")]
    assert oldest_needed(kept, archived) == 0x1B


def test_a_primary_that_died_before_it_archived_anything_leaves_a_gap_too() -> None:
    assert oldest_needed([backup("000000020000000000000007")], archived=set()) == 7


def test_without_a_backup_the_archive_tells_what_is_needed() -> None:
    assert oldest_needed([], {"000000010000000000000004", "000000010000000000000003"}) == 3
    assert oldest_needed([backup(None)], set()) is None


# --- closing it ------------------------------------------------------------------------------------------------------

LOCAL = [f"00000001000000000000000{number}" for number in (3, 4)]


def closed(gap: ArchiveGap, check_mode: bool = False) -> tuple[list[str], list[str]]:
    """What is pushed, and what is lost."""
    done = gap.close(2, check_mode)
    assert list(done.lost_in) == ([1] if done.lost else [])
    return list(done.pushed), list(done.lost)


@pytest.fixture
def gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArchiveGap:
    """Timeline 1 ended in segment 5; the archive has segment 1 and needs 2 to 4, of which 3 and 4 are here."""
    wal = tmp_path / "pg_wal"
    (wal / "archive_status").mkdir(parents=True)
    (wal / "00000002.history").write_text("1\t0/5000100\tno recovery target specified\n")
    for name in LOCAL:
        (wal / name).touch()
    monkeypatch.setattr(Archive, "newest", lambda pgbackrest, timeout: Archive(pgbackrest, "17-1", timeout))
    monkeypatch.setattr(Archive, "segments", lambda _self, *_timelines: ["000000010000000000000001"])
    monkeypatch.setattr(Archive, "history", lambda _self, _timeline: "1\t0/5000100\tno recovery target specified\n")
    backup = {"archive": {"start": "000000010000000000000001"}}
    monkeypatch.setattr(PgBackRest, "require_stanza", lambda *_arguments: {"backup": [backup]})
    return ArchiveGap("main", 1.0, Server(tmp_path))


def pushes(monkeypatch: pytest.MonkeyPatch, code: int = 0) -> list[str]:
    """Let pgBackRest answer ``code``; returns what it is asked to push."""
    pushed: list[str] = []

    def run(command: list[str], _timeout: float, _grace: float) -> Finished:
        # Asynchronously it would wait for a file that the server has not marked as ready.
        assert command[-3:-1] == ["--reset-archive-push-queue-max", "archive-push"]
        assert "--no-archive-async" in command
        pushed.append(Path(command[-1]).name)
        return Finished(code, "", "ERROR: [103]: no repository", 0.1)

    monkeypatch.setattr(_process, "run_to_end", run)
    return pushed


def test_what_is_missing_and_here_is_pushed(gap: ArchiveGap, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed = pushes(monkeypatch)
    assert closed(gap) == (LOCAL, ["000000010000000000000002"])
    assert pushed == LOCAL


def test_an_archive_that_began_anew_gets_the_history(gap: ArchiveGap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Archive, "history", lambda _self, _timeline: None)
    monkeypatch.setattr(Archive, "segments", lambda _self, *_timelines: [])
    monkeypatch.setattr(PgBackRest, "require_stanza", lambda *_arguments: {"backup": []})
    pushed = pushes(monkeypatch)
    assert closed(gap, check_mode=True) == (["00000002.history"], [])
    assert pushed == []
    assert closed(gap) == (["00000002.history"], [])
    assert pushed == ["00000002.history"]


def test_in_check_mode_it_is_only_said(gap: ArchiveGap, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed = pushes(monkeypatch)
    assert closed(gap, check_mode=True) == (LOCAL, ["000000010000000000000002"])
    assert pushed == []


@pytest.mark.parametrize(("code", "reason"), [(103, "no repository. Until it is there"), (45, "another content")])
def test_what_cannot_be_pushed_is_a_failure(
    gap: ArchiveGap, monkeypatch: pytest.MonkeyPatch, code: int, reason: str
) -> None:
    pushes(monkeypatch, code)
    with pytest.raises(RelevoError, match=reason):
        gap.close(2)


def test_a_push_waits_for_a_server_that_pushes_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a repository that is away the new primary held the lock of the other, and the old one did not rejoin."""
    locked = (
        "ERROR: [103]: unable to find a valid repository:\n repo1: [LockAcquireError] raised from remote-0 tls "
        "protocol on 'repo': unable to acquire lock on file 'main-archive-1.lock': Resource temporarily unavailable"
    )
    answers = [Finished(103, "", locked, 0.1), Finished(50, "", "", 0.1), Finished(0, "", "", 0.1)]
    monkeypatch.setattr(PgBackRest, "try_run", lambda *_arguments, **_options: answers.pop(0))
    monkeypatch.setattr(archive, "OTHERS_PUSH", 5.0)
    assert archive.push(PgBackRest("main"), tmp_path / "000000010000000000000001", 1)
    assert answers == []


def test_a_push_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(PgBackRest, "try_run", lambda *_arguments, **_options: Finished(50, "", "", 0.1))
    monkeypatch.setattr(archive, "OTHERS_PUSH", 0.1)
    with pytest.raises(RelevoError, match="waiting for the archive to take 000000010000000000000001, while another"):
        archive.push(PgBackRest("main"), tmp_path / "000000010000000000000001", 1)


# --- the server's own timeline ---------------------------------------------------------------------------------------


def own(gap: ArchiveGap, timeline: int, *numbers: int, done: bool = True) -> list[str]:
    """Whole segments that the server has on its disk; ``done``: which it takes for archived."""
    names = [f"{timeline:08X}{number:016X}" for number in numbers]
    wal = gap.server.pgdata / "pg_wal"
    for name in names:
        (wal / name).write_bytes(name.encode())
        (wal / "archive_status" / f"{name}.{'done' if done else 'ready'}").touch()
    return names


def holding(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """What the folders of the archive have that are looked into for the server's own timeline."""
    monkeypatch.setattr(Archive, "held", lambda _self, segments: set(names) if segments else set())


@pytest.mark.parametrize("timeline", [1, 2])
def test_what_was_dropped_of_the_own_timeline_is_pushed_while_it_is_here(
    gap: ArchiveGap, monkeypatch: pytest.MonkeyPatch, timeline: int
) -> None:
    for name in LOCAL:
        (gap.server.pgdata / "pg_wal" / name).unlink()
    monkeypatch.setattr(Archive, "segments", lambda _self, *_timelines: LOCAL)
    first, dropped, last = own(gap, timeline, 6, 7, 8)
    # 9 is on its way, and the server writes 10.
    own(gap, timeline, 9, done=False)
    (gap.server.pgdata / "pg_wal" / f"{timeline:08X}{10:016X}").touch()
    holding(monkeypatch, first, last)
    pushed = pushes(monkeypatch)
    done = gap.close(timeline, check_mode=True)
    assert (list(done.pushed), pushed) == ([dropped], [])
    assert dropped in gap.close(timeline).pushed
    assert pushed == [dropped]


def test_what_the_oldest_backup_does_not_need_of_the_own_timeline_is_left(
    gap: ArchiveGap, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(gap, 1, 6)
    holding(monkeypatch)
    monkeypatch.setattr(PgBackRest, "require_stanza", lambda *_arguments: {"backup": [backup(f"{1:08X}{7:016X}")]})
    pushed = pushes(monkeypatch)
    assert (gap.close(1).pushed, pushed) == ([], [])


def test_what_is_gone_of_the_own_timeline_costs_no_backup(gap: ArchiveGap, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may still be archived, and of what was dropped on purpose status.yml tells."""
    own(gap, 1, 6, 8)
    holding(monkeypatch, *own(gap, 1, 6))
    pushes(monkeypatch)
    done = gap.close(1)
    assert (list(done.pushed), list(done.lost), list(done.lost_in)) == ([f"{1:08X}{8:016X}"], [], [])


@pytest.mark.parametrize("moment", ["before", "meanwhile"])
def test_a_segment_that_the_server_recycles_is_not_pushed(
    gap: ArchiveGap, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The server renames it, and writes another one into the same file."""
    [name] = own(gap, 1, 6)
    holding(monkeypatch)
    pushed = pushes(monkeypatch)
    copy = shutil.copyfile

    def recycled(source: Path, target: Path) -> Path:
        if moment == "before":
            source.unlink()
            return Path(copy(source, target))
        made = Path(copy(source, target))
        source.rename(source.with_name(f"{1:08X}{99:016X}"))
        return made

    monkeypatch.setattr(shutil, "copyfile", recycled)
    done = gap.close(1)
    assert name not in done.pushed
    assert (pushed, done.lost) == ([], [])


def test_only_the_folders_of_what_is_here_are_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    here, there = f"{3:08X}{0x1FF:016X}", f"{3:08X}{0x100000000:016X}"
    missing = f"{3:08X}{0x1FE:016X}"

    def names(_self: PgBackRest, path: str, _timeout: float) -> list[str]:
        asked.append(path)
        return [f"{here}-{'0' * 40}.zst"]

    monkeypatch.setattr(PgBackRest, "names", names)
    assert Archive(PgBackRest("main"), "17-1").held([here, missing, there]) == {here}
    assert asked == ["archive/main/17-1/0000000300000000", "archive/main/17-1/0000000300000001"]


# --- two repositories ------------------------------------------------------------------------------------------------

SECOND = "000000010000000000000002"


@pytest.fixture
def two(gap: ArchiveGap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArchiveGap:
    """The second one was away: the first one has all but what is only here, and it has segment 1."""
    for name in ("pgbackrest.conf", "repo1.conf", "repo2.conf"):
        (tmp_path / name).write_text("[global]\n")

    def segments(archive: Archive, *_timelines: int) -> list[str]:
        first = ["000000010000000000000001"]
        return [*first, SECOND, LOCAL[0]] if archive.pgbackrest.repository == 1 else first

    monkeypatch.setattr(Archive, "segments", segments)
    monkeypatch.setattr(PgBackRest, "names", lambda *_arguments: ["00000002.history"])
    monkeypatch.setattr("os.chown", lambda *_arguments: None)
    gap.config = tmp_path / "pgbackrest.conf"
    return gap


def answering(
    monkeypatch: pytest.MonkeyPatch, failing: str = "", verb_that_fails: str = "archive-"
) -> list[tuple[str, str, str]]:
    """What pgBackRest is asked: the configuration, the command, the file. ``failing``: a configuration that fails."""
    asked: list[tuple[str, str, str]] = []

    def run(command: list[str], _timeout: float, _grace: float) -> Finished:
        [config] = [Path(word.partition("=")[2]).stem for word in command if word.startswith("--config=")]
        verb = next(word for word in command if word.startswith("archive-"))
        asked.append((config, verb, Path(command[-1]).name))
        if config == failing and verb.startswith(verb_that_fails):
            return Finished(103, "", "ERROR: [103]: no route", 0.1)
        if verb == "archive-get":
            Path(command[-1]).touch()
        return Finished(0, "", "", 0.1)

    monkeypatch.setattr(_process, "run_to_end", run)
    return asked


def test_what_no_server_has_any_more_is_copied_from_the_other_repository(
    two: ArchiveGap, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch)
    done = two.close(2)
    assert asked == [
        ("repo1", "archive-push", LOCAL[1]),
        ("repo2", "archive-push", LOCAL[0]),
        ("repo2", "archive-push", LOCAL[1]),
        ("repo1", "archive-get", SECOND),
        ("repo2", "archive-push", SECOND),
    ]
    assert sorted(done.pushed) == sorted([SECOND, *LOCAL])
    assert (list(done.lost), list(done.lost_in), list(done.away)) == ([], [], [])


def test_one_that_is_away_is_named_and_the_other_one_gets_what_it_lacks(
    two: ArchiveGap, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, failing="repo2")
    done = two.close(2)
    assert list(done.pushed) == [LOCAL[1]]
    assert [one.repository for one in done.away] == [2]
    assert "no route" in done.away[0].reason


def test_what_neither_has_is_lost_in_both(two: ArchiveGap, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch)
    monkeypatch.setattr(Archive, "segments", lambda _self, *_timelines: ["000000010000000000000001"])
    done = two.close(2)
    assert (list(done.lost), list(done.lost_in)) == ([SECOND], [1, 2])


def test_one_that_hangs_when_it_is_copied_from_is_the_one_that_is_away(
    two: ArchiveGap, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch, failing="repo1", verb_that_fails="archive-get")
    done = two.close(2)
    assert list(done.pushed) == LOCAL
    assert [one.repository for one in done.away] == [1]
    # The other one has it, so it is not lost.
    assert (list(done.lost), list(done.lost_in)) == ([], [])
    assert len([verb for _config, verb, _name in asked if verb == "archive-get"]) == 1


def test_what_is_to_be_copied_is_said_in_check_mode(two: ArchiveGap, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch)
    done = two.close(2, check_mode=True)
    assert sorted(done.pushed) == sorted([SECOND, *LOCAL])
    assert (list(done.lost), asked) == ([], [])


def test_the_way_to_an_older_timeline_is_copied(two: ArchiveGap, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch)
    path = two.server.pgdata / "pg_wal" / "00000003.history"
    path.write_text("1\t0/2000100\tno reason\n2\t0/5000100\tno reason\n")
    monkeypatch.setattr(
        PgBackRest,
        "names",
        lambda pgbackrest, *_arguments: ["00000002.history", "00000003.history"][2 - pgbackrest.repository :],
    )
    two.close(3)
    assert ("repo1", "archive-push", "00000002.history") in asked
    assert ("repo2", "archive-push", "00000002.history") not in asked


OLDER: list[dict[str, Any]] = [{"archive": {"start": "000000010000000000000001"}}]


@pytest.mark.parametrize(
    ("start", "lost"),
    [
        ("000000010000000000000002", True),
        ("000000010000000000000003", False),
        ("000000020000000000000006", False),
        # Of branches that nobody follows: what comes after the fork, and another timeline.
        ("000000010000000000000009", True),
        ("000000070000000000000009", True),
    ],
)
def test_what_is_lost_is_lost_until_a_backup_begins_after_it(start: str, lost: bool) -> None:
    backups: list[dict[str, Any]] = [*OLDER, {"archive": {"start": start}}, {"archive": {"start": None}}]
    found = still_lost([SECOND], backups, [Fork(1, 5 * SEGMENT_SIZE + 100)], 2)
    assert found == ([SECOND] if lost else [])
    assert still_lost([SECOND], [], [Fork(1, 5 * SEGMENT_SIZE + 100)], 2) == [SECOND]


def test_what_was_lost_costs_one_full_backup_and_not_one_each_time(
    two: ArchiveGap, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch)
    monkeypatch.setattr(Archive, "segments", lambda _self, *_timelines: ["000000010000000000000001"])
    after = {"archive": {"start": "000000020000000000000006"}}
    monkeypatch.setattr(PgBackRest, "require_stanza", lambda *_arguments: {"backup": [*OLDER, after]})
    done = two.close(2)
    assert (list(done.lost), list(done.lost_in)) == ([], [])
