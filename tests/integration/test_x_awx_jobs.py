"""The jobs as AWX runs them, on a real cluster: from a fresh checkout, with all secrets from the credential."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awx_data
import awx_job
import pytest
from awx_cluster import TEMPLATES, Jobs, changes_nothing, synchronised, typed
from awx_data import WITHOUT_ANSWERS
from cluster import PRIMARY, REPOSITORY, STANDBY, labels, nothing_needs_attention, psql, shell
from holding import controller, frozen
from operation_lock import wait_for_operation
from restores import now, scratch_instances

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    with awx_job.project() as place:
        yield place


@pytest.fixture
def job(checkout: Path, unharmed: bool) -> Jobs:
    """A test that failed is followed by a new cluster, with other secrets."""
    return Jobs(checkout, synchronised(), typed())


def test_the_jobs(job: Jobs) -> None:
    """One test, since a job is a minute on a busy machine: provision twice, backup, status, catalog, plan."""
    # Each from a fresh private data directory: nothing is generated, and nothing changed.
    for _time in range(2):
        done = job("Relevo provision")
        assert changes_nothing(done)
        assert done.secrets == ()

    before = labels()
    job("Relevo backup", day="1")
    [made] = [label for label in labels() if label not in before]
    information = shell(REPOSITORY, "pgbackrest", "--stanza=main", "--output=json", "info", user="postgres")
    [annotation] = [backup["annotation"] for backup in json.loads(information)[0]["backup"] if backup["label"] == made]
    assert annotation["relevo-by"] == "AWX job 17"

    assert made in job("Relevo catalog", view="detail").output
    assert "Nothing needs attention." in job("Relevo status", require="healthy").output
    plan = job("Relevo failover plan")
    assert "Plan of failover for main: Hand over from" in plan.text
    assert primary() == PRIMARY


def test_a_check_shows_the_plan(job: Jobs, backed_up: None) -> None:
    asked: dict[str, dict[str, Any]] = {"Relevo provision": {"plan": "text"}, "Relevo drill": {}}
    for name, answers in asked.items():
        done = job(name, check=True, **answers)
        assert re.search(r"Plan of (site|drill) for main: ", done.text), done.output
        assert changes_nothing(done)


def test_the_job_that_is_refused_names_the_one_that_works_there(job: Jobs, backed_up: None) -> None:
    """The other one is held in its backup: the checkpoint that it asks for is not made meanwhile."""
    other = ("-e", "day=2", "-e", '{"awx_job_id": 4711, "awx_user_name": "bob"}')
    with controller("backup.yml", *other) as working:
        with frozen(PRIMARY, "postgres: checkpointer"):
            wait_for_operation("backup")
            refused = job("Relevo backup", 2).text
            assert "backup.yml by bob (AWX job 4711) has been working on cluster main since" in refused
            assert "Nothing was changed" in refused
            looking = job("Relevo status").text
            assert "AWX job 4711" in looking
        # Ended here, it would leave a backup without a record to the jobs after it.
        assert working.wait().code == 0


def primary() -> str:
    """The node that accepts writes."""
    return PRIMARY if psql(PRIMARY, "SELECT pg_is_in_recovery()") == "f" else STANDBY


@pytest.mark.parametrize("name", WITHOUT_ANSWERS)
def test_a_job_that_nobody_answered_does_what_its_name_says(name: str, job: Jobs, backed_up: None) -> None:
    """In the order of the table, in which the role moves to the standby and back."""
    expected = WITHOUT_ANSWERS[name]
    done = job(name, 2 if expected.refused else 0)
    assert expected.says in done.text, done.text[-3000:]
    if expected.changes is not None:
        assert changes_nothing(done) is not expected.changes, done.output
    assert primary() == (STANDBY if expected.standby_rules else PRIMARY)
    if expected.refused:
        # Semaphore gives all answers, the empty ones too.
        answers: dict[str, Any] = dict.fromkeys(awx_data.defaults(TEMPLATES[name]), "")
        empty = job(name, 2, **answers)
        assert expected.says_to_nothing in empty.text, empty.text[-3000:]
        assert changes_nothing(done)
        assert changes_nothing(empty)


def rows() -> str:
    return psql(PRIMARY, "SELECT string_agg(id::text, ',' ORDER BY id) FROM answered")


def test_what_a_person_answers(job: Jobs, backed_up: None) -> None:
    """With consent, as text: tables replaced, the cluster back and forth, a forced failover, backups removed."""
    for name in scratch_instances():
        job("Relevo restore beside", remove=name)
    assert scratch_instances() == []

    psql(PRIMARY, "DROP TABLE IF EXISTS answered; CREATE TABLE answered (id int PRIMARY KEY)")
    psql(PRIMARY, "INSERT INTO answered VALUES (1)")
    moment = now()
    psql(PRIMARY, "INSERT INTO answered VALUES (2)")
    # Its segment is archived: so the moment is within the window.
    assert "is archived" in job("Relevo restore point", point="answered_point").text

    replaced: dict[str, Any] = {"target": moment, "database": "imdb", "tables": "public.answered", "into": "original"}
    assert "confirm=main" in job("Relevo restore tables", 2, **replaced).text
    assert rows() == "1,2"
    job("Relevo restore tables", confirm="main", **replaced)
    assert rows() == "1"

    psql(PRIMARY, "INSERT INTO answered VALUES (3)")
    back: dict[str, Any] = {"target_type": "name", "target": "answered_point"}
    assert "Nobody confirmed" in job("Relevo restore in place", 2, **back).text
    assert "is not the cluster's name" in job("Relevo restore in place", 2, confirm="other", **back).text
    assert rows() == "1,3"
    report = job("Relevo restore in place", confirm="main", **back).text
    assert rows() == "1,2"
    undo = re.search(r"restore\.yml -e cluster=main -e to=cluster -e target_type=latest -e timeline=(\d+) -e", report)
    assert undo, report
    job("Relevo restore in place", target_type="latest", timeline=int(undo[1]), confirm="main")
    assert rows() == "1,3"

    job("Relevo failover forced", force="true", candidate=STANDBY)
    assert primary() == STANDBY
    job("Relevo failback")
    nothing_needs_attention()

    assert "confirm" in job("Relevo cleanup", 2, operation="all").text
    assert "keep=N" in job("Relevo cleanup", 2, operation="keep").text
    # What undoes the restores in place is kept until the undo is given up.
    pinned = job("Relevo cleanup", 2, operation="all", confirm="main").text
    kept = re.findall(r"(\S+) is pinned until", pinned)
    assert kept, pinned
    for label in kept:
        job("Relevo cleanup", pin=label, pin_until="now")
    assert set(kept) <= set(labels())
    job("Relevo cleanup", operation="all", confirm="main")
    assert labels() == []
