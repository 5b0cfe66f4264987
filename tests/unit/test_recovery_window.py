"""To which moments one can restore, and what the archive lacks."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._recovery_window import (
    Hole,
    Loss,
    Window,
    losses,
    of_newest_system,
    window_of,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository import archive
from ansible_collections.relevo.postgres.plugins.module_utils._repository.archive import (
    Archive,
    archive_holes,
    holes,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import SEGMENT_SIZE, Fork


def segment(number: int, timeline: int = 1) -> str:
    return f"{timeline:08X}{number // 256:08X}{number % 256:08X}"


def backup(label: str, stop: int, wal: int | None, **more: Any) -> dict[str, Any]:
    archived = {end: segment(wal) if wal is not None else None for end in ("start", "stop")}
    return {"label": label, "timestamp": {"start": stop - 1, "stop": stop}, "archive": archived, **more}


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def hole(first: int, last: int) -> Hole:
    return Hole(segment(first), segment(last), last - first + 1)


A, B, C = backup("a", 100, 2), backup("b", 200, 10), backup("c", 300, 20)
DIRTY = backup("dirty", 50, None, annotation={"relevo-consistent": "false"})


@pytest.mark.parametrize(
    ("backups", "missing", "window"),
    [
        ([], [], None),
        ([DIRTY], [], None),
        ([A, B, C], [], Window(at(100), at(300), "a")),
        ([DIRTY, A, B], [], Window(at(100), at(200), "a")),
        # Whichever label comes first by its name.
        ([backup("z", 100, 2), backup("a", 200, 10)], [], Window(at(100), at(200), "z")),
        ([A, B, C], [hole(5, 6)], Window(at(200), at(300), "b")),
        ([A, B, C], [hole(5, 6), hole(12, 12)], Window(at(300), at(300), "c")),
        # Nothing after the last hole.
        ([A, B], [hole(12, 15)], Window(at(100), at(200), "a", ended=True)),
        ([A, B], [hole(5, 6), hole(12, 15)], Window(at(200), at(200), "b", ended=True)),
        # A backup in whose own WAL the hole is begins nothing.
        ([A], [hole(2, 2)], None),
        # Offline, and so with no WAL to go on with.
        ([backup("o", 100, None)], [], Window(at(100), at(100), "o")),
        ([backup("o", 100, None)], [hole(3, 3)], None),
    ],
)
def test_the_window(backups: list[dict[str, Any]], missing: list[Hole], window: Window | None) -> None:
    assert window_of(backups, missing) == window


def test_what_a_hole_costs() -> None:
    found = losses([A, B, C], [hole(5, 6), hole(30, 31)])
    assert found == [Loss(hole(5, 6), at(100), at(200)), Loss(hole(30, 31), at(300), None)]
    assert losses([B], [hole(3, 4)]) == [Loss(hole(3, 4), None, at(200))]


def test_the_backups_of_an_older_cluster_do_not_count() -> None:
    databases = [{"id": 1, "system-id": 11, "repo-key": 1}, {"id": 2, "system-id": 22, "repo-key": 1}]
    old, new = (
        backup("a", 1, 1, database={"id": 1, "repo-key": 1}),
        backup("b", 2, 1, database={"id": 2, "repo-key": 1}),
    )
    assert of_newest_system([old, new], databases) == [new]
    assert of_newest_system([old], databases) == []
    assert of_newest_system([old, new], []) == [old, new]
    # After an upgrade of pgBackRest's stanza by somebody, with the same cluster.
    assert of_newest_system([old, new], [databases[0], {**databases[1], "system-id": 11}]) == [old, new]


@pytest.mark.parametrize(
    ("there", "history", "starts", "missing"),
    [
        ([], [], [segment(1)], []),
        (range(1, 10), [], [segment(2)], []),
        # What is older than the oldest backup has been expired, and nothing is known of what comes next.
        ([1, 4, 5, 6], [], [segment(4)], []),
        ([4, 5, 8, 9, 11], [], [segment(4)], [hole(6, 7), hole(10, 10)]),
        # The backup's own first segment.
        ([5, 6], [], [segment(4)], [hole(4, 4)]),
        # Over the border of 256 segments.
        ([254, 258], [], [segment(254)], [hole(255, 257)]),
        # A backup of a branch that nobody followed.
        ([4, 5], [], [segment(2, timeline=7)], []),
        ([4, 6], [], [], []),
    ],
)
def test_what_is_missing_on_one_timeline(
    there: list[int], history: list[Fork], starts: list[str], missing: list[Hole]
) -> None:
    assert holes({segment(number) for number in there}, history, starts) == missing


def test_what_is_missing_over_a_hand_over() -> None:
    fork = [Fork(1, 6 * SEGMENT_SIZE + 100)]
    before, after = {segment(number) for number in (3, 4, 5)}, {segment(number, 2) for number in (6, 7)}
    # The segment of the fork is the successor's.
    assert holes(before | after, fork, [segment(3)]) == []
    assert holes(before | after | {segment(6)}, fork, [segment(3)]) == []
    assert holes((before | after) - {segment(5)}, fork, [segment(3)]) == [hole(5, 5)]
    assert holes((before | after) - {segment(6, 2)}, fork, [segment(3)]) == [Hole(segment(6, 2), segment(6, 2), 1)]


def test_a_newest_timeline_without_its_history_is_a_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [segment(n) for n in (4, 5, 6)] + [segment(n, 2) for n in (7, 8)]
    history: list[str | None] = [None]
    monkeypatch.setattr(archive, "ARRIVAL", 0.1)
    monkeypatch.setattr(Archive, "newest", lambda pgbackrest, timeout: Archive(pgbackrest, "17-1", timeout))
    monkeypatch.setattr(Archive, "timelines", lambda _self: [1, 2])
    monkeypatch.setattr(Archive, "segments", lambda _self, *_: there)
    monkeypatch.setattr(Archive, "history", lambda _self, _timeline: history[0])
    hole = Hole(segment(7, 2), segment(7, 2), 1, "00000002.history")
    assert archive_holes(PgBackRest("main"), [segment(4)]) == [hole]
    # Also where the newest backup is on the new timeline: how it came about is still not known.
    assert archive_holes(PgBackRest("main"), [segment(4), segment(8, 2)]) == [hole]
    assert Hole.of(asdict(hole)) == hole
    history[0] = "1\t0/7000100\tno recovery target specified\n"
    assert archive_holes(PgBackRest("main"), [segment(4)]) == []


def test_what_is_on_its_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [[1, 2, 4], [1, 2, 4], [1, 2, 3, 4]]
    monkeypatch.setattr(Archive, "newest", lambda pgbackrest, timeout: Archive(pgbackrest, "17-1", timeout))
    monkeypatch.setattr(Archive, "timelines", lambda _self: [1])
    monkeypatch.setattr(Archive, "history", lambda _self, _timeline: None)
    monkeypatch.setattr(
        Archive, "segments", lambda _self, *_: [segment(n) for n in (looks.pop(0) if len(looks) > 1 else looks[0])]
    )
    assert archive_holes(PgBackRest("main"), [segment(1)]) == []
    looks = [[1, 2, 4]]
    monkeypatch.setattr(archive, "ARRIVAL", 0.1)
    assert archive_holes(PgBackRest("main"), [segment(1)]) == [hole(3, 3)]
    assert archive_holes(PgBackRest("main"), ["", ""]) == []
