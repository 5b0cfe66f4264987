"""What a cleanup removes and spares, on a real repository, and how it is asked for."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import time
from typing import Any

import pytest
from cluster import (
    PRIMARY,
    REDIS,
    REPOSITORY,
    ROOT,
    SECRETS,
    command_line,
    controller_environment,
    killed_play,
    labels,
    nothing_needs_attention,
    play,
    psql,
    records,
    shell,
)

CLEANUP = "playbooks/cleanup.yml"
#: Of a scratch instance that is being restored .
SCRATCH = "/var/lib/postgresql/scratch/past"


def redis(*command: str) -> str:
    password = (SECRETS / "redis").read_text().strip()
    return shell(REDIS, "env", f"REDISCLI_AUTH={password}", "redis-cli", *command).strip()


def by_hand(kind: str) -> str:
    """A backup of the repository that nothing else expires; its label."""
    before = labels()
    keep = "--repo1-retention-full=99"
    shell(REPOSITORY, "pgbackrest", "--stanza=main", f"--type={kind}", keep, "backup", user="postgres")
    [label] = [one for one in labels() if one not in before]
    return label


def two_chains() -> tuple[list[str], list[str]]:
    """Two full backups, each with an incremental one, and nothing else."""
    cleaned = play(CLEANUP, "-e", "operation=all", "-e", "confirm=main")
    assert "The stanza is empty and archives." in cleaned.text
    return [by_hand("full"), by_hand("incr")], [by_hand("full"), by_hand("incr")]


def plan_of(*arguments: str) -> dict[str, Any]:
    output = play(CLEANUP, *arguments, "-e", "plan=json").output
    found: dict[str, Any] = json.loads(output[output.index("\n{") : output.rindex("\n}") + 2])
    return found


def first_segment(label: str) -> str:
    text = shell(REPOSITORY, "pgbackrest", "--stanza=main", "--output=json", "info", user="postgres")
    [backup] = [one for one in json.loads(text)[0]["backup"] if one["label"] == label]
    return str(backup["archive"]["start"])


def archived() -> list[str]:
    found = shell(REPOSITORY, "pgbackrest", "--stanza=main", "repo-ls", "--recurse", "archive/main", user="postgres")
    return sorted(set(re.findall(r"[0-9A-F]{24}(?=-)", found)))


def test_thinning_out_spares_what_is_pinned_and_all_leaves_a_stanza_that_works() -> None:
    old, new = two_chains()

    shown = play(CLEANUP).text
    assert "nothing is removed by looking" in shown
    assert "-e operation=keep -e keep=2" in shown
    assert labels() == [*old, *new]

    # The pinned backup keeps its base, and all WAL since.
    assert (
        "stays until the end of 2199-12-31" in play(CLEANUP, "-e", f"pin={old[1]}", "-e", "pin_until=2199-12-31").text
    )
    before = archived()
    planned = plan_of("-e", "operation=keep", "-e", "keep=1")
    assert [one["name"] for one in planned["affects"] if one["change"].startswith("stays")] == old
    kept = play(CLEANUP, "-e", "operation=keep", "-e", "keep=1")
    assert f"{old[0]} stays: it is pinned until 2199-12-31" in kept.text
    assert labels() == [*old, *new]
    # backup.yml, too, with a retention that would take it.
    play("backup.yml", "-e", "day=1", "-e", "pgbackrest_retention_full=1")
    assert labels()[:4] == [*old, *new]
    # What is older than the first full backup may go.
    assert {one for one in before if one >= first_segment(old[0])} <= set(archived())
    refused = play(CLEANUP, "-e", "operation=all", "-e", "confirm=main", expect=2)
    assert f"{old[1]} is pinned until 2199-12-31" in refused.text
    assert labels()[:4] == [*old, *new]

    play(CLEANUP, "-e", f"pin={old[1]}", "-e", "pin_until=now")
    done = play(CLEANUP, "-e", "operation=keep", "-e", "keep=1")
    [left] = labels()
    assert all(label in done.text for label in [*old, *new])
    assert [one["etiqueta"] for one in records()] == [left]
    assert min(archived()) > max(before)

    refused = play(CLEANUP, "-e", "operation=all", "-e", "confirm=other", expect=2)
    assert "confirm=other is not its name" in refused.text
    assert labels() == [left]
    play(CLEANUP, "-e", "operation=all", "-e", "confirm=main")
    assert labels() == []
    assert records() == []
    made = play("backup.yml", "-e", "backup_force=true")
    assert "Day 1 of the cycle" in made.text
    [record] = records()
    assert record["tipo_backup"] == "completo"
    nothing_needs_attention()


@pytest.mark.long
def test_retention_and_what_a_restore_or_a_scratch_instance_reads() -> None:
    old, new = two_chains()
    by_hand("full")
    restoring = ["pgbackrest", "--stanza=main", f"--set={old[1]}", "restore"]
    # What the repository host sees of a restore is its command line.
    shell(
        REPOSITORY, "bash", "-c", f"(exec -a pgbackrest tail -f /dev/null {' '.join(restoring[1:])} &) >/dev/null 2>&1"
    )
    planned = plan_of("-e", "operation=retention")
    assert [one["name"] for one in planned["affects"] if "is read by a restore" in one["change"]] == old
    shell(REPOSITORY, "pkill", "-f", "tail -f /dev/null --stanza=main|pgbackrest -f /dev/null")

    shell(REPOSITORY, "mkdir", "-p", SCRATCH)
    shell(REPOSITORY, "bash", "-c", f"""echo '{{"cluster": "main", "backup": "{old[0]}"}}' > {SCRATCH}/instance.json""")
    assert play(CLEANUP, "-e", "operation=retention").changed == 1
    # The full one is read, what depends on it is not.
    assert labels()[:3] == [old[0], *new]
    shell(REPOSITORY, "rm", "-r", SCRATCH)
    play(CLEANUP, "-e", "operation=retention")
    assert labels()[:2] == new


@pytest.mark.long
def test_orphans_go_and_what_is_not_recorded_gets_a_record(backed_up: None) -> None:
    label = by_hand("incr")
    old = {
        "fecha": "2020-01-01",
        "hora": "00:00:00",
        "tipo_backup": "completo",
        "direccion_almacenamiento": "/var/lib/pgbackrest/backup/main/20200101-000000F",
        "maestro_usado": "postgres_master",
        "metodo": "pgBackRest",
        "stanza": "main",
    }
    redis("hset", "backup:2020-01-01_00-00-00", *(part for pair in old.items() for part in pair))
    redis("set", "backup:foreign", "not ours")
    planned = plan_of("-e", "operation=orphans")
    assert "backup:2020-01-01_00-00-00" in [one["name"] for one in planned["affects"]]
    play(CLEANUP, "-e", "operation=orphans")
    assert redis("exists", "backup:2020-01-01_00-00-00", "backup:foreign") == "1"
    assert label in [one.get("etiqueta") for one in records()]
    again = plan_of("-e", "operation=orphans")
    assert again["action"] == "none"
    redis("del", "backup:foreign")


@pytest.mark.long
def test_a_killed_cleanup_is_finished_by_the_same_command() -> None:
    _old, new = two_chains()
    killed_play(CLEANUP, "Remove what is not kept", "-e", "operation=keep", "-e", "keep=1")
    play(CLEANUP, "-e", "operation=keep", "-e", "keep=1", "-e", "wait_for_lock=60")
    assert labels() == new
    assert [one["etiqueta"] for one in records()] == new

    killed_play(CLEANUP, "Remove what is not kept", "-e", "operation=all", "-e", "confirm=main")
    play(CLEANUP, "-e", "operation=all", "-e", "confirm=main", "-e", "wait_for_lock=60")
    assert labels() == []
    # As the repository host leaves it when it goes down in the middle: stopped, and without a stanza.
    shell(REPOSITORY, "pgbackrest", "--stanza=main", "stop", user="postgres")
    shell(REPOSITORY, "pgbackrest", "--stanza=main", "--force", "stanza-delete", user="postgres")
    assert "stopped on purpose" in play("backup.yml", expect=2).text or labels() == []
    play(CLEANUP, "-e", "operation=all", "-e", "confirm=main")
    psql(PRIMARY, "SELECT pg_switch_wal()")
    play("backup.yml", "-e", "backup_force=true")
    nothing_needs_attention()


def at_a_terminal(answers: list[tuple[str, str]]) -> str:
    """Run cleanup.yml at a terminal; each answer is typed when its question has been asked."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command_line(CLEANUP), cwd=ROOT, env=controller_environment(), stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    seen, deadline, waiting = "", time.monotonic() + 300, list(answers)
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                seen += os.read(master, 65536).decode(errors="replace")
            except OSError:
                break
        elif process.poll() is not None:
            break
        if waiting and waiting[0][0] in seen:
            os.write(master, waiting.pop(0)[1].encode() + b"\r")
    os.close(master)
    process.wait(timeout=60)
    assert not waiting, f"was not asked for {waiting[0][0]}: {seen[-3000:]}"
    return seen


@pytest.mark.long
def test_a_terminal_gets_the_menu(backed_up: None) -> None:
    before = labels()
    seen = at_a_terminal([("Number or name", "2"), ("How many full backups should stay", "9")])
    assert "limpiar" not in seen
    assert "0 backups removed" in seen
    seen = at_a_terminal([("Number or name", "5"), ("Type main to remove all of it", "no")])
    assert "confirm=no is not its name" in " ".join(seen.split())
    assert labels() == before
