# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup a drill tries, what it makes of what it finds, and what is kept of that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from ansible_collections.relevo.postgres.plugins.filter.unnoted_point import unnoted_point
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import record_from_backup
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._restore import drill, drill_run, points
from ansible_collections.relevo.postgres.plugins.module_utils._restore.drill import Check, Result
from ansible_collections.relevo.postgres.plugins.module_utils._restore.reach import Repository
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import SessionError

BACKUPS: list[dict[str, Any]] = [{"label": label} for label in ("a", "b", "c")]
RESULT = Result("20261124-120000F", "2026-11-26T12:00:00Z", 10.04, 5.5, 2.0, 33.4, "0/5000000")


@pytest.mark.parametrize(
    ("wanted", "last", "label"),
    [("", 10, "c"), ("newest", 10, "c"), ("a", 1, "a"), ("random", 2, "b"), ("random", 9, "a")],
)
def test_the_backup_that_is_tried(wanted: str, last: int, label: str) -> None:
    """What is drawn is the first here."""
    assert drill.choose(BACKUPS, wanted, last, lambda few: few[0])["label"] == label


def test_the_backup_that_is_drawn_leads_to_the_newest_timeline() -> None:
    """After a failover with a loss the last backups may be of the abandoned timeline."""

    def backup(label: str, timeline: int, segment: int) -> dict[str, Any]:
        name = f"{timeline:08X}00000000{segment:08X}"
        return {
            "label": label,
            "timestamp": {"start": segment, "stop": segment},
            "archive": {"start": name, "stop": name},
            "lsn": {"stop": f"0/{segment:X}000100"},
            "database": {"id": 1, "repo-key": 1},
        }

    before, lost = backup("before", 1, 2), backup("lost", 1, 8)
    history = {2: ("1\t0/5000500\tno recovery target specified\n", 9.0)}
    databases = [{"id": 1, "repo-key": 1, "system-id": 7}]
    repository = Repository([before, lost], databases, {"000000020000000000000005": 9.0}, history)
    leading = drill.to_the_newest([before, lost], repository)
    for wanted in ("newest", "random"):
        assert drill.choose([before, lost], wanted, 10, lambda few: few[-1], leading) == before
    assert drill.choose([before, lost], "lost", 10, lambda few: few[-1], leading) == lost
    # The refusal says why, where none leads there.
    assert drill.to_the_newest([lost], repository) == [lost]


def test_a_position_is_told_with_its_timeline() -> None:
    class Primary:
        def value(self, sql: str, *_given: object, **_options: object) -> str:
            return "000000030000000000000005" if "pg_walfile_name" in sql else "0/5000100"

        def query(self, *_given: object) -> list[dict[str, str]]:
            return []

        def flag(self, sql: str, *_given: object) -> bool:
            return "pg_locks" not in sql

    found = drill_run.count_at_a_position(cast("Any", Primary()), [], 5)
    assert (found.lsn, found.timeline) == ("0/5000100", 3)


class Busy:
    """A primary that always writes. ``refused``: what becomes of the attempts to lock the tables, then they are."""

    def __init__(self, *refused: str) -> None:
        self.refused = list(refused)
        self.log: list[str] = []

    def value(self, sql: str, *_given: object, **_options: object) -> str:
        self.log.append(sql)
        answers = {"deadlock_timeout": "600", "regclass": '"Odd"', "count(*)": "7", "walfile": f"{3:08X}{'0' * 15}5"}
        return next((answer for words, answer in answers.items() if words in sql), "0/5000100")

    def query(self, sql: str, *_given: object) -> list[dict[str, str]]:
        self.log.append(sql)
        if "IN SHARE MODE" in sql and self.refused:
            raise SessionError("a: it is refused", self.refused.pop(0))
        return []

    def flag(self, *_given: object) -> bool:
        return True


def test_a_primary_that_is_never_quiet_is_counted_behind_a_lock_of_an_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill_run, "LOCK_EVERY", 0.01)
    primary = Busy("57014", "40P01")
    found = drill_run.count_at_a_position(cast("Any", primary), ["odd"], 0.2)
    assert (found.lsn, found.counts, found.timeline) == ("0/5000100", {"odd": 7}, 3)
    begin = len(primary.log) - primary.log[::-1].index("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    assert primary.log[begin : primary.log.index("COMMIT")] == [
        # Half of what a writer waits before it looks for a deadlock.
        "SET LOCAL statement_timeout = 300",
        'LOCK TABLE "Odd" IN ACCESS SHARE MODE',
        "SAVEPOINT unlocked",
        'LOCK TABLE "Odd" IN SHARE MODE',
        "SELECT pg_current_wal_insert_lsn()",
        "ROLLBACK TO SAVEPOINT unlocked",
        "SET LOCAL statement_timeout = 0",
        "SELECT $1::regclass::text",
        'SELECT count(*) FROM "Odd"',
    ]


def test_tables_that_cannot_be_locked_are_not_counted_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill_run, "LOCK_EVERY", 0.01)
    primary = Busy(*["57014"] * 1000)
    with pytest.raises(drill_run.NotCountedError, match=r"rows of odd were not counted.*it is refused"):
        drill_run.count_at_a_position(cast("Any", primary), ["odd"], 0.1)
    # Nothing is left open, and the archive was not touched for it.
    assert primary.log[-1] == "ROLLBACK"
    with pytest.raises(SessionError):
        drill_run.count_at_a_position(cast("Any", Busy("42P01")), ["odd"], 0.1)


def test_a_backup_that_is_not_there_is_refused() -> None:
    with pytest.raises(RelevoError, match="has no backup x to try. It has a, b, c"):
        drill.choose(BACKUPS, "x", 1, lambda few: few[0])
    with pytest.raises(RelevoError, match="holds no backup to try"):
        drill.choose([], "", 1, lambda few: few[0])


def test_one_that_is_known_to_be_inconsistent_is_no_candidate() -> None:
    dirty = {"label": "d", "annotation": {"relevo-consistent": "false"}}
    assert drill.candidates([*BACKUPS, dirty], []) == BACKUPS


@pytest.mark.parametrize(
    ("expect", "found", "passes"),
    [
        (3, "3", True),
        ("3", "3", True),
        # What YAML makes of a t or of true, PostgreSQL prints as t.
        (True, "t", True),
        ("t", "t", True),
        (3, "4", False),
        (False, "t", False),
        ("", None, True),
        ("3", None, False),
    ],
)
def test_what_a_check_makes_of_an_answer(expect: object, found: object, passes: bool) -> None:
    check = Check.of({"database": "shop", "query": "SELECT 1", "expect": expect, "name": "orders"})
    verdict = check.verdict(found)
    assert (verdict == "") is passes
    assert passes or verdict.startswith("orders in shop: ")


def test_a_check_that_says_nothing_is_refused() -> None:
    with pytest.raises(RelevoError, match="has no expect"):
        Check.of({"database": "shop", "query": "SELECT 1"})


def test_a_check_with_a_word_that_nobody_knows_is_refused() -> None:
    with pytest.raises(RelevoError, match="has title, which is not known. It takes database, query, expect, name"):
        Check.of({"database": "shop", "query": "SELECT 1", "expect": 1, "title": "orders"})


def test_what_is_kept_with_the_backup() -> None:
    assert RESULT.annotations() == {
        "relevo-drill-at": "2026-11-26T12:00:00Z",
        "relevo-drill-result": "passed",
        # An empty value takes back what an earlier drill said.
        "relevo-drill-reason": "",
        "relevo-drill-rto": "15.5",
        "relevo-drill-rpo": "33",
    }
    red = replace(RESULT, failures=["x" * 400]).annotations()
    assert (red["relevo-drill-result"], red["relevo-drill-rto"], len(red["relevo-drill-reason"])) == ("failed", "", 300)


def test_the_record_says_it_in_the_words_of_the_catalog() -> None:
    kept = {name: value for name, value in RESULT.annotations().items() if value}
    record = record_from_backup({"label": RESULT.label, "type": "full", "annotation": kept}, "main", "/repo")
    expected = {"verificado": RESULT.at, "resultado": "correcto", "rto_s": "15.5", "rpo_s": "33"}
    assert expected.items() <= record.items()
    assert "motivo" not in record
    assert "verificado" not in record_from_backup({"label": RESULT.label, "type": "full"}, "main", "/repo")


def test_the_result_in_words() -> None:
    assert drill.report(RESULT, "main").splitlines() == [
        "Drill of main: the backup 20261124-120000F restores.",
        "  Copied in 10.04 s, recovered to 0/5000000 in 5.5 s, checked in 2 s.",
        "  RTO 15.5 s; RPO 33 s at most.",
    ]
    red = drill.report(Result("x", "now", failures=["A hole."]), "main")
    assert red == "Drill of main: the backup x DOES NOT RESTORE.\n  ! A hole."


def test_what_could_not_be_looked_at_is_told_and_makes_no_backup_fail() -> None:
    found = replace(RESULT, notes=["Not counted."])
    assert found.passed
    assert drill.report(found, "main").splitlines()[0].endswith("restores.")
    assert drill.report(found, "main").splitlines()[-1] == "  ? Not counted."
    kept = found.annotations()
    assert (kept["relevo-drill-result"], kept["relevo-drill-reason"]) == ("passed", "Not counted.")


@pytest.mark.parametrize(
    ("name", "backups", "words"),
    [
        ("", BACKUPS, "cannot be the name"),
        ("a b", BACKUPS, "cannot be the name"),
        ("p", [], "no backup yet"),
        (
            "p",
            [{"label": "a", "annotation": {"relevo-point-p": "0/5 1 2026"}}],
            "a restore point p already, of 2026 at 0/5",
        ),
    ],
)
def test_a_restore_point_that_is_refused(name: str, backups: list[dict[str, Any]], words: str) -> None:
    plan = points.describe_point(name, "main", "a", "repo", backups)
    assert plan.action == "none"
    assert any(words in refusal for refusal in plan.refusals)


def test_the_plan_of_a_restore_point() -> None:
    plan = points.describe_point("p", "main", "a", "repo", BACKUPS)
    assert [effect.name for effect in plan.affects] == ["a", "repo"]
    assert "backup c" in plan.affects[1].change


@pytest.mark.parametrize(
    ("noted", "away", "said"),
    [
        ([1], [], ""),
        ([1, 2], [], ""),
        # It blocks nothing, and the report has the way out of it.
        ([1], [2], ""),
        # What the report would advise finds nothing.
        ([2], [1], "does not know its name: No route. Restore"),
        ([2], [], "does not know its name: it has no backup yet. Restore"),
    ],
)
def test_a_point_that_the_first_repository_does_not_know_is_no_success(
    noted: list[int], away: list[int], said: str
) -> None:
    answer = {
        "noted": [{"repository": number, "label": "x"} for number in noted],
        "away": [{"repository": number, "reason": "No route."} for number in away],
    }
    text = unnoted_point("p", {"lsn": "0/5000028"}, answer)
    if not said:
        assert text == ""
        return
    assert text.startswith("The restore point p was made at 0/5000028 and is archived, but repository 1,")
    assert said in text
    assert "restore.yml -e target_type=lsn -e target=0/5000028. By its name" in text
    assert "restore.yml -e repository_number=2 -e target_type=name -e target=p." in text
