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

FAILOVER, BACKUPS, RESTORES, REJOIN, SWITCHOVER = (
    next(one for one in OPERATIONS if one.name == name)
    for name in ("failover", "backups", "restores", "rejoin", "switchover")
)


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


def test_a_restore_of_hours_does_not_keep_an_emergency_waiting(jobs: Jobs) -> None:
    jobs.begin(RESTORES, "main", {}, "ana", "127.0.0.1")
    begin(jobs)


def test_an_emergency_waits_for_nothing_but_another_one(jobs: Jobs) -> None:
    rejoin = jobs.begin(REJOIN, "main", {}, "ana", "127.0.0.1")
    with pytest.raises(Busy) as busy:
        jobs.begin(SWITCHOVER, "main", {}, "ana", "127.0.0.1")
    assert busy.value.job == rejoin
    # The cluster's own lock decides, and the play says who has it.
    begin(jobs)


def test_a_job_that_could_not_be_begun_is_none_that_runs(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("relevo_api.jobs.spawn", broken)
    with pytest.raises(OSError, match="No space"):
        begin(jobs)
    assert [job.state for job in jobs.all()] == ["interrupted"]
    # Its claims are free, too.
    monkeypatch.setattr("relevo_api.jobs.spawn", lambda *_arguments: None)
    begin(jobs)


def test_a_key_is_on_the_disk_before_its_play_begins(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[list[str]] = []
    monkeypatch.setattr(
        "relevo_api.jobs.spawn",
        lambda *_arguments: noted.append([read_json(note)["job"] for note in jobs.keys.glob("*.json")]),
    )
    name = begin(jobs, "k")
    assert noted == [[name]]


def test_a_job_that_has_begun_is_not_called_failed_for_what_could_not_be_put_away(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        end(jobs, begin(jobs, f"k{number}"))
    (jobs.keys / "old.lock").touch()
    names = jobs.names()
    # Another process of the service has pruned meanwhile.
    monkeypatch.setattr(jobs, "names", lambda: [*names, "20200101T000000000-00000000"])
    (jobs.directory / "20200101T000000000-00000000").mkdir()
    read = read_json

    def gone(path: Path) -> Any:
        if path.parent == jobs.keys:
            path.unlink(missing_ok=True)
        return read(path)

    monkeypatch.setattr("relevo_api.jobs.read_json", gone)
    begin(jobs)
    assert not list(jobs.keys.glob("*.lock"))
    assert not (jobs.directory / "20200101T000000000-00000000").exists()


def test_a_text_may_hold_any_separator_of_lines(jobs: Jobs) -> None:
    name = begin(jobs)
    text = '{"id": 1, "text": "a\u2028b\u0085c}"}\n{"id": 2}\n{"id": 3, "text": "ä'
    (jobs.directory / name / "events.jsonl").write_bytes(text.encode()[:-1])
    assert [one["id"] for one in jobs.events_after(name, 0)] == [1, 2]


def test_what_has_ended_is_read_once_until_the_cluster_says_more(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [begin(jobs)]
    end(jobs, names[0])
    names.append(begin(jobs))
    assert [job.state for job in jobs.all()] == ["running", "succeeded"]
    read: list[str] = []

    def counted(path: Path) -> Any:
        read.append(path.parent.name)
        return read_json(path)

    monkeypatch.setattr("relevo_api.jobs.read_json", counted)
    assert [job.state for job in jobs.all()] == ["running", "succeeded"]
    assert set(read) == {names[1]}
    assert jobs.page(1, 1) == (2, [jobs.find(names[0])])
    assert [job.id for job in jobs.page(5, 0, state="running")[1]] == names[1:]
    jobs.note_found(names[0], {"sentence": "a is primary"})
    read.clear()
    jobs.find(names[0])
    assert names[0] in read
