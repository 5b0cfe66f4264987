# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From which backup and along which timeline a target is reached; and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository.archive import Archive
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._restore import facts
from ansible_collections.relevo.postgres.plugins.module_utils._restore.describe import describe, reached, windows
from ansible_collections.relevo.postgres.plugins.module_utils._restore.facts import foreign
from ansible_collections.relevo.postgres.plugins.module_utils._restore.plan import (
    Place,
    Request,
    RestorePlan,
    decide,
    expected_seconds,
)
from ansible_collections.relevo.postgres.plugins.module_utils._restore.points import Point, points_of
from ansible_collections.relevo.postgres.plugins.module_utils._restore.reach import (
    Repository,
    leading_to_now,
)
from ansible_collections.relevo.postgres.plugins.module_utils._restore.target import parse
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import SEGMENT_SIZE, format_lsn, segment_name

# Seconds since 1970: minute 0 of every test.
ZERO = datetime(2026, 11, 26, 12, 0, tzinfo=UTC).timestamp()
NOW = datetime(2026, 11, 26, 13, 0, tzinfo=UTC)
PLACE = Place("repo", "/var/lib/postgresql/scratch", 10**10, database_version="17")
DATABASES = [{"id": 1, "repo-key": 1, "system-id": 77, "version": "17"}]


def segment(number: int, timeline: int = 1) -> str:
    return segment_name(timeline, number * SEGMENT_SIZE)


def position(number: int, offset: int = 0x100) -> str:
    return format_lsn(number * SEGMENT_SIZE + offset)


def backup(label: str, minute: float, number: int, timeline: int = 1, **more: Any) -> dict[str, Any]:
    """One that ended in a minute, within one segment."""
    stop = int(ZERO + 60 * minute)
    return {
        "label": label,
        "type": "full",
        "timestamp": {"start": stop - 5, "stop": stop},
        "archive": {"start": segment(number, timeline), "stop": segment(number, timeline)},
        "lsn": {"start": position(number, 0x28), "stop": position(number)},
        "database": {"id": 1, "repo-key": 1},
        "info": {"size": 1000 * 2**20},
        **more,
    }


def archived(first: int, last: int, timeline: int = 1, minute: float | None = None) -> dict[str, float]:
    """Segment n is archived in minute n, or from another minute on."""
    begin = first if minute is None else minute
    return {segment(n, timeline): ZERO + 60 * (begin + n - first) for n in range(first, last + 1)}


def history(*forks: tuple[int, int, int], reason: str = "no recovery target specified") -> str:
    """(timeline, segment, offset in it); ``reason`` is why it was left."""
    return "".join(f"{timeline}\t{position(number, offset)}\t{reason}\n" for timeline, number, offset in forks)


def minute(value: float) -> str:
    return datetime.fromtimestamp(ZERO + 60 * value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plan(
    repository: Repository, target: str = "", target_type: str = "", place: Place = PLACE, **more: Any
) -> RestorePlan:
    return decide(Request(parse(target_type, target), **more), repository, place, NOW)


A, B, C = backup("a", 2, 2), backup("b", 10, 10), backup("c", 20, 20)
D, E = backup("d", 22, 22, 2), backup("e", 42, 16, 2)
#: One timeline, segments 2 to 30.
PLAIN = Repository([A, B, C], DATABASES, archived(2, 30))
HOLED = Repository(
    [A, B, C], DATABASES, {n: t for n, t in archived(2, 30).items() if n not in (segment(12), segment(13))}
)
#: A failover: 1 was left in the middle of segment 15, of which it archived nothing, and 2 goes on.
FAILED_OVER = Repository(
    [A, B, D],
    DATABASES,
    archived(2, 14) | archived(15, 30, 2, minute=15.5),
    {2: (history((1, 15, 0x500)), ZERO + 60 * 15.2)},
)
#: A restore in place in minute 40: timeline 1 had come to segment 30, and 2 began anew in segment 15.
TAKEN_BACK = Repository(
    [A, B, C, E],
    DATABASES,
    archived(2, 30) | archived(15, 20, 2, minute=41),
    {2: (history((1, 15, 0x500)), ZERO + 60 * 40)},
)
#: Handed over twice, then taken back to the middle of 2, whose last segment is that from which 4 goes on: only 3, which
#: leaves it later, says that 2 had come further.
TAKEN_BACK_FURTHER = Repository(
    [A, B],
    DATABASES,
    archived(2, 14)
    | archived(15, 17, 2, minute=15.5)
    | archived(18, 30, 3, minute=18.5)
    | archived(17, 22, 4, minute=41),
    {
        2: (history((1, 15, 0x28)), ZERO + 60 * 15.2),
        3: (history((1, 15, 0x28), (2, 18, 0x28)), ZERO + 60 * 18.2),
        4: (history((1, 15, 0x28)) + history((2, 17, 0x500), reason="before 2026-11-26 12:17:10+00"), ZERO + 60 * 40),
    },
)
#: The same as PostgreSQL writes it when the recovery followed 3: as if 4 came from there, before 3 began.
ALONG_ITS_SUCCESSOR = replace(
    TAKEN_BACK_FURTHER,
    histories={
        **TAKEN_BACK_FURTHER.histories,
        4: (
            history((1, 15, 0x28), (2, 18, 0x28)) + history((3, 17, 0x500), reason="before 2026-11-26 12:17:10+00"),
            ZERO + 60 * 40,
        ),
    },
)
#: A dead cluster was taken back: nothing but the reason says that its last segment has more than was taken.
TAKEN_BACK_DEAD = Repository(
    [A, B],
    DATABASES,
    archived(2, 15) | archived(15, 20, 2, minute=41),
    {2: (history((1, 15, 0x500), reason="before 2026-11-26 12:14:50+00"), ZERO + 60 * 40)},
)


@pytest.mark.parametrize(
    ("repository", "asked", "label", "timeline"),
    [
        # The newest backup that ends before it.
        (PLAIN, {"target": minute(9)}, "a", 1),
        (PLAIN, {"target": minute(11)}, "b", 1),
        (PLAIN, {"target": minute(30)}, "c", 1),
        # Not within the second in which it ended.
        (PLAIN, {"target": minute(10)}, "a", 1),
        (PLAIN, {"target": minute(30), "label": "a"}, "a", 1),
        # Within the second in which the last segment was archived.
        (PLAIN, {"target": minute(30).replace("Z", ".9Z")}, "c", 1),
        (PLAIN, {"target_type": "lsn", "target": position(19)}, "b", 1),
        (PLAIN, {"target_type": "lsn", "target": position(20)}, "c", 1),
        (PLAIN, {"target_type": "lsn", "target": position(20, 0x50)}, "b", 1),
        (PLAIN, {"target_type": "xid", "target": "740"}, "a", 1),
        (PLAIN, {"target_type": "latest"}, "c", 1),
        (PLAIN, {"target_type": "immediate"}, "c", 1),
        (PLAIN, {"target_type": "immediate", "label": "a"}, "a", 1),
        # Before a hole, and after it.
        (HOLED, {"target": minute(9)}, "a", 1),
        (HOLED, {"target": minute(11)}, "b", 1),
        (HOLED, {"target": minute(25)}, "c", 1),
        (HOLED, {"target_type": "immediate", "label": "b"}, "b", 1),
        (HOLED, {"target_type": "xid", "target": "740"}, "c", 1),
        # The last WAL of timeline 1 is in the first segment of its successor.
        (FAILED_OVER, {"target": minute(14.5)}, "b", 2),
        (FAILED_OVER, {"target": minute(16)}, "b", 2),
        (FAILED_OVER, {"target": minute(25)}, "d", 2),
        (FAILED_OVER, {"target_type": "lsn", "target": position(15, 0x300)}, "b", 2),
        (FAILED_OVER, {"target_type": "latest"}, "d", 2),
        # Before the restore, timeline 1 is what was there; after it, 2.
        (TAKEN_BACK, {"target": minute(12)}, "b", 1),
        (TAKEN_BACK, {"target": minute(25)}, "c", 1),
        (TAKEN_BACK, {"target": minute(41.5)}, "b", 2),
        (TAKEN_BACK, {"target": minute(43)}, "e", 2),
        (TAKEN_BACK, {"target": minute(12), "timeline": 2}, "b", 2),
        (TAKEN_BACK, {"target_type": "latest"}, "e", 2),
        (TAKEN_BACK, {"target_type": "lsn", "target": position(12)}, "b", 2),
        (TAKEN_BACK, {"target_type": "lsn", "target": position(25)}, "c", 1),
        (TAKEN_BACK, {"target_type": "lsn", "target": position(17), "timeline": 1}, "b", 1),
        (TAKEN_BACK, {"target_type": "immediate", "label": "c"}, "c", 1),
        # After the place from which another timeline goes on, in the same segment.
        (TAKEN_BACK_FURTHER, {"target": minute(16.9)}, "b", 3),
        (TAKEN_BACK_FURTHER, {"target": minute(18.4)}, "b", 3),
        (TAKEN_BACK_FURTHER, {"target": minute(14.5)}, "b", 3),
        (TAKEN_BACK_FURTHER, {"target": minute(42)}, "b", 4),
        (TAKEN_BACK_FURTHER, {"target_type": "lsn", "target": position(17, 0x300)}, "b", 4),
        (ALONG_ITS_SUCCESSOR, {"target": minute(16.9)}, "b", 3),
        (ALONG_ITS_SUCCESSOR, {"target": minute(42)}, "b", 4),
        (ALONG_ITS_SUCCESSOR, {"target_type": "lsn", "target": position(17, 0x300)}, "b", 4),
        (ALONG_ITS_SUCCESSOR, {"target_type": "lsn", "target": position(17, 0x700), "timeline": 4}, "b", 4),
        (TAKEN_BACK_DEAD, {"target": minute(14.9)}, "b", 1),
        (TAKEN_BACK_DEAD, {"target": minute(41.5)}, "b", 2),
    ],
)
def test_the_backup_and_the_timeline(repository: Repository, asked: dict[str, Any], label: str, timeline: int) -> None:
    found = plan(repository, **asked)
    assert (found.label, found.timeline) == (label, timeline)


#: A backup that a hole follows, the archive of another system, one that cannot be recovered.
FOREIGN = Repository(
    [backup("old", 1, 1, database={"id": 1, "repo-key": 1}), backup("new", 10, 10, database={"id": 2, "repo-key": 1})],
    [*DATABASES, {"id": 2, "repo-key": 1, "system-id": 78, "version": "17"}],
    archived(10, 30),
)


@pytest.mark.parametrize(
    ("repository", "asked", "words"),
    [
        (Repository([], DATABASES, {}), {"target_type": "latest"}, "holds no backup"),
        (PLAIN, {"target": minute(61)}, "is in the future"),
        (PLAIN, {"target": minute(30 + 1 / 60)}, "later than the last WAL"),
        (PLAIN, {"target": minute(40)}, "later than the last WAL that was archived of timeline 1.*target_type=latest"),
        (PLAIN, {"target": minute(1)}, "before the first consistent point that can be restored: .* of the backup a"),
        # The backups of the timeline that was in use then have expired.
        (replace(FAILED_OVER, backups=[D]), {"target": minute(9)}, "before the first consistent point .* the backup d"),
        (replace(TAKEN_BACK, backups=[E]), {"target": minute(9)}, "before the first consistent point .* the backup e"),
        (FAILED_OVER, {"target": minute(14), "timeline": 2, "label": "d"}, "consistent point of the backup d"),
        (PLAIN, {"target": minute(9), "label": "b"}, "before the first consistent point of the backup b"),
        (PLAIN, {"target": minute(9), "label": "x"}, "has no backup x. It has a, b, c"),
        (PLAIN, {"target": minute(9), "timeline": 3}, "knows no timeline 3. It has 1"),
        (PLAIN, {"target_type": "lsn", "target": position(31)}, "after the end of the archive"),
        (PLAIN, {"target_type": "lsn", "target": position(1)}, "before the first consistent point"),
        (HOLED, {"target": minute(15)}, "has a hole.*12:11:00 UTC can be reached, and again from .* 12:20:00 UTC"),
        (HOLED, {"target_type": "lsn", "target": position(12)}, "has a hole"),
        (HOLED, {"target_type": "latest", "label": "a"}, "has a hole"),
        (FOREIGN, {"target_type": "latest", "label": "old"}, "another system identifier"),
        # No way from a backup of the branch that was left.
        (TAKEN_BACK, {"target": minute(43), "label": "c"}, "No way leads from the backup c"),
        (TAKEN_BACK, {"target_type": "latest", "label": "c"}, "No way leads from the backup c"),
        (TAKEN_BACK, {"target": minute(43), "label": "c", "timeline": 2}, "backup c to timeline 2"),
        # The same position with two contents.
        (TAKEN_BACK, {"target_type": "lsn", "target": position(17)}, "on the timelines 1 and 2.*-e timeline=2"),
        (TAKEN_BACK_FURTHER, {"target_type": "lsn", "target": position(17, 0x700)}, "the timelines 2 and 4"),
        (ALONG_ITS_SUCCESSOR, {"target_type": "lsn", "target": position(17, 0x700)}, "the timelines 2 and 4"),
        (
            replace(ALONG_ITS_SUCCESSOR, backups=[backup("left", 17.7, 17, 2, lsn={"stop": position(17, 0x700)})]),
            {"target_type": "latest"},
            "No backup leads to timeline 4",
        ),
        (TAKEN_BACK_DEAD, {"target_type": "lsn", "target": position(15, 0x700)}, "the timelines 1 and 2"),
        (
            replace(TAKEN_BACK, backups=[C]),
            {"target_type": "latest"},
            "No backup leads to timeline 2",
        ),
        (replace(FAILED_OVER, histories={}), {"target_type": "latest"}, "00000002.history is missing in the archive"),
        (PLAIN, {"target_type": "name", "target": "p"}, "No backup knows a restore point p"),
        (PLAIN, {"target_type": "latest", "place": replace(PLACE, free=10**9)}, "and this needs 1612 MiB"),
        (PLAIN, {"target_type": "latest", "place": replace(PLACE, reserve=9 * 10**9)}, "stay free for the repository"),
        (
            PLAIN,
            {"target_type": "latest", "place": replace(PLACE, programs=False, container=True)},
            "no programs of PostgreSQL 17.*docker_nodes_recreate=true",
        ),
        (PLAIN, {"target_type": "latest", "place": replace(PLACE, programs=False)}, "site.yml installs those"),
    ],
)
def test_what_is_refused(repository: Repository, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(RelevoError, match=words):
        plan(repository, **asked)


def noted(backup: dict[str, Any], *points: Point) -> dict[str, Any]:
    annotation: dict[str, str] = {}
    for point in points:
        annotation |= point.annotation()
    return {**backup, "annotation": annotation}


def test_a_point_is_found_by_its_name() -> None:
    point = Point("release", position(15, 0x200), 1, "2026-11-26T12:15:00Z")
    repository = replace(FAILED_OVER, backups=[A, noted(B, point)])
    assert points_of(repository.backups) == [point]
    found = plan(repository, "release", "name")
    # It lies in the last segment of timeline 1, which only its successor archived.
    assert (found.label, found.timeline, found.value) == ("b", 2, "release")
    assert found.position == position(15, 0x200)


def test_a_point_before_a_restore_in_place_is_on_its_own_timeline() -> None:
    point = Point("release", position(25), 1, "2026-11-26T12:25:00Z")
    found = plan(replace(TAKEN_BACK, backups=[A, B, noted(C, point)]), "release", "name")
    assert (found.label, found.timeline) == ("c", 1)


def test_a_name_that_exists_twice_is_refused() -> None:
    two = noted(A, Point("p", position(5), 1, "x")), noted(B, Point("p", position(15), 1, "y"))
    with pytest.raises(RelevoError, match=rf"2 restore points p: {position(5)} on timeline 1"):
        plan(replace(PLAIN, backups=[*two, C]), "p", "name")


def test_what_is_of_another_cluster_is_refused() -> None:
    assert "has 78" in foreign(DATABASES, "78")
    assert foreign(DATABASES, "77") == ""
    assert foreign(DATABASES, "") == ""


def test_the_wal_and_the_time_that_it_takes() -> None:
    assert plan(PLAIN, minute(14.5)).segments == 6
    assert plan(PLAIN, position(14), "lsn").segments == 5
    assert plan(PLAIN, "", "latest").segments == 11
    assert plan(PLAIN, "", "immediate").segments == 1
    assert expected_seconds(A, [A]) is None
    drilled = {**B, "annotation": {"relevo-drill-rto": "30", "relevo-drill-at": "2026"}, "info": {"size": 500 * 2**20}}
    assert expected_seconds(A, [A, drilled]) == 60


def test_the_window_of_each_timeline_with_its_holes() -> None:
    assert windows(HOLED) == [
        "Timeline 1: any moment from 2026-11-26 12:02:00 to 2026-11-26 12:11:00 UTC (backup a), then a hole, then from "
        "2026-11-26 12:20:00 to 2026-11-26 12:30:00 UTC (backup c)."
    ]
    assert windows(TAKEN_BACK) == [
        "Timeline 1: any moment from 2026-11-26 12:02:00 to 2026-11-26 12:30:00 UTC (backup a).",
        "Timeline 2 (from 1, since 2026-11-26 12:40:00 UTC): any moment from 2026-11-26 12:02:00 to 2026-11-26 "
        "12:46:00 UTC (backup a).",
    ]


def test_the_plan_is_said_in_words() -> None:
    found = plan(PLAIN, "", "latest")
    shown = describe(found, PLAIN, "main", "repo", "main_latest", [])
    assert shown.text.splitlines() == [
        "Plan of restore for main: the end of the archive, beside the cluster, which goes on.",
        "  repo gets the scratch instance main_latest, of 1000.0 MiB.",
        "  Expected: Window: Timeline 1: any moment from 2026-11-26 12:02:00 to 2026-11-26 12:30:00 UTC (backup a).",
        "  Expected: Backup c: the newest that ends before the target. Recovery follows timeline 1.",
        "  Expected: WAL to replay: at most 11 segments.",
        "  Expected: Space: 1.6 GiB needed, 9.3 GiB free.",
        "  Expected: Time: not known before the first drill.",
        "  Expected: The cluster loses nothing: it is not touched.",
    ]
    refused = describe(None, PLAIN, "main", "repo", "", ["No."])
    assert refused.text.endswith("REFUSED: No.")
    assert RestorePlan.from_dict(found.as_dict()) == found


def test_what_was_reached_is_said_with_the_way_in_and_out() -> None:
    end = {"lsn": "0/1", "last_commit": "T", "timeline": 2, "backup": "c", "copy_s": 1.0, "recovery_s": 2.5}
    made = {"name": "main_latest", "port": 5600, "reached": end}
    said = reached(plan(PLAIN, "", "latest"), made, "repo", "docker exec repo", changed=True, read_only=False)
    assert said.splitlines() == [
        "main_latest on repo has reached the end of the archive.",
        "  Position 0/1 on timeline 1; last commit T; from there on timeline 2.",
        "  Backup c; copied in 1 s, recovered in 2.5 s.",
        "  It accepts writes, and it has no way to the cluster.",
        "  Connect: docker exec repo psql -p 5600 -d DATABASE",
        "  Remove:  ansible-playbook playbooks/restore.yml -e remove=main_latest",
    ]


# --- whether anything leads to now -------------------------------------------------------------------------------


def without_history(repository: Repository) -> Repository:
    return replace(repository, histories={})


#: Taken back in minute 40, with no backup since, and none before the fork is left.
NOTHING_LEADS = replace(TAKEN_BACK, backups=[C])
OTHER_SYSTEM = replace(PLAIN, databases=[*DATABASES, {"id": 2, "repo-key": 1, "system-id": 88, "version": "17"}])
UNWHOLE = replace(PLAIN, backups=[{**B, "annotation": {"relevo-consistent": "false"}}])


@pytest.mark.parametrize(
    ("repository", "labels", "reason"),
    [
        (PLAIN, ["a", "b", "c"], ""),
        # A hole after a backup ends what can be reached from it, but begins nowhere.
        (HOLED, ["a", "b", "c"], ""),
        (FAILED_OVER, ["a", "b", "d"], ""),
        (TAKEN_BACK, ["a", "b", "e"], ""),
        (without_history(FAILED_OVER), [], "00000002.history is missing in the archive"),
        (NOTHING_LEADS, [], "No backup leads to timeline 2, on which the servers are"),
        (OTHER_SYSTEM, [], "No backup leads to timeline 1"),
        (UNWHOLE, [], "No backup leads to timeline 1"),
        (replace(PLAIN, backups=[]), [], "No backup leads to timeline 1"),
        # What ends within a backup, or before it, does not make it whole.
        (replace(PLAIN, segments={}), [], "No backup leads to timeline 1"),
        (replace(PLAIN, backups=[A, C], segments=archived(2, 19)), ["a"], ""),
        (replace(PLAIN, backups=[A, B], segments=archived(3, 30)), ["b"], ""),
    ],
)
def test_which_backups_lead_to_now(repository: Repository, labels: list[str], reason: str) -> None:
    leading, why = leading_to_now(repository)
    assert [one["label"] for one in leading] == labels
    assert why.startswith(reason)
    assert bool(why) == (not labels)


def test_a_segment_on_its_way_is_no_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several are archived at a time, and a later one may come first."""
    behind = {name: moment for name, moment in archived(2, 30).items() if name != segment(29)}
    answers = iter([replace(PLAIN, segments=behind), replace(PLAIN, segments=behind), PLAIN])
    monkeypatch.setattr(facts, "repository_of", lambda *_given: next(answers))

    class Called:
        def require_stanza(self, _timeout: float) -> dict[str, Any]:
            return {}

    assert facts.read_repository(cast("Any", Called())) == PLAIN


# --- a repository that was away ---

#: Segments 2 to 30 of timeline 1; taken back in minute 40 to segment 15, and gone on since.
FORKED = {2: (history((1, 15, 0x500), reason="before"), ZERO + 60 * 40)}
#: The same where the repository was away from minute 25 to 50: what came meanwhile has the time of the copying.
LATE = Repository(
    [A, B, C],
    DATABASES,
    archived(2, 25)
    | dict.fromkeys([segment(n) for n in range(26, 31)], ZERO + 60 * 50)
    | archived(15, 17, 2, minute=50),
    {2: (FORKED[2][0], ZERO + 60 * 50)},
)


def test_files_that_came_late_do_not_hide_what_was_then() -> None:
    moment = parse("", minute(41)).moment
    assert moment is not None
    # By its own times alone it is not known better, and the older past is taken for the true one.
    assert LATE.branch_at(moment).timeline == 1
    # The other repository saw it as it was.
    seen = LATE.with_times(archived(2, 30) | archived(15, 17, 2, minute=41) | {"00000002.history": ZERO + 60 * 40})
    assert seen.branch_at(moment).timeline == 2
    assert seen.segments[segment(28)] == ZERO + 60 * 28
    # What it lacks, or has later, changes nothing.
    assert LATE.with_times({}) == LATE
    assert LATE.with_times(dict.fromkeys(LATE.segments, ZERO + 60 * 55)) == LATE


@pytest.mark.parametrize(
    ("known", "began"),
    [
        ({}, 50),
        # Its own WAL, which the server archived before the history was copied.
        ({"segments": {**LATE.segments, **archived(15, 15, 2, minute=43)}}, 43),
        # A backup of it.
        ({"backups": [A, B, C, backup("e", 44, 16, 2)]}, 44),
        # One that was left for another is older than that.
        ({"histories": {**LATE.histories, 3: (history((1, 15, 0x500), (2, 17, 0x100)), ZERO + 60 * 46)}}, 46),
        # What is of the timeline before it says nothing.
        ({"backups": [A, B, C, backup("f", 30, 29)]}, 50),
    ],
)
def test_a_timeline_began_when_the_first_that_is_known_of_it_was_there(known: dict[str, Any], began: float) -> None:
    found = replace(LATE, **known).branches[2].began
    assert found is not None
    assert abs(found.timestamp() - ZERO - 60 * began) <= 5


@pytest.mark.parametrize(("two", "away", "identifier"), [(False, 0, "17-1"), (True, 2, "17-1"), (True, 0, "17-2")])
def test_the_other_repository_is_asked_where_it_can_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two: bool, away: int, identifier: str
) -> None:
    for name in ("pgbackrest.conf", "repo1.conf", "repo2.conf") if two else ("pgbackrest.conf",):
        (tmp_path / name).write_text("[global]\n")
    names = {1: "17-1", 2: identifier}

    def answering(_stanza: str, numbers: list[int], _config: Path) -> tuple[list[int], list[Any]]:
        return [number for number in numbers if number != away], []

    def newest(_cls: type, pgbackrest: PgBackRest, _timeout: float) -> Archive:
        return Archive(pgbackrest, names[pgbackrest.repository])

    monkeypatch.setattr(facts, "answering", answering)
    monkeypatch.setattr(Archive, "newest", classmethod(newest))
    monkeypatch.setattr(Archive, "files", lambda one: {"of": float(one.pgbackrest.repository)})
    config = tmp_path / "pgbackrest.conf"
    assert facts.times_of_other(PgBackRest("main", config)) == {}
    names[2] = "17-1"
    if two and not away:
        assert facts.times_of_other(PgBackRest("main", config)) == {"of": 2.0}
        assert facts.times_of_other(PgBackRest("main", config, 2)) == {"of": 1.0}


def test_a_segment_of_a_timeline_that_was_left_may_come_long_after() -> None:
    """Seen: an old primary archived its last, half empty one when it had come back, and the windows reached to then.

    The play for a moment in between was planned, and ended after 26 s with "the archive ends before the target".
    """
    late = replace(FAILED_OVER, segments={**FAILED_OVER.segments, segment(15): ZERO + 60 * 50})
    assert late.until(late.branch(1)) == datetime.fromtimestamp(ZERO + 60 * 15.2, UTC)
    assert late.until(late.branch(2)) == FAILED_OVER.until(FAILED_OVER.branch(2))
    with pytest.raises(RelevoError, match="is later than the last WAL that was archived of timeline 1"):
        plan(late, minute(20), timeline=1)
    # Of a cluster that was taken back to its past timeline 1 had gone on until then.
    assert TAKEN_BACK.until(TAKEN_BACK.branch(1)) == datetime.fromtimestamp(ZERO + 60 * 30, UTC)


def test_a_timeline_of_which_all_has_expired_is_still_on_the_way() -> None:
    """Handed over twice, and only the newest backup kept: of timeline 2 there is neither WAL nor a history."""
    newest = history((1, 15, 0x28), (2, 18, 0x28))
    repository = Repository(
        [backup("f", 20, 20, 3)],
        DATABASES,
        {segment(14): ZERO + 60 * 14} | archived(20, 30, 3, minute=20),
        {3: (newest, ZERO + 60 * 18.2)},
    )
    assert repository.until(repository.newest) == datetime.fromtimestamp(ZERO + 60 * 30, UTC)
    assert windows(repository)[-1].startswith("Timeline 3")
    # What is left of the first one was there before the second began, whenever that was.
    late = replace(repository, segments={segment(14): ZERO + 60 * 50})
    assert late.until(late.newest) == datetime.fromtimestamp(ZERO + 60 * 18.2, UTC)
