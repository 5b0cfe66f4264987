# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control API understands of a play's events, and what it passes on."""

from __future__ import annotations

from typing import Any

import pytest
from relevo_api.events import Reading, Scrubber, command_in, parts_of
from relevo_api.jobs import Job, problem_of, with_job


def event(kind: str, action: str = "", **data: Any) -> dict[str, Any]:
    return {"event": kind, "event_data": {"task_action": f"relevo.postgres.{action}", **data}, "stdout": ""}


def test_the_lock_or_a_change_admits_a_play() -> None:
    for raw in (event("runner_on_ok", "operation_lock", res={}), event("runner_on_ok", "x", res={"changed": True})):
        reading = Reading()
        reading.take(event("runner_on_ok", "node_info", res={"changed": False}))
        assert not reading.admitted
        reading.take(raw)
        assert reading.admitted


def test_the_last_report_is_the_document() -> None:
    reading = Reading()
    reading.take(event("runner_on_ok", "report", res={"text": "{}", "data": {"a": 1}}))
    assert reading.document == {"a": 1}
    # catalog.yml -e view=json prints its list as text.
    reading.take(event("runner_on_ok", "report", res={"text": '\n[{"fecha": "x"}]\n'}))
    assert reading.document == [{"fecha": "x"}]
    reading.take(event("runner_on_ok", "report", res={"text": "Done."}))
    assert (reading.document, reading.text) == (None, "Done.")


def test_results_of_tasks_are_never_shown() -> None:
    shown = Reading().take({**event("runner_on_ok", "x", res={"password": "geheim"}), "stdout": ""})
    assert shown is None


def test_a_failure_is_its_sentence() -> None:
    reading = Reading()
    shown = reading.take(event("runner_on_failed", "x", task="Plan", host="a", res={"msg": "It is dead."}))
    assert shown == ("failed", "It is dead.", "a")
    assert reading.failure.task == "Plan"


def test_of_a_loop_the_failed_item_counts() -> None:
    reading = Reading()
    items = [{"msg": "fine"}, {"failed": True, "msg": "Somebody works.", "holders": [{"operation": "backup"}]}]
    reading.take(event("runner_on_failed", "operation_lock", res={"msg": "One or more items failed", "results": items}))
    assert reading.failure.sentence == "Somebody works."
    assert reading.failure.holders == [{"operation": "backup"}]


def test_what_was_rescued_before_is_not_the_reason() -> None:
    reading = Reading()
    reading.take(event("runner_on_failed", "x", res={"msg": "first"}))
    reading.take(event("runner_on_unreachable", "x", res={"msg": "second"}))
    assert reading.failure.sentence == "second"
    assert reading.failure.unreachable


def test_a_play_that_did_not_begin_is_described_by_its_last_words() -> None:
    reading = Reading()
    reading.take({"event": "verbose", "stdout": "\x1b[0;31mERROR! no such file\x1b[0m\r\n"})
    assert reading.failure.sentence == "The play did not begin: ERROR! no such file"


@pytest.mark.parametrize(
    ("sentence", "command"),
    [
        ("Run rejoin.yml.", "ansible-playbook playbooks/rejoin.yml -e cluster=main"),
        (
            "Bring it back with failover.yml -e candidate=b -e force=true.",
            "ansible-playbook playbooks/failover.yml -e cluster=main -e candidate=b -e force=true",
        ),
        ("Name it: site.yml -e cluster=x.", "ansible-playbook playbooks/site.yml -e cluster=x"),
        ("It is broken.", "ansible-playbook playbooks/status.yml -e cluster=main"),
    ],
)
def test_the_command_that_helps(sentence: str, command: str) -> None:
    assert command_in(sentence, "main") == command


def test_a_sentence_says_what_was_found_and_what_is_wanted() -> None:
    found = parts_of("No node answers (a: missing). Nothing was touched. Start the nodes, then run this again.")
    assert found == ("No node answers (a: missing).", "Start the nodes, then run this again.")
    assert parts_of("It is broken.") == ("It is broken.", "")


def test_secrets_are_removed_from_whatever_a_play_says() -> None:
    scrubber = Scrubber(["correct horse", "short", "correct horse battery"])
    assert scrubber.clean("a correct horse battery b short") == "a ******** b short"
    assert scrubber.clean_all({"a": ["correct horse", 1, None]}) == {"a": ["********", 1, None]}
    assert Scrubber([]).clean("x") == "x"


JOB = Job(
    id="x",
    operation="failover",
    playbook="failover.yml",
    cluster="main",
    variables={},
    requested_by="ana",
    address="127.0.0.1",
    created="",
)


@pytest.mark.parametrize(("admitted", "status"), [(False, 412), (True, 500)])
def test_a_check_refuses_before_and_a_play_fails_after_it_was_admitted(admitted: bool, status: int) -> None:
    failure = {"sentence": "b is paused. Nothing was changed. Run rejoin.yml.", "task": "Plan", "holders": []}
    problem = problem_of(JOB, failure, admitted)
    assert problem.status == status
    assert (problem.check, problem.found, problem.wanted) == ("Plan", "b is paused.", "Run rejoin.yml.")
    assert problem.suggestion.command == "ansible-playbook playbooks/rejoin.yml -e cluster=main"


def test_a_held_lock_is_a_conflict_with_its_holder() -> None:
    holder = {
        "operation": "backup",
        "requested_by": "bob (API job 20261126T031204-5c1d0e7f)",
        "since": "2026-11-26T03:12:04Z",
        "job": "",
        "sentence": "backup.yml by bob has been working",
        "process": 7,
    }
    problem = problem_of(JOB, {"sentence": "busy", "task": "x", "holders": [holder]}, False)
    assert problem.status == 409
    assert problem.holder
    assert problem.holder["job"] == "20261126T031204-5c1d0e7f"
    assert "process" not in problem.holder


def test_a_holder_at_a_terminal_has_no_job_of_ours() -> None:
    assert with_job({"requested_by": "root@ctl", "operation": "site"}) == {
        "requested_by": "root@ctl",
        "operation": "site",
    }
