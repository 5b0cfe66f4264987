# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger test of restores demands is right, and asks for every kind of target."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from ledger import BACKUPS, COMMITS, GOALS, KEPT, POINTS, SHORT, SHORT_GOALS, Commit, Era, Goal, Ledger

from ansible_collections.relevo.postgres.plugins.module_utils._restore.target import TYPES, parse

MOMENT = datetime(2026, 11, 26, 12, 30, 1, 250, tzinfo=UTC)


def commit(*adds: int, removes: int = 0) -> Commit:
    return Commit(frozenset(adds), frozenset({removes}), 2**32 + 740, "0/5000028", MOMENT)


LEDGER = Ledger(
    {
        1: Era(1, commits=[commit(11), commit(12, 13), commit(14, removes=11)]),
        2: Era(2, 1, 3, [commit(21), commit(22, removes=12)]),
        3: Era(5, 1, 2, [commit(31)]),
    },
    {1: "20261126-120000F"},
    {(2, 1): "release"},
)


@pytest.mark.parametrize(
    ("era", "after", "rows"),
    [
        (1, 0, set()),
        (1, 2, {11, 12, 13}),
        (1, 3, {12, 13, 14}),
        (2, 0, {12, 13, 14}),
        (2, 2, {13, 14, 21, 22}),
        # The restore in place has neither what came after its target nor what was written meanwhile.
        (3, 0, {11, 12, 13}),
        (3, 1, {11, 12, 13, 31}),
    ],
)
def test_what_there_was(era: int, after: int, rows: set[int]) -> None:
    assert LEDGER.rows(era, after) == rows


@pytest.mark.parametrize(
    ("goal", "given"),
    [
        (Goal("time", 2, 1), {"target": "2026-11-26T12:30:01.000250Z"}),
        (Goal("time", 2, 1, zone="-05:30"), {"target": "2026-11-26T07:00:01.000250-05:30"}),
        (Goal("time", 2, 1, zone="Europe/Madrid"), {"target": "2026-11-26T13:30:01.000250Europe/Madrid"}),
        (Goal("lsn", 2, 1, along=3), {"target_type": "lsn", "target": "0/5000028", "timeline": "5"}),
        (Goal("xid", 2, 1), {"target_type": "xid", "target": "740"}),
        (Goal("name", 2, 1), {"target_type": "name", "target": "release"}),
        (Goal("immediate", 1, 0, backup=1), {"target_type": "immediate", "backup": "20261126-120000F"}),
        (Goal("latest", 3, 1), {"target_type": "latest"}),
    ],
    ids=str,
)
def test_how_it_is_asked_for(goal: Goal, given: dict[str, str]) -> None:
    assert goal.arguments(LEDGER) == given
    target = parse(given.get("target_type", ""), given.get("target", ""))
    assert target.moment in (MOMENT, None)


def test_sixty_targets_of_every_kind_in_every_era() -> None:
    assert len({str(goal) for goal in GOALS}) == len(GOALS) == 60
    assert set(Counter(goal.kind for goal in GOALS)) == set(TYPES)
    for kind in ("time", "lsn", "xid", "name", "latest"):
        assert {goal.era for goal in GOALS if goal.kind == kind} == {1, 2, 3, 4}, kind
    # What was left behind in the middle of a timeline.
    left = {goal.kind for goal in GOALS if goal.era == 2 and goal.after > KEPT}
    assert left == {"time", "lsn", "xid", "latest"}
    for goal in GOALS:
        assert 0 <= goal.after <= COMMITS
        if goal.kind == "name":
            assert (goal.era, goal.after) in (*POINTS, (3, 6))
        if goal.kind == "immediate" and goal.backup:
            assert {**BACKUPS, (4, 0): 3}[goal.era, goal.after] == goal.backup


def test_the_tenth_of_every_run_has_each_kind_in_every_era() -> None:
    assert Counter(goal.kind for goal in SHORT_GOALS) == dict.fromkeys(TYPES, 1)
    assert len(GOALS) == 10 * len(SHORT_GOALS)
    assert {goal.era for goal in SHORT_GOALS} == {1, 2, 3, 4}
    # What was left behind is one of them, and what the point of its own transaction does not have.
    assert any(goal.era == 3 for goal in SHORT_GOALS)
    assert {(goal.era, goal.after) for goal in SHORT_GOALS if goal.kind == "name"} == {SHORT.inside}
    # Of the backups that of the restore in place, and none that only the long course makes.
    assert {goal.backup for goal in SHORT_GOALS} == {0, 3}
