"""Sixty targets over three timelines and a restore in place, each restored to: exactly the rows that were there then.

Half an hour with the making of the history, which is why `make test` has a tenth of them, of a shorter one.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import by_hand
import psycopg
import pytest
from clients import dsn
from cluster import (
    FAILBACK,
    FAILOVER,
    NETWORK,
    PRIMARY,
    REPOSITORY,
    ROOT,
    STANDBY,
    VERSION,
    archive_all,
    labels,
    play,
    provision,
    psql,
    shell,
    timeline_of,
)
from failures import failed_since
from ledger import GOALS, KEPT, LONG, SHORT, SHORT_GOALS, Commit, Course, Era, Goal, Ledger

RESTORE, POINT = "playbooks/restore.yml", "playbooks/restore_point.yml"
Client = psycopg.Connection[tuple[Any, ...]]
HOME = "/var/lib/postgresql/scratch/ledger"


@pytest.fixture(autouse=True)
def unharmed(provisioned: None) -> None:
    """A restore beside harms nobody, so what has failed does not cost the next target its history."""


@pytest.fixture(scope="module")
def history(provisioned: None, request: pytest.FixtureRequest) -> Iterator[Ledger]:
    yield from history_of(LONG, request.session)


@pytest.fixture(scope="module")
def short_history(provisioned: None, request: pytest.FixtureRequest) -> Iterator[Ledger]:
    yield from history_of(SHORT, request.session)


def history_of(course: Course, session: pytest.Session) -> Iterator[Ledger]:
    """With RELEVO_INTEGRATION_KEEP=yes that of an earlier run, where this cluster is still the one that has it."""
    if failed_since(session):
        provision()
    keep = os.environ.get("RELEVO_INTEGRATION_KEEP") == "yes"
    if keep and stored(course).exists():
        yield pickle.loads(stored(course).read_bytes())
        return
    # One that another test has left may be a superuser's.
    psql(PRIMARY, "DROP TABLE IF EXISTS ledger")
    psql(PRIMARY, "GRANT EXECUTE ON FUNCTION pg_create_restore_point(text) TO imdb")
    with psycopg.connect(dsn(), autocommit=True) as client:
        client.execute("CREATE TABLE ledger (id int PRIMARY KEY)")
    ledger = written(course)
    if keep:
        stored(course).parent.mkdir(parents=True, exist_ok=True)
        stored(course).write_bytes(pickle.dumps(ledger))
    yield ledger
    if not keep:
        psql(PRIMARY, "DROP TABLE IF EXISTS ledger")
        psql(PRIMARY, "REVOKE EXECUTE ON FUNCTION pg_create_restore_point(text) FROM imdb")


def stored(course: Course) -> Path:
    """The ledger of just this cluster, and of no other that had its name."""
    identifier = psql(PRIMARY, "SELECT system_identifier FROM pg_control_system()")
    return ROOT / ".cache" / "clusters" / NETWORK / f"ledger-{course.name}-{identifier}"


def written(course: Course) -> Ledger:
    """Three timelines, then the second one anew from its middle."""
    ledger = Ledger()
    if (1, 0) in course.backups:
        backed_up(ledger, course.backups[1, 0], "1")
    elif not labels():
        play("backup.yml")
    time.sleep(1.1)  # the end of a backup is known to the second
    write(ledger, 1, Era(timeline_of(PRIMARY)), course)
    play(FAILOVER)
    write(ledger, 2, Era(timeline_of(STANDBY), parent=1, kept=len(ledger.eras[1].commits)), course)
    play(FAILBACK)
    write(ledger, 3, Era(timeline_of(PRIMARY), parent=2, kept=len(ledger.eras[2].commits)), course)
    back = Goal("time", 2, KEPT).arguments(ledger)["target"]
    play(RESTORE, "-e", "to=cluster", "-e", "confirm=main", "-e", f"target={back}")
    ledger.points[3, 6] = point_of_the_restore()
    ledger.backups[3] = labels()[-1]
    write(ledger, 4, Era(timeline_of(PRIMARY), parent=2, kept=KEPT), course)
    archive_all()
    assert len({era.timeline for era in ledger.eras.values()}) == 4
    return ledger


def backed_up(ledger: Ledger, number: int, day: str) -> None:
    play("backup.yml", "-e", f"day={day}", "-e", "backup_force=true")
    ledger.backups[number] = labels()[-1]
    time.sleep(1.1)  # the end of a backup is known to the second


def point_of_the_restore() -> str:
    """The restore point that a restore in place makes before it goes back."""
    said = shell(REPOSITORY, "pgbackrest", "--stanza=main", "--output=json", "info", user="postgres")
    noted = {str(name) for backup in json.loads(said)[0]["backup"] for name in backup.get("annotation") or {}}
    prefix = "relevo-point-"
    return max(name for name in noted if name.startswith(f"{prefix}before_restore_")).removeprefix(prefix)


def write(ledger: Ledger, number: int, era: Era, course: Course) -> None:
    """Six transactions that commit, the third one begun after the fourth; between them one that does not."""
    ledger.eras[number] = era
    first = 100 * number
    with (
        psycopg.connect(dsn(), autocommit=True) as client,
        psycopg.connect(dsn()) as slow,
        psycopg.connect(dsn()) as no,
    ):

        def committed(xid: int, adds: set[int], removes: frozenset[int] = frozenset()) -> None:
            position, moment = one(client, "SELECT pg_current_wal_insert_lsn()::text, clock_timestamp()")
            era.commits.append(Commit(frozenset(adds), removes, xid, position, moment))
            then(ledger, number, len(era.commits), course)

        def add(*ids: int) -> None:
            with client.transaction():
                xid = insert(client, *ids)
                if course.inside == (number, len(era.commits)):
                    point_inside(client, ledger, number, era)
            committed(xid, set(ids))

        add(first + 1)
        add(first + 2, first + 3)
        later = insert(slow, first + 4)
        add(first + 5)
        # So that what follows the commit before is not a commit, and a position between them means one state.
        insert(slow, first + 6)
        slow.commit()
        committed(later, {first + 4, first + 6})
        insert(no, first + 9)
        no.rollback()
        with client.transaction():
            xid = insert(client, first + 7)
            client.execute("DELETE FROM ledger WHERE id = %s", (first + 1,))
        committed(xid, {first + 7}, frozenset({first + 1}))
        add(first + 8)
        # As a client sees it: what the ledger says of the present is so.
        present = {row[0] for row in client.execute("SELECT id FROM ledger")}
        assert present == ledger.rows(number, len(era.commits))


def insert(client: Client, *ids: int) -> int:
    """Within a transaction; returns its id."""
    for row in ids:
        client.execute("INSERT INTO ledger VALUES (%s)", (row,))
    return int(one(client, "SELECT pg_current_xact_id()::text")[0])


def one(client: Client, sql: str) -> tuple[Any, ...]:
    row = client.execute(sql).fetchone()
    assert row is not None
    return row


def point_inside(client: Client, ledger: Ledger, number: int, era: Era) -> None:
    """Within a transaction, as somebody's migration may make one; noted by hand where restore_point.yml notes them."""
    position, made = one(
        client,
        "SELECT pg_create_restore_point('inside')::text, "
        "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    )
    by_hand.annotate(labels()[-1], relevo_point_inside=f"{position} {era.timeline} {made}")
    ledger.points[number, len(era.commits)] = "inside"


def then(ledger: Ledger, era: int, after: int, course: Course) -> None:
    """What is done after so many commits of an era."""
    if (era, after) in course.points:
        ledger.points[era, after] = f"ledger_{ledger.eras[era].timeline}_{after}"
        play(POINT, "-e", f"point={ledger.points[era, after]}")
    if (era, after) in course.backups:
        backed_up(ledger, course.backups[era, after], "2")


@pytest.fixture
def removed() -> Iterator[None]:
    """The scratch instance goes, also a half-made one: not by a play, of which sixty would take ten minutes."""
    yield
    stop = f"/usr/lib/postgresql/{VERSION}/bin/pg_ctl -D {HOME}/data -m immediate stop"
    shell(
        REPOSITORY,
        "sh",
        "-ec",
        f"if [ -e {HOME}/data/postmaster.pid ]; then {stop}; fi; rm -rf {HOME}",
        user="postgres",
    )


@pytest.mark.parametrize("goal", SHORT_GOALS, ids=str)
def test_a_tenth_has_exactly_the_rows_of_then(goal: Goal, short_history: Ledger, removed: None) -> None:
    assert rows_restored(goal, short_history) == short_history.rows(goal.era, goal.after)


@pytest.mark.long
@pytest.mark.parametrize("goal", GOALS, ids=str)
def test_a_restore_has_exactly_the_rows_of_then(goal: Goal, history: Ledger, removed: None) -> None:
    assert rows_restored(goal, history) == history.rows(goal.era, goal.after)


def rows_restored(goal: Goal, ledger: Ledger) -> set[int]:
    given = {**goal.arguments(ledger), "scratch": "ledger"}
    done = play(RESTORE, *(part for name, value in given.items() for part in ("-e", f"{name}={value}")))
    port = re.search(r"psql -p (\d+)", done.text)
    assert port, done.output[-3000:]
    # Seen where it fails: what was planned and reached, and how the server got there.
    print(done.output, shell(REPOSITORY, "cat", f"{HOME}/server.log"))
    said = shell(REPOSITORY, "psql", "-p", port[1], "-d", "imdb", "-XAtc", "SELECT id FROM ledger", user="postgres")
    return {int(line) for line in said.split()}
