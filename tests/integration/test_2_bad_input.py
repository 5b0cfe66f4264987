"""What a user, or a bad day, gives to the playbooks: each refusal is one sentence that says what to do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster import (
    INVENTORY,
    NETWORK,
    PRIMARY,
    REDIS,
    REPOSITORY,
    STANDBY,
    VERSION,
    Play,
    docker,
    labels,
    nothing_needs_attention,
    play,
    psql,
    records,
    running,
    shell,
    wait_until,
)

NEXT = str(int(VERSION) + 1)
NODES = (PRIMARY, STANDBY, REPOSITORY, REDIS)
BACKUPS = "/var/lib/pgbackrest/backup/main"
LONELY = "all: {hosts: {lonely: {ansible_connection: local}}}\n"
NAMES = """
all:
  vars: {{ansible_connection: local, node_service_manager: runit}}
  children:
    postgres: {{hosts: {{{first}: {{node_preferred_primary: true}}, {second}: {{}}}}}}
    pgbackrest: {{hosts: {{archive: {{}}}}}}
"""


def fingerprint() -> dict[str, str]:
    """What a refused play must leave as it is: the containers, the servers' lives and roles, the backups."""
    found = {node: docker("inspect", "-f", "{{.Id}} {{.State.Status}} {{.State.StartedAt}}", node) for node in NODES}
    for node in filter(running, (PRIMARY, STANDBY)):
        found[f"{node}'s server"] = psql(node, "SELECT pg_postmaster_start_time(), pg_is_in_recovery()")
    if running(REPOSITORY):
        found["backups"] = shell(REPOSITORY, "ls", BACKUPS)
    return found


def refused(message: str, name: str, *arguments: str, inventory: Path | str | None = None) -> Play:
    """Run a playbook that must fail with ``message``, and touch nothing."""
    before = fingerprint()
    result = play(name, *arguments, inventory=inventory or INVENTORY, expect=None)
    assert result.code != 0, f"{name} {' '.join(arguments)} succeeded"
    assert message in result.text, result.output[-4000:]
    assert result.changed == 0
    assert fingerprint() == before
    return result


@contextmanager
def stopped(node: str) -> Iterator[None]:
    """Stop a node's container, and have it back."""
    docker("stop", node)
    try:
        yield
    finally:
        docker("start", node)


def wait_until_streaming() -> None:
    streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
    wait_until(lambda: psql(PRIMARY, streaming) == "1", "the standby to stream", 60)


@pytest.mark.parametrize(
    ("name", "content"),
    [("backup.yml", None), ("site.yml", ""), ("playbooks/failover.yml", LONELY), ("playbooks/status.yml", LONELY)],
)
def test_an_inventory_without_our_groups(name: str, content: str | None, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    if content is not None:
        inventory.write_text(content)
    refused('has no host in the group "p', name, inventory=inventory if content is not None else "/dev/null")


def test_an_inventory_that_does_not_exist(tmp_path: Path) -> None:
    refused("failed to parse inventory source", "site.yml", inventory=tmp_path / "none.yml")


@pytest.mark.parametrize(
    ("message", "name", "argument"),
    [
        ("There is no day '0' in the cycle. Nothing was touched. Choose one of 1, 2,", "backup.yml", "day=0"),
        ("There is no day '7' in the cycle. Nothing was touched. Choose one of 1, 2,", "backup.yml", "day=7"),
        ("There is no day 'x' in the cycle. Nothing was touched. Choose one of 1, 2,", "backup.yml", "day=x"),
        ("catalog_view must be one of: table, detail, info, size, json", "playbooks/catalog.yml", "view=tabla"),
        (
            f"was made for PostgreSQL {VERSION}, but postgresql_version is {NEXT}",
            "site.yml",
            f"postgresql_version={NEXT}",
        ),
        ("postgresql_version is latest. Give a major version alone", "site.yml", "postgresql_version=latest"),
        ("There is no node nobody in this cluster.", "playbooks/failover.yml", "candidate=nobody"),
        ("There is no cluster nowhere. The inventory has main. Nothing was touched.", "backup.yml", "cluster=nowhere"),
        ("cluster_name is set", "site.yml", "cluster_name=nowhere"),
        ("did you mean pgbackrest_retention_full?", "site.yml", "pgbackrest_retention_ful=3"),
        ("did you mean haproxy_port?", "site.yml", "haproxy_prot=6000"),
    ],
)
def test_a_word_that_we_do_not_know(message: str, name: str, argument: str) -> None:
    refused(message, name, "-e", argument)


@pytest.mark.parametrize(
    "option", [("--limit", STANDBY), ("--tags", "full"), ("--skip-tags", "all"), ("--start-at-task", "Show the plan")]
)
@pytest.mark.parametrize("name", ["playbooks/failover.yml", "backup.yml", "site.yml"])
def test_a_part_of_a_play_is_refused(name: str, option: tuple[str, str]) -> None:
    """It would do nothing of what it is for, and end with 0."""
    refused(f"{option[0]} would leave out what this playbook is for. Nothing was touched.", name, *option)


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_a_part_of_a_failover_is_refused_with_a_dead_primary_too() -> None:
    """When it is in a hurry that somebody promotes: a play that ended with 0 would be taken for a promotion."""
    wait_until_streaming()
    docker("kill", PRIMARY)
    for option in (("--limit", STANDBY), ("--tags", "promote")):
        message = f"{option[0]} would leave out what this playbook is for. Nothing was touched."
        refused(message, "playbooks/failover.yml", *option)
        assert psql(STANDBY, "SELECT pg_is_in_recovery()") == "t"
    play("playbooks/failover.yml")
    assert psql(STANDBY, "SELECT pg_is_in_recovery()") == "f"
    docker("start", PRIMARY)
    play("playbooks/failback.yml")
    assert psql(PRIMARY, "SELECT pg_is_in_recovery()") == "f"
    wait_until_streaming()
    nothing_needs_attention()


@pytest.mark.parametrize("name", ["site.yml", "playbooks/status.yml"])
@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("pg-1", "pg_1", "The replication slots of pg-1 and pg_1 would have the same name, pg_1. Rename all but one"),
        ("pg-1", "ñ", "The name ñ has other characters than those of ASCII"),
    ],
)
def test_names_that_make_no_slots(first: str, second: str, message: str, name: str, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(NAMES.format(first=first, second=second))
    refused(message, name, inventory=inventory)


def test_a_name_of_another_collection_is_no_reason_to_refuse() -> None:
    """A plan touches nothing."""
    ours = '{"inventory_check_others": ["haproxy_prot"]}'
    names = ("-e", "haproxy_prot=6000", "-e", "redis_appendfsync=always")
    said = play("site.yml", "-e", "plan=json", *names, "-e", ours).text
    assert "No variable of this collection has the name of these, which begin like ours: redis_appendfsync" in said
    assert "haproxy_prot" not in said
    # The others only warn: no backup is missed for a name.
    assert "did you mean haproxy_port?" in play("playbooks/status.yml", "-e", "haproxy_prot=6000").text


def test_a_candidate_that_is_no_standby() -> None:
    with stopped(STANDBY):
        refused(f"{STANDBY} is not a standby", "playbooks/failover.yml", "-e", f"candidate={STANDBY}")
    wait_until_streaming()


@pytest.mark.long
def test_a_standby_that_is_cut_off_is_not_believed() -> None:
    """It sees nobody but itself; the nodes that see the others say who is primary, and nobody is promoted."""
    docker("network", "disconnect", NETWORK, STANDBY)
    try:
        refused(f"{PRIMARY} is primary and no standby answers", "playbooks/failover.yml")
        status = play("playbooks/status.yml").text
        assert f"{STANDBY} does not answer" in status
        assert "No primary takes writes" not in status
    finally:
        docker("network", "connect", NETWORK, STANDBY)
    wait_until_streaming()


def test_a_stopped_repository_host() -> None:
    with stopped(REPOSITORY):
        refused(f"The repository host {REPOSITORY} does not answer", "backup.yml")
        refused(f"The repository host {REPOSITORY} does not answer", "playbooks/failover.yml")
        status = play("playbooks/status.yml").text
        assert "The repository host does not answer" in status
        assert "There is no backup" not in status, "a silent repository is not an empty one"


def test_a_wrong_password_for_redis() -> None:
    """A mistake that no later run heals: the backup is made all the same, the play fails."""
    before = labels()
    result = play("backup.yml", "-e", "day=1", "-e", "catalog_redis_password=wrong", expect=2)
    assert "The backups are safe, but the catalog was not written." in result.text
    assert "refused the password. Correct catalog_redis_password." in result.text
    assert len(set(labels()) - set(before)) == 1


def test_a_stopped_redis_costs_no_backup_and_the_next_run_catches_up() -> None:
    with stopped(REDIS):
        before = labels()
        result = play("backup.yml", "-e", "day=2")
        assert "The catalog is behind; the next run catches up." in result.text
        assert len(set(labels()) - set(before)) == 1
        # Nothing is left to do but the catalog.
        result = play("backup.yml", "-e", "catalog_required=true", expect=2)
        assert "The backups are safe, but the catalog was not written." in result.text
        assert f"Redis at {REDIS}:6379 cannot be reached" in result.text
    play("backup.yml")
    assert [record["etiqueta"] for record in records()] == labels()


@contextmanager
def backups_on_a_full_disk() -> Iterator[str]:
    """Move the stanza's backups to a small tmpfs that a file fills; yields that file, and moves them back."""
    small, filler = "/dev/shm/backups", "/dev/shm/filler"
    shell(REPOSITORY, "sh", "-ec", f"cp -a {BACKUPS} {small} && rm -r {BACKUPS} && ln -s {small} {BACKUPS}")
    try:
        # It ends because nothing more fits.
        full = ["docker", "exec", REPOSITORY, "dd", "if=/dev/zero", f"of={filler}", "bs=64k", "status=none"]
        assert subprocess.run(full, check=False, stderr=subprocess.DEVNULL).returncode == 1
        yield filler
    finally:
        shell(REPOSITORY, "sh", "-ec", f"rm -f {filler} && rm {BACKUPS} && cp -a {small} {BACKUPS} && rm -r {small}")


@pytest.mark.long
def test_a_full_disk_on_the_repository() -> None:
    with backups_on_a_full_disk() as filler:
        before = labels()
        result = play("backup.yml", "-e", "day=1", expect=2)
        assert "The disk is full on" in result.text
        assert "Free space there" in result.text
        assert labels() == before
        shell(REPOSITORY, "rm", filler)
        play("backup.yml", "-e", "day=1")
        assert labels()[-1] not in before, "with room on the disk a backup is made"
    assert [record["etiqueta"] for record in records()] == labels()


def test_a_backup_that_is_already_running() -> None:
    """It waits for a checkpoint that takes its time; an immediate one lets it go on."""
    psql(PRIMARY, "CREATE TABLE dirty AS SELECT g, repeat('x', 500) FROM generate_series(1, 40000) g")
    slow = ["pgbackrest", "--stanza=main", "--type=full", "--no-start-fast", "backup"]
    with subprocess.Popen(["docker", "exec", "-u", "postgres", REPOSITORY, *slow]) as backup:
        starting = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_backup_start%' AND pid <> pg_backend_pid()"
        )
        wait_until(lambda: psql(PRIMARY, starting) == "1", "the backup to start", 60)
        refused("A backup of stanza main is already running", "backup.yml", "-e", "day=2")
        refused("A backup is running", "playbooks/failover.yml")
        assert backup.poll() is None, "the backup ended too early to have been in the way"
        psql(PRIMARY, "CHECKPOINT")
        assert backup.wait(120) == 0
    psql(PRIMARY, "DROP TABLE dirty")


def test_two_primaries() -> None:
    """Somebody promoted the standby by hand. Nothing is done until somebody has decided which one to keep."""
    assert psql(STANDBY, "SELECT pg_promote()") == "t"
    message = f"Two primaries: {PRIMARY} and {STANDBY} take writes."
    assert f"Two primaries take writes: {PRIMARY} and {STANDBY}." in play("playbooks/status.yml").text
    for name in ("backup.yml", "site.yml", "playbooks/failover.yml", "playbooks/failback.yml", "playbooks/rejoin.yml"):
        assert f"rather not {STANDBY}, whose timeline" in refused(message, name).text
    docker("stop", PRIMARY)
    play("playbooks/rejoin.yml")
    assert psql(STANDBY, "SELECT pg_is_in_recovery()") == "f"
    play("playbooks/failback.yml")
    assert psql(PRIMARY, "SELECT pg_is_in_recovery()") == "f"
    nothing_needs_attention()
