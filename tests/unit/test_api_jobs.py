# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a job, and for how long."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from relevo_api.files import read_json, try_lock, write_json
from relevo_api.jobs import Busy, Jobs
from relevo_api.operations import OPERATIONS
from relevo_api.problems import ProblemError
from relevo_api.settings import Settings

FAILOVER = next(one for one in OPERATIONS if one.name == "failover")
BACKUPS = next(one for one in OPERATIONS if one.name == "backups")


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """Whose plays are not run: a job lives for as long as its file is locked."""
    settings = Settings.model_validate(
        {
            "state_directory": tmp_path,
            "playbooks": "/x",
            "project_directory": "/x",
            "backend": {"kind": "runner", "ansible_playbook": "/x", "inventory": []},
            "clusters": [],
            "keep_jobs": 2,
        }
    )
    held: list[int] = []

    def spawned(_settings: Path, _folder: Path, claims: list[int], alive: int) -> None:
        held.extend(os.dup(number) for number in [*claims, alive])

    monkeypatch.setattr("relevo_api.jobs.spawn", spawned)
    made = Jobs(settings, tmp_path / "settings.json")
    made.__dict__["held"] = held
    return made


def end(jobs: Jobs, name: str, **more: Any) -> None:
    """The play has ended."""
    for number in jobs.__dict__["held"]:
        os.close(number)
    jobs.__dict__["held"].clear()
    outcome = {"succeeded": True, "admitted": True, "ended": "2026-11-26T09:00:00+00:00", "text": "", "failure": None}
    write_json(jobs.directory / name / "outcome.json", {**outcome, **more})


def begin(jobs: Jobs, key: str = "", values: dict[str, Any] | None = None) -> str:
    return jobs.begin(FAILOVER, "main", values or {}, "ana", "127.0.0.1", key).id


def test_a_job_runs_until_its_end_is_written(jobs: Jobs) -> None:
    name = begin(jobs)
    job = jobs.find(name)
    assert job
    assert job.state == "running"
    request = read_json(jobs.directory / name / "request.json")
    assert request["variables"] == {"cluster": "main"}
    assert (request["who"], request["job"]) == ("ana", f"API job {name}")
    end(jobs, name)
    ended = jobs.find(name)
    assert ended
    assert ended.state == "succeeded"


def test_one_whose_process_is_gone_was_cut_off(jobs: Jobs) -> None:
    name = begin(jobs)
    for number in jobs.__dict__["held"]:
        os.close(number)
    found = jobs.find(name)
    assert found
    assert found.state == "interrupted"
    assert found.problem
    assert found.problem.suggestion.command == "ansible-playbook playbooks/failover.yml -e cluster=main"


def test_another_for_the_same_thing_is_busy_and_one_for_another_thing_is_not(jobs: Jobs) -> None:
    name = begin(jobs)
    with pytest.raises(Busy) as busy:
        begin(jobs)
    assert busy.value.job
    assert busy.value.job.id == name
    # An emergency must not wait for a backup of hours: the cluster's lock decides.
    jobs.begin(BACKUPS, "main", {}, "ana", "127.0.0.1")
    jobs.begin(FAILOVER, "other", {}, "ana", "127.0.0.1")


def test_a_key_gives_the_same_job_and_is_for_one_request(jobs: Jobs) -> None:
    name = begin(jobs, "k")
    assert begin(jobs, "k") == name
    with pytest.raises(ProblemError) as refused:
        begin(jobs, "k", {"candidate": "b"})
    assert refused.value.problem.status == 422


def test_a_key_of_a_refused_request_may_be_used_again(jobs: Jobs) -> None:
    first = begin(jobs)
    with pytest.raises(Busy):
        begin(jobs, "k")
    end(jobs, first)
    assert begin(jobs, "k") != first


def test_the_oldest_are_removed_with_their_keys_and_what_runs_is_not(jobs: Jobs) -> None:
    names = []
    for number in range(4):
        names.append(begin(jobs, f"k{number}"))
        if number < 3:
            end(jobs, names[-1])
    jobs.prune()
    left = jobs.names()
    assert len(left) == 2
    assert names[-1] in left
    assert len(list(jobs.keys.glob("*.json"))) == 2


@pytest.mark.parametrize("name", ["../../etc", "", "x", "20261126T092221412-3dd7b9ed/.."])
def test_a_name_that_is_none_is_not_looked_up(jobs: Jobs, name: str) -> None:
    assert jobs.find(name) is None


def test_events_that_are_half_written_wait(jobs: Jobs) -> None:
    name = begin(jobs)
    (jobs.directory / name / "events.jsonl").write_text('{"id": 1}\n{"id": 2}\n{"id": 3, "te')
    assert jobs.events_after(name, 1) == [{"id": 2}]


def test_a_lock_is_somebody_s_until_the_last_has_closed_it(tmp_path: Path) -> None:
    first = try_lock(tmp_path / "lock")
    assert first is not None
    copy = os.dup(first)
    os.close(first)
    assert try_lock(tmp_path / "lock") is None
    os.close(copy)
    again = try_lock(tmp_path / "lock")
    assert again is not None
    os.close(again)
