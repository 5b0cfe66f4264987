"""Restoring in place of the present data: back, forth again, killed in between, out of nothing but the repository."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import (
    FAILBACK,
    FAILOVER,
    INVENTORY,
    PRIMARY,
    REDIS,
    REJOIN,
    REPOSITORY,
    ROOT,
    SECRETS,
    STANDBY,
    STATUS,
    archive_all,
    controller_environment,
    docker,
    guard_says,
    killed_play,
    labels,
    nothing_needs_attention,
    play,
    psql,
    records,
    running,
    shell,
    wait_until,
)
from restores import IN_PLACE, RECORD, RESTORE, add, new_ledger, now, undo_of


@pytest.fixture
def ledger(backed_up: None) -> None:
    new_ledger()


def rows(node: str) -> set[int]:
    return {int(line) for line in psql(node, "SELECT id FROM ledger").split()}


def restored_from_the_repository(node: str) -> str:
    """A node is made a standby of the primary by a restore and nothing else; the label of the backup."""
    wanted = {"node": node, "primary": {"name": PRIMARY}, "service_manager": "runit", "method": "restore"}
    ansible = str(Path(sys.executable).with_name("ansible"))
    done = subprocess.run(
        [
            ansible,
            "-i",
            str(INVENTORY),
            node,
            "--one-line",
            "-m",
            "relevo.postgres.pg_rejoin",
            "-a",
            json.dumps(wanted),
        ],
        cwd=ROOT,
        env=controller_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout[done.stdout.index("{") :])["method"] == "restore", done.stdout + done.stderr
    log = shell(node, "cat", "/var/log/pgbackrest/main-restore.log")
    return str(re.findall(r"restore backup set (\S+),", log)[-1])


def is_whole(expected: set[int]) -> None:
    """Both servers have these rows, and the cluster has all that it needs."""
    assert rows(PRIMARY) == expected
    wait_until(lambda: rows(STANDBY) == expected, "the standby to have them, too", 30)
    assert psql(STANDBY, "SELECT pg_is_in_recovery()") == "t"
    assert {record["etiqueta"] for record in records()} == set(labels())
    shell(REPOSITORY, "test", "!", "-e", RECORD)
    nothing_needs_attention()


def test_what_nobody_confirmed_is_refused(ledger: None) -> None:
    add(1)
    target = ("-e", "to=cluster", "-e", "target_type=latest")
    output = play(RESTORE, *target, "-e", "plan=json").output
    plan = json.loads(output[output.index("\n{") : output.rindex("\n}") + 2])
    assert plan["action"] == "restore-in-place"
    assert [effect["name"] for effect in plan["affects"]] == [PRIMARY, STANDBY, REPOSITORY]
    assert "Nobody confirmed" in play(RESTORE, *target, expect=2).text
    wrong = play(RESTORE, *target, "-e", "confirm=other", expect=2).text
    assert "confirm=other is not the cluster's name" in wrong
    assert "Nothing was touched" in wrong
    assert rows(PRIMARY) == {1}
    shell(REPOSITORY, "test", "!", "-e", RECORD)


@pytest.mark.long
def test_a_cluster_goes_back_and_forth(ledger: None) -> None:
    add(1)
    before = now()
    add(2)
    # The way back begins with the newest backup, from which none leads to the timeline that comes now.
    play("backup.yml", "-e", "day=2", "-e", "backup_force=true")
    newest = labels()[-1]
    archive_all()
    # Not archived before the restore stops the server.
    add(3)
    days = ("-e", "restore_undo_days=3", "-e", "restore_process_max=1")
    done = play(RESTORE, *IN_PLACE, "-e", f"target={before}", *days)
    assert f"{STANDBY} (" in done.text
    is_whole({1})
    # With the full backup of the new timeline lost, the newest one is of what was left behind.
    shell(REPOSITORY, "pgbackrest", "--stanza=main", f"--set={labels()[-1]}", "expire", user="postgres")
    assert labels()[-1] == newest
    assert restored_from_the_repository(STANDBY) != newest
    wait_until(lambda: rows(STANDBY) == {1}, "the standby to have what the primary has", 30)
    add(9)
    # The chain that leads back outlives whatever retention says.
    [kept] = re.findall(r"the backup (\S+) is pinned", done.text)
    assert kept == newest
    for _ in range(3):
        play("backup.yml", "-e", "day=1", "-e", "backup_force=true")
    assert kept in labels()
    play(RESTORE, *undo_of(done))
    is_whole({1, 2, 3})


def refused_meanwhile() -> None:
    """Nobody else works on a cluster that is half restored; each says what finishes it."""
    for name in (FAILOVER, FAILBACK, REJOIN, "site.yml", "backup.yml", "playbooks/drill.yml"):
        refused = play(name, expect=2).text
        assert "is being restored in place" in refused or "No primary" in refused, (name, refused[-1500:])
    cleaning = play("playbooks/cleanup.yml", "-e", "operation=keep", "-e", "keep=1", expect=2).text
    assert "Finish it: ansible-playbook playbooks/restore.yml -e cluster=main -e to=cluster" in cleaning
    # Force is no way around it, nor a start by hand.
    forced = play(FAILOVER, "-e", f"candidate={STANDBY}", "-e", "force=true", expect=None)
    assert forced.code != 0


@pytest.mark.long
def test_killed_with_all_servers_down_it_is_finished_by_the_same_command(ledger: None) -> None:
    add(1)
    before = now()
    add(2)
    archive_all()
    command = (*IN_PLACE, "-e", f"target={before}")
    killed_play(RESTORE, "Restore, and wait until the target is reached", *command)
    wait_until(lambda: shell(REPOSITORY, "cat", RECORD) != "", "the record", 10)
    refused_meanwhile()
    assert "waits for the end of a restore in place" in play(STATUS).text
    shell(STANDBY, "sv", "up", "postgresql")
    wait_until(lambda: "being restored in place" in guard_says(STANDBY)["reason"], "its guard to refuse", 30)
    play(RESTORE, *command)
    is_whole({1})


@pytest.mark.long
def test_killed_at_other_steps_too(ledger: None) -> None:
    add(1)
    before = now()
    add(2)
    archive_all()
    command = (*IN_PLACE, "-e", f"target={before}")
    killed_play(RESTORE, "Stop their servers", *command)
    killed_play(RESTORE, "Make the other nodes follow", *command)
    # The target has been reached: another one has to wait.
    other = play(RESTORE, *IN_PLACE, "-e", "target_type=latest", expect=2).text
    assert "Its target has been reached" in other
    play(RESTORE, *command)
    is_whole({1})


@pytest.mark.long
def test_out_of_nothing_but_the_repository(ledger: None) -> None:
    """New machines, empty volumes, no secrets: what is left is the repository's volume."""
    add(1)
    archive_all()
    for node in (PRIMARY, STANDBY, REDIS, REPOSITORY):
        mounts = json.loads(docker("inspect", "-f", "{{json .Mounts}}", node))
        docker("rm", "-f", node)
        for mount in mounts:
            if not (node == REPOSITORY and mount["Destination"] == "/var/lib/pgbackrest"):
                docker("volume", "rm", mount["Name"])
    shutil.rmtree(SECRETS)
    prepared = play("site.yml", expect=2).text
    assert "No new cluster was made" in prepared
    assert "restore.yml -e cluster=main -e to=cluster -e target_type=latest -e confirm=main" in prepared
    assert running(PRIMARY)
    done = play(RESTORE, *IN_PLACE, "-e", "target_type=latest")
    assert "There is no way back" in done.text
    assert rows(PRIMARY) == {1}
    play("site.yml")
    is_whole({1})
