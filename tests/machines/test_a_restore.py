"""After the backup, on machines: beside the cluster, tables, drills, cleanup, in place and back again."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from clients import role_inside
from cluster import (
    FAILOVER,
    PRIMARY,
    REPOSITORY,
    STANDBY,
    STATUS,
    VERSION,
    archive_all,
    guard_says,
    killed_play,
    labels,
    nothing_needs_attention,
    play,
    psql,
    records,
    shell,
    wait_until,
)
from machines import UNIT, systemctl, unit_state
from restores import IN_PLACE, RECORD, RESTORE, add, new_ledger, now, port_of, scratch_instances, undo_of

pytestmark = pytest.mark.long

CLEANUP = "playbooks/cleanup.yml"
CHECKS = {
    "drill_checks": [{"name": "rows", "query": "SELECT count(*) FROM ledger", "database": "imdb", "expect": 1}],
    "drill_database": "imdb",
    "drill_tables": ["public.ledger"],
}


@pytest.fixture(autouse=True)
def ledger() -> Iterator[None]:
    if not labels():
        play("backup.yml")
    new_ledger()
    add(1)
    yield
    for name in scratch_instances():
        play(RESTORE, "-e", f"remove={name}")


def rows(node: str, *port: str) -> set[int]:
    said = shell(node, "psql", *port, "-d", "imdb", "-XAtc", "SELECT id FROM ledger", user="postgres")
    return {int(line) for line in said.split()}


def is_whole(expected: set[int]) -> None:
    assert rows(PRIMARY) == expected
    wait_until(lambda: rows(STANDBY) == expected, "the standby to have them, too", 60)
    assert [unit_state(node) for node in (PRIMARY, STANDBY)] == ["active", "active"]
    assert {record["etiqueta"] for record in records()} == set(labels())
    shell(REPOSITORY, "test", "!", "-e", RECORD)
    nothing_needs_attention()


def test_a_past_moment_stands_beside_the_cluster_and_goes_again() -> None:
    before = now()
    add(2)
    archive_all()
    done = play(RESTORE, "-e", f"target={before}")
    assert rows(REPOSITORY, "-p", port_of(done)) == {1}
    [name] = scratch_instances()
    assert f"Scratch instance {name} on {REPOSITORY}: running" in play(STATUS).text
    assert play(RESTORE, "-e", f"target={before}").changed == 0
    assert "Removed the scratch instance" in play(RESTORE, "-e", f"remove={name}").text
    assert scratch_instances() == []
    assert rows(PRIMARY) == {1, 2}


def test_the_repository_host_has_the_programs_and_no_cluster_of_debians() -> None:
    """Its packages would make one, and start it: a second server, of which nobody knows."""
    shell(REPOSITORY, "test", "-x", f"/usr/lib/postgresql/{VERSION}/bin/postgres")
    assert shell(REPOSITORY, "pg_lsclusters", "-h") == ""


def test_a_table_comes_back_beside_the_one_that_is_there() -> None:
    before = now()
    add(2)
    archive_all()
    play(RESTORE, "-e", f"target={before}", "-e", json.dumps({"database": "imdb", "tables": ["public.ledger"]}))
    [schema] = psql(PRIMARY, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'restored%'").split()
    assert psql(PRIMARY, f"SELECT string_agg(id::text, ',') FROM {schema}.ledger") == "1"
    psql(PRIMARY, f"DROP SCHEMA {schema} CASCADE")
    assert rows(PRIMARY) == {1, 2}
    assert scratch_instances() == []


def test_a_drill_proves_a_backup_and_views_and_checks_show_it() -> None:
    archive_all()
    done = play("playbooks/drill.yml", "-e", json.dumps(CHECKS))
    assert f"the backup {labels()[-1]} restores" in done.text
    [record] = [one for one in records() if one["etiqueta"] == labels()[-1]]
    assert record["resultado"] == "correcto"
    checked = play("playbooks/catalog_check.yml", "-e", "format=json").output
    assert json.loads(checked[checked.index("\n{") : checked.rindex("\n}") + 2])["trusted"] is True
    assert labels()[-1] in play(CLEANUP, "-e", "operation=show").text
    assert labels()[-1] in play("playbooks/catalog.yml", "-e", "view=detail").text


def test_a_cleanup_removes_a_backup_and_its_record() -> None:
    play("backup.yml", "-e", "day=1", "-e", "backup_force=true")
    [*_older, old, new] = labels()
    assert old in play(CLEANUP, "-e", "operation=keep", "-e", "keep=1").text
    # What a restore in place has pinned for its undo stays, whatever is asked for.
    assert old not in labels()
    assert labels()[-1] == new
    assert {record["etiqueta"] for record in records()} == set(labels())
    nothing_needs_attention()


def test_it_is_put_in_place_and_that_is_undone() -> None:
    before = now()
    add(2)
    archive_all()
    add(3)
    done = play(RESTORE, *IN_PLACE, "-e", f"target={before}")
    is_whole({1})
    add(9)
    play(RESTORE, *undo_of(done))
    is_whole({1, 2, 3})


def test_killed_with_all_servers_down_it_is_finished_by_the_same_command() -> None:
    before = now()
    add(2)
    archive_all()
    command = (*IN_PLACE, "-e", f"target={before}")
    killed_play(RESTORE, "Restore, and wait until the target is reached", *command)
    refused = play(FAILOVER, "-e", f"candidate={STANDBY}", "-e", "force=true", expect=None)
    assert refused.code != 0
    # Nobody but the same command starts one of them.
    systemctl(STANDBY, "start", "--no-block", UNIT)
    wait_until(lambda: "being restored in place" in guard_says(STANDBY)["reason"], "its guard to refuse", 60)
    assert role_inside(STANDBY) == ""
    play(RESTORE, *command)
    is_whole({1})
