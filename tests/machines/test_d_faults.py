"""Rows of the fault table on machines: SSH breaks, systemd starts things, a server is dead on a machine that lives."""

from __future__ import annotations

import pytest
from cluster import labels, play
from result import Result
from table import BACKUP, DEAD, DOWN, REQUESTED, REWIND, SALVAGE, WINDOW, Case
from test_faults import attempt

pytestmark = pytest.mark.long

#: In an emergency the primary's server is dead and its program away; the machine answers.
CASES = [
    Case("failover", "", "", WINDOW, "primary killed", rejoin=True),
    Case("failover", "", "", WINDOW, "controller killed"),
    Case("failover", "", "", REQUESTED, "primary killed", rejoin=True),
    Case("failover", DEAD, "before", "Promote the candidate", "controller killed", rejoin=True),
    Case("failover", DEAD, "", SALVAGE, "standby killed", rejoin=True),
    Case("failback", DOWN, "", REWIND, "controller killed"),
    Case("rejoin", DOWN, "", REWIND, "primary server killed"),
    Case("backup", "", "", BACKUP, "primary server killed"),
    Case("backup", "", "", BACKUP, "repository killed"),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_fault(case: Case, unharmed: bool) -> None:
    if not labels():
        play("backup.yml", "-e", "day=1")
    result = Result(case.name)
    attempt(case, result)
    print(f"{case.name}: {result.needed} more runs, {result.acknowledged} rows, {result.lost} lost: {result.first}")
    assert result.problems == []
