"""Restoring in place of the present data: back, forth again, killed in between, out of nothing but the repository."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import by_hand
import pytest
from cluster import (
    FAILBACK,
    FAILOVER,
    INVENTORY,
    PGDATA,
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
    repository_backups,
    running,
    shell,
    timeline_of,
    wait_until,
)
from restores import (
    IN_PLACE,
    RECORD,
    RESTORE,
    add,
    check_mode_differs,
    new_ledger,
    now,
    scratch_instances,
    undo_of,
)

CLEANUP = "playbooks/cleanup.yml"


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
    # When the time of a way back is over, retention takes what was kept for it, and nobody has to think of that.
    pinned = [one["label"] for one in repository_backups() if (one.get("annotation") or {}).get("relevo-pinned")]
    assert kept in pinned
    play(CLEANUP, "-e", "operation=retention")
    assert kept in labels()
    for label in pinned:
        by_hand.annotate(label, relevo_pinned="20200101T000000Z")
    play(CLEANUP, "-e", "operation=retention")
    assert kept not in labels()
    is_whole({1, 2, 3})


#: What nobody may do to a cluster that is half restored; force is no way around it.
FORBIDDEN: dict[str, tuple[str, ...]] = {
    "failover": (FAILOVER,),
    "failback": (FAILBACK,),
    "rejoin": (REJOIN,),
    "site": ("site.yml",),
    "backup": ("backup.yml",),
    "cleanup": (CLEANUP, "-e", "operation=keep", "-e", "keep=1"),
    "drill": ("playbooks/drill.yml",),
    "forced failover": (FAILOVER, "-e", f"candidate={STANDBY}", "-e", "force=true"),
}


def refused_meanwhile(target: str) -> None:
    """Nobody else works on a cluster that is half restored; each says what finishes it."""
    command = json.loads(shell(REPOSITORY, "cat", RECORD))["command"]
    # What somebody would type again, with the target as it was given.
    typed = f"-e target={target.removesuffix('Z').rstrip('0').rstrip('.')}Z -e confirm=main"
    assert (
        command == f"ansible-playbook playbooks/restore.yml -e cluster=main -e to=cluster -e target_type=time {typed}"
    )
    said = {name: play(*given, expect=2).text for name, given in FORBIDDEN.items()}
    words = ("is being restored in place, by ", f"Finish it: {command}")
    silent = {name: text[-1500:] for name, text in said.items() if any(one not in text for one in words)}
    assert silent == {}


@pytest.mark.long
def test_killed_with_all_servers_down_it_is_finished_by_the_same_command(ledger: None) -> None:
    add(1)
    before = now()
    add(2)
    archive_all()
    command = (*IN_PLACE, "-e", f"target={before}")
    killed_play(RESTORE, "Restore, and wait until the target is reached", *command)
    wait_until(lambda: shell(REPOSITORY, "cat", RECORD) != "", "the record", 10)
    refused_meanwhile(before)
    assert "waits for the end of a restore in place" in play(STATUS).text
    shell(STANDBY, "sv", "up", "postgresql")
    wait_until(lambda: "being restored in place" in guard_says(STANDBY)["reason"], "its guard to refuse", 30)
    play(RESTORE, *command)
    is_whole({1})


def data_of(node: str) -> dict[str, str]:
    """What a node's control file says, by field."""
    said = shell(node, "pg_controldata", "-D", PGDATA, user="postgres")
    return {name: value.strip() for name, _colon, value in (line.partition(":") for line in said.splitlines())}


@pytest.mark.long
def test_a_target_that_is_not_reached_gives_way_to_another_one(ledger: None) -> None:
    """Until one is reached the standby keeps its data: whatever becomes of the restore, they are not gone."""
    marked = "kept-until-the-target-is-reached"
    psql(PRIMARY, f"DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT '{marked}' AS said")
    add(1)
    before = now()
    add(2)
    archive_all()
    file = psql(PRIMARY, "SELECT pg_relation_filepath('kept')")
    for node in (PRIMARY, STANDBY):
        wait_until(lambda: rows(STANDBY) == {1, 2}, "the standby to have all rows", 30)
        psql(node, "CHECKPOINT")
    was = data_of(STANDBY)
    # Noted, and in no WAL: the recovery comes to the end of the archive without it.
    label = labels()[-1]
    timeline = timeline_of(PRIMARY)
    by_hand.annotate(label, relevo_point_beyond=f"F/FF000028 {timeline} 2026-11-25T10:00:00Z")
    try:
        failed = play(RESTORE, *IN_PLACE, "-e", "target_type=name", "-e", "target=beyond", expect=2)
        assert "The target was not reached. The archive ends before the target." in failed.text
        assert "The cluster stays down. Fix that and run this again, or give another target" in failed.text
        # As the plan says it, and the report of one that reached its target.
        left = f"cluster=main to=cluster target_type=latest timeline={timeline} confirm=main"
        assert undo_of(failed)[1::2] == left.split()
        kept = data_of(STANDBY)
        assert kept["Database cluster state"] == "shut down in recovery"
        same = ("Database system identifier", "Latest checkpoint's TimeLineID")
        assert {name: kept[name] for name in same} == {name: was[name] for name in same}
        assert shell(STANDBY, "grep", "-ac", marked, f"{PGDATA}/{file}").strip() == "1"
        other = play(RESTORE, *IN_PLACE, "-e", "target_type=latest", "-e", "plan=text").text
        assert "The target of an earlier run was not reached; this one takes its place." in other
        done = play(RESTORE, *IN_PLACE, "-e", f"target={before}")
        is_whole({1})
        play(RESTORE, *undo_of(done))
        is_whole({1, 2})
        psql(PRIMARY, "DROP TABLE kept")
    finally:
        by_hand.annotate(label, relevo_point_beyond="")


@pytest.mark.long
def test_check_mode_shows_the_plan_and_changes_nothing(ledger: None) -> None:
    add(1)
    before = now()
    add(2)
    archive_all()

    def there() -> tuple[object, ...]:
        state = shell(REPOSITORY, "sh", "-c", f"if [ -e {RECORD} ]; then cat {RECORD}; fi")
        pinned = [backup.get("annotation") for backup in repository_backups()]
        return labels(), pinned, timeline_of(PRIMARY), rows(PRIMARY), rows(STANDBY), scratch_instances(), state

    found = there()
    for given in (("-e", f"target={before}"), (*IN_PLACE, "-e", f"target={before}"), ("-e", "target_type=latest")):
        assert check_mode_differs(RESTORE, *given) == [], given
    assert there() == found
    nothing_needs_attention()


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
