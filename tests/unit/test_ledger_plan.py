# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sixty targets of the ledger (tests/integration/test_t_ledger.py), planned for a repository that such a run left.

What PostgreSQL would replay along the chosen timeline, from the chosen backup up to the target, is worked out from the
text of the history files alone: exactly the rows of then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ledger import GOALS, SHORT_GOALS, Commit, Era, Goal, Ledger

from ansible_collections.relevo.postgres.plugins.module_utils._restore.plan import (
    Place,
    Request,
    RestorePlan,
    decide,
)
from ansible_collections.relevo.postgres.plugins.module_utils._restore.reach import Repository
from ansible_collections.relevo.postgres.plugins.module_utils._restore.target import Target, parse
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import parse_lsn

DATA: dict[str, Any] = json.loads((Path(__file__).parent / "fixtures" / "ledger.json").read_text())
NOW = datetime(2026, 11, 26, 21, 40, tzinfo=UTC)
PLACE = Place("repository", "/var/lib/postgresql/scratch", 1 << 40)
REPOSITORY = Repository(
    DATA["backups"],
    DATA["databases"],
    DATA["segments"],
    {int(timeline): (text, archived) for timeline, (text, archived) in DATA["histories"].items()},
)


def commit(given: dict[str, Any]) -> Commit:
    moment = datetime.fromisoformat(given["moment"])
    return Commit(frozenset(given["adds"]), frozenset(given["removes"]), given["xid"], given["position"], moment)


LEDGER = Ledger(
    {
        int(number): Era(era["timeline"], era["parent"], era["kept"], [commit(one) for one in era["commits"]])
        for number, era in DATA["eras"].items()
    },
    {int(number): label for number, label in DATA["labels"].items()},
    {(era, after): name for era, after, name in DATA["points"]},
)


def owner(timeline: int, position: int) -> int:
    """As PostgreSQL finds it (timeline.c, ``readTimeLineHistory`` and ``tliOfPointInHistory``): the newest whose part
    begins before a position."""
    text = DATA["histories"][str(timeline)][0] if timeline > 1 else ""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    names, ends = [*(int(line[0]) for line in lines), timeline], [parse_lsn(line[1]) for line in lines]
    return next(name for name, begin in reversed(list(zip(names, [0, *ends], strict=True))) if begin < position)


def replayed(timeline: int) -> Iterator[tuple[int, Commit]]:
    """What recovery along a timeline finds, in the order of the WAL; a position is where a record has ended."""
    commits = [(era.timeline, one) for era in LEDGER.eras.values() for one in era.commits]
    for written, one in sorted(commits, key=lambda found: parse_lsn(found[1].position)):
        position = parse_lsn(one.position)
        if owner(timeline, position) == written:
            yield position, one


def ends_before(plan: RestorePlan, target: Target, position: int, one: Commit, consistent: int) -> bool:
    """Whether recovery stops before a commit; a position of an lsn or a point is not inside of its record."""
    if target.type == "time":
        return target.moment is not None and one.moment > target.moment
    if target.type == "immediate":
        return position > consistent
    limit = target.lsn if target.type == "lsn" else parse_lsn(plan.position) if target.type == "name" else None
    return limit is not None and position > limit


@pytest.mark.parametrize("goal", dict.fromkeys([*GOALS, *SHORT_GOALS]), ids=str)
def test_each_target_has_exactly_the_rows_of_then(goal: Goal) -> None:
    given = goal.arguments(LEDGER)
    target = parse(given.get("target_type", ""), given.get("target", ""))
    plan = decide(Request(target, given.get("backup", ""), int(given.get("timeline", 0))), REPOSITORY, PLACE, NOW)
    [backup] = [one for one in DATA["backups"] if one["label"] == plan.label]
    consistent = parse_lsn(backup["lsn"]["stop"])
    # The backup is on the way, and consistent before the target.
    assert owner(plan.timeline, consistent) == int(backup["archive"]["stop"][:8], 16)
    rows: set[int] = set()
    for position, one in replayed(plan.timeline):
        if ends_before(plan, target, position, one, consistent):
            assert position > consistent
            break
        rows = (rows - one.removes) | one.adds
        if target.type == "xid" and one.xid == int(target.value):
            assert position > consistent
            break
    assert rows == LEDGER.rows(goal.era, goal.after)
