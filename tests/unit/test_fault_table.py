"""The table of faults: every row can be played. A renamed task would else be missed only by `make faults`."""

from __future__ import annotations

import re

import pytest
from cluster import ROOT
from injections import FAULTS
from moments import MOMENTS
from scene import STATES
from table import BESIDE, CASES, IN_PLACE, START, Case

TASKS = {
    match[1]
    for folder in ("roles", "playbooks")
    for file in (ROOT / folder).rglob("*.yml")
    for match in re.finditer(r"^\s*- name: (.+)$", file.read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_row_names_what_there_is(case: Case) -> None:
    assert (ROOT / "playbooks" / f"{case.play}.yml").exists()
    assert case.state in STATES
    role, _blank, fault = case.fault.partition(" ")
    assert case.fault == "controller killed" or (
        role in ("primary", "standby", "repository", "redis") and fault in FAULTS
    )
    if case.at == START or case.at in MOMENTS:
        assert case.when == ""
    else:
        assert case.when in ("before", "after")
        assert any(re.search(case.at, task) for task in TASKS)


@pytest.mark.parametrize("name", MOMENTS)
def test_a_moment_is_in_a_task_that_there_is(name: str) -> None:
    assert any(re.search(MOMENTS[name].task, task) for task in TASKS)


def test_enough_rows_and_none_twice() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 48
    assert sum(case.short for case in CASES) == 3, "`make test` has time for three"
    plays = {"site", "backup", "failover", "failback", "rejoin", "restore", "drill", "cleanup"}
    assert {case.play for case in CASES} == plays
    assert {case.given for case in CASES if case.play == "restore"} == {BESIDE, IN_PLACE}
