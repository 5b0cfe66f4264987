# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cleanup removes, what stays although it would go, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository import backup, expire
from ansible_collections.relevo.postgres.plugins.module_utils._repository.cleanup import (
    CleanupRequest,
    Holdings,
    Removal,
    describe,
    describe_show,
    done_text,
    overview,
    parse_operation,
    removal,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.expire import Retention
from ansible_collections.relevo.postgres.plugins.module_utils._repository.in_use import in_use
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pins import (
    chain,
    fulls_to_keep,
    pin_value,
    pinned_until,
)

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def segment(number: int, timeline: int = 1) -> str:
    return f"{timeline:08X}{0:08X}{number:08X}"


def made(label: str, kind: str, stop: int, prior: str | None = None, wal: int = 0) -> dict[str, Any]:
    reference = [prior] if prior else None
    return {
        "label": label,
        "type": kind,
        "prior": prior,
        "reference": reference,
        "timestamp": {"start": stop - 1, "stop": stop},
        "archive": {"start": segment(wal), "stop": segment(wal)},
    }


# Three chains: 1F <- 1D <- 1I; 2F <- 2I; 3F.
BACKUPS = [
    made("1F", "full", 100, wal=1),
    made("1D", "diff", 110, "1F", wal=2),
    made("1I", "incr", 120, "1D", wal=3),
    made("2F", "full", 200, wal=11),
    made("2I", "incr", 210, "2F", wal=12),
    made("3F", "full", 300, wal=21),
]
SIZES = {"1F": 1000, "1D": 100, "1I": 10, "2F": 2000, "2I": 20, "3F": 3000}
WAL = {segment(number, 1 if number < 15 else 2): 16 for number in range(1, 25)}


def found(**more: Any) -> Holdings:
    return Holdings(BACKUPS, sizes=SIZES, wal=WAL, retention="2 full backups", **more)


def planned(operation: str, holdings: Holdings | None = None, **more: Any) -> Removal:
    return removal(CleanupRequest(operation, "main", **more), holdings or found())


@pytest.mark.parametrize(
    ("keep", "gone", "segments"),
    [
        (1, ["2I", "2F", "1I", "1F", "1D"], 20),
        (2, ["1I", "1F", "1D"], 10),
        # What is archived before the first backup serves nobody.
        (3, [], 0),
        (9, [], 0),
    ],
)
def test_keep_leaves_the_newest_full_backups_with_what_depends_on_them(
    keep: int, gone: list[str], segments: int
) -> None:
    what = planned("keep", keep=keep)
    assert (what.backups, what.segments) == (gone, segments)
    assert what.backup_bytes == sum(SIZES[label] for label in gone)
    assert what.wal_bytes == 16 * segments
    assert what.fulls_left == min(keep, 3)


def test_only_what_is_the_base_of_the_others_has_to_be_named() -> None:
    assert planned("keep", keep=1).roots == ["1F", "2F"]


def test_retention_removes_what_pgbackrest_says_and_all_that_depends_on_it() -> None:
    what = planned("retention", found(expired=["1D"]))
    assert (what.backups, what.roots, what.fulls_left) == (["1I", "1D"], ["1D"], 3)


def test_a_backup_that_is_needed_stays_with_all_that_it_builds_on() -> None:
    what = planned("keep", found(needed={"1D": "is pinned until then"}), keep=1)
    assert what.backups == ["2I", "2F", "1I"]
    assert what.stays == {"1D": "is pinned until then", "1F": "is pinned until then"}
    assert what.roots == ["1I", "2F"]
    # And can be replayed to any later moment: no WAL goes.
    assert (what.segments, what.fulls_left) == (0, 2)


def test_one_that_would_stay_anyway_is_not_worth_a_word() -> None:
    assert planned("keep", found(needed={"3F": "is pinned"}), keep=1).stays == {}


def test_no_operation_but_all_leaves_nothing() -> None:
    what = planned("retention", found(expired=["1F", "2F", "3F"]))
    assert what.refusals == ["No full backup would be left. operation=all removes every backup."]


def test_nothing_goes_from_an_empty_repository() -> None:
    assert planned("keep", Holdings([]), keep=1).nothing
    assert planned("retention", Holdings([])).nothing


def test_of_two_repositories_the_one_that_is_meant_is_named() -> None:
    """Its confirmation is the same word as the other one's."""

    def asked(operation: str, confirm: str = "main") -> CleanupRequest:
        return CleanupRequest(operation, "main", 1, confirm, 2)

    everything = removal(asked("all"), found())
    said = describe(asked("all"), found(), everything)
    assert said.message.startswith("In repository 2: every backup and all archived WAL go")
    assert said.risks == ["Until the next full backup is complete, nothing can be restored out of repository 2."]
    assert "every backup of main in repository 2, and nothing" in removal(asked("all", "x"), found()).refusals[0]
    assert done_text(asked("all"), everything).startswith("main in repository 2: 6 backups removed")
    orphans = removal(asked("orphans"), found())
    assert describe(asked("orphans"), found(), orphans).message.startswith("In repository 2: records without")
    assert done_text(asked("orphans"), orphans).startswith("The catalog of main in repository 2: ")
    shown = overview(asked("show"), found())
    assert shown.startswith("What cleanup.yml would remove from main in repository 2; ")
    assert "-e operation=all -e confirm=main -e repository_number=2\nPlan of cleanup for main: In repo" in shown
    # With one nobody is told.
    assert "repository" not in overview(CleanupRequest("show", "main"), found())


def test_orphans_are_records_and_no_backup_goes() -> None:
    what = planned("orphans", found(orphans=["backup:a"], unrecorded=["backup:b"]))
    assert (what.backups, what.records, what.recorded) == ([], ["backup:a"], ["backup:b"])


def test_without_redis_orphans_is_refused_with_the_reason() -> None:
    what = planned("orphans", found(orphans=None, unrecorded=None, reason="Redis is away."))
    assert what.refusals == ["Redis is away."]


@pytest.mark.parametrize(
    ("confirm", "needed", "refused"),
    [
        ("main", {}, None),
        ("", {}, "Confirm it with -e confirm=main"),
        ("other", {}, "confirm=other is not its name"),
        ("main", {"2I": "is read by the scratch instance past"}, "2I is read by the scratch instance past"),
        # Of a backup that is gone already.
        ("main", {"0F": "is read"}, None),
    ],
)
def test_all_wants_the_name_and_nobody_who_reads(confirm: str, needed: dict[str, str], refused: str | None) -> None:
    what = planned("all", found(needed=needed), confirm=confirm)
    assert bool(what.refusals) == bool(refused)
    assert refused is None or refused in what.refusals[0]
    assert (len(what.backups), what.segments) == (6, 24)


def test_all_is_done_again_where_a_killed_run_left_no_stanza() -> None:
    request, nothing = CleanupRequest("all", "main", confirm="main"), Holdings([], exists=False)
    assert describe(request, nothing, removal(request, nothing)).action == "all"
    empty = Holdings([])
    assert describe(request, empty, removal(request, empty)).action == "none"


@pytest.mark.parametrize(
    ("answer", "operation"),
    [("", "show"), ("1", "show"), ("2", "keep"), ("5", "all"), (" Orphans ", "orphans"), ("retention", "retention")],
)
def test_an_answer_to_the_menu(answer: str, operation: str) -> None:
    assert parse_operation(answer) == operation


@pytest.mark.parametrize("answer", ["0", "6", "alles", "-1"])
def test_an_answer_that_is_none(answer: str) -> None:
    with pytest.raises(RelevoError, match="Nothing was touched. Choose one of show, keep"):
        parse_operation(answer)


def test_keep_wants_a_number() -> None:
    with pytest.raises(RelevoError, match="Give -e keep=N"):
        CleanupRequest("keep", "main")


def test_the_plan_says_what_goes_what_stays_and_what_may_still_happen() -> None:
    request = CleanupRequest("keep", "main", keep=1)
    holdings = found(needed={"1F": "is pinned until 2026-12-31 23:59 UTC"}, running="41 % of 413 MiB are done")
    text = describe(request, holdings, removal(request, holdings)).text
    assert text == (
        "Plan of cleanup for main: keep the newest 1 full backup and what depends on it; 4 backups and about 2.1 KiB.\n"
        "  2I is removed.\n"
        "  2F is removed.\n"
        "  1I is removed.\n"
        "  1D is removed.\n"
        "  1F stays: it is pinned until 2026-12-31 23:59 UTC.\n"
        "  Expected: 2 backups stay, 2 of them full.\n"
        "  Risk: Moments before the oldest backup that stays can no longer be restored.\n"
        "  Risk: The next backup applies the configured retention (2 full backups) again.\n"
        "  Risk: pgBackRest called by hand or by another scheduler knows no pins, and can still expire what stays "
        "here.\n"
        "  REFUSED: A backup is running (41 % of 413 MiB are done). Run this again when it has ended."
    )


def test_show_shows_each_operation_with_what_to_type() -> None:
    text = overview(CleanupRequest("show", "main"), found(expired=["1F"]))
    for line in ("-e operation=keep -e keep=2", "-e operation=retention", "-e operation=orphans", "-e confirm=main"):
        assert line in text
    assert "REFUSED" not in text


def test_show_is_a_plan_too_and_would_do_nothing() -> None:
    plan = describe_show(CleanupRequest("show", "main"), found(expired=["1F"]))
    assert (plan.action, plan.affects, plan.refusals) == ("none", [], [])
    assert "-e operation=retention" in plan.expected
    assert any("keep the newest 2 full backups" in line for line in plan.expected)


def test_what_was_done() -> None:
    request = CleanupRequest("keep", "main", keep=2)
    assert done_text(request, removal(request, found())).splitlines() == [
        "main: 3 backups removed, about 1.2 KiB freed.",
        "  1I",
        "  1F",
        "  1D",
    ]


# --- pins --------------------------------------------------------------------------------------------------------


def pinned(value: str) -> dict[str, Any]:
    return {**made("1F", "full", 1), "annotation": {"relevo-pinned": value}}


def test_a_pin_holds_until_the_end_of_its_day() -> None:
    value = pin_value("2026-12-31", NOW)
    assert value == "20261231T235959Z"
    backup = pinned(value)
    assert pinned_until(backup, NOW) == datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert pinned_until(backup, datetime(2027, 1, 1, tzinfo=UTC)) is None
    assert pin_value("now", NOW) == ""


@pytest.mark.parametrize("until", ["", "tomorrow", "31.12.2026", "2026-13-01", "2026-11-25", "20261231"])
def test_a_pin_wants_a_day_to_come(until: str) -> None:
    with pytest.raises(RelevoError, match="Nothing was changed"):
        pin_value(until, NOW)


@pytest.mark.parametrize("value", ["", "soon", "2026-12-31"])
def test_an_annotation_that_is_no_pin(value: str) -> None:
    assert pinned_until(pinned(value), NOW) is None


def test_a_chain_is_all_that_a_backup_needs() -> None:
    assert chain("1I", BACKUPS) == ["1I", "1F", "1D"]
    assert chain("3F", BACKUPS) == ["3F"]
    assert chain("gone", BACKUPS) == []


@pytest.mark.parametrize(
    ("needed", "coming", "keep"),
    [([], 1, 2), (["3F"], 1, 2), (["2I"], 1, 3), (["1I"], 1, 4), (["1I"], 0, 3), (["gone"], 1, 2)],
)
def test_expiry_leaves_as_many_full_backups_as_what_is_needed_takes(needed: list[str], coming: int, keep: int) -> None:
    assert fulls_to_keep(BACKUPS, needed, 2, coming) == keep


class Kept(PgBackRest):
    """A stanza that nobody reads."""

    def __init__(self) -> None:
        self.stanza = "main"


DAY = 86400
THEN = int(NOW.timestamp())
PIN, OVER = ({"annotation": {"relevo-pinned": until}} for until in ("20261231T235959Z", "20261125T235959Z"))
TODAY = made("9F", "full", THEN - 3600)


@pytest.mark.parametrize(
    ("backups", "asked", "keep"),
    [
        ([made("1F", "full", THEN - 10 * DAY), made("1I", "incr", THEN - DAY, "1F"), TODAY], None, None),
        ([made("1F", "full", THEN - 10 * DAY) | PIN, TODAY], None, 11),
        # Its base is what has to stay, however young it is itself.
        (
            [made("1F", "full", THEN - 10 * DAY - 5), made("1I", "incr", THEN - 9, "1F") | PIN],
            None,
            12,
        ),
        ([made("1F", "full", THEN - 10 * DAY) | PIN, TODAY], 30, None),
        ([made("1F", "full", THEN - 10 * DAY) | OVER, TODAY], None, None),
    ],
)
def test_retention_by_time_leaves_as_many_days_as_what_is_pinned_takes(
    monkeypatch: pytest.MonkeyPatch, backups: list[dict[str, Any]], asked: int | None, keep: int | None
) -> None:
    monkeypatch.setattr(expire, "configured_retention", lambda _pgbackrest: Retention(7, by_time=True))
    monkeypatch.setattr(backup, "in_use", lambda _stanza, _labels: {})
    request = backup.BackupRequest("incr", {}, retention_full=asked)
    assert backup.keep_for_pins(Kept(), request, backups, NOW) == keep


# --- what is read ------------------------------------------------------------------------------------------------


def process(proc: Path, number: int, *command: str) -> None:
    (proc / str(number)).mkdir()
    (proc / str(number) / "cmdline").write_bytes("\0".join(command).encode() + b"\0")


def instance(scratch: Path, name: str, **note: str) -> None:
    (scratch / name).mkdir(parents=True)
    (scratch / name / "instance.json").write_text(json.dumps(note))


def test_a_scratch_instance_of_which_no_backup_is_known_may_read_any(tmp_path: Path) -> None:
    instance(tmp_path, "past", cluster="main")
    assert set(in_use("main", ["1F", "2F"], tmp_path, tmp_path / "none")) == {"1F", "2F"}
    assert in_use("shop", ["1F", "2F"], tmp_path, tmp_path / "none") == {}


def test_what_is_read_on_this_host(tmp_path: Path) -> None:
    proc, scratch = tmp_path / "proc", tmp_path / "scratch"
    for folder in (proc, scratch):
        folder.mkdir()
    process(proc, 7, "/usr/bin/pgbackrest", "--stanza=main", "--set=1I", "restore")
    process(proc, 8, "pgbackrest", "--stanza", "shop", "--set", "9F", "restore")
    process(proc, 9, "pgbackrest", "--stanza=main", "backup")
    process(proc, 10, "vim", "--stanza=main", "restore")
    instance(scratch, "past", cluster="main", backup="2F")
    instance(scratch, "other", cluster="shop", backup="8F")
    instance(scratch, "whole", cluster="main", backup="1F")
    (scratch / "whole" / "outcome.json").write_text("{}")
    assert in_use("main", ["1F", "1I", "2F"], scratch, proc) == {
        "1I": "is read by a restore (process 7 on the repository host)",
        "2F": "is read by the scratch instance past",
    }


def test_a_restore_that_names_no_backup_may_read_any(tmp_path: Path) -> None:
    process(tmp_path, 7, "pgbackrest", "--stanza=main", "--type=time", "restore")
    assert set(in_use("main", ["1F", "2F"], tmp_path / "none", tmp_path)) == {"1F", "2F"}
