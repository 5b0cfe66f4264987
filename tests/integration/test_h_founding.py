"""A cluster that has lost its data directories: no new, empty one is made beside data or beside backups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from clients import role_inside, takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    INVENTORY,
    PGDATA,
    PRIMARY,
    REJOIN,
    REPOSITORY,
    SECRETS,
    STANDBY,
    STATUS,
    VERSION,
    Play,
    archive_all,
    docker,
    labels,
    nothing_needs_attention,
    play,
    provision,
    psql,
    shell,
    wait_until,
)
from holding import exists

pytestmark = pytest.mark.usefixtures("backed_up")

SYSTEM = "SELECT system_identifier FROM pg_control_system()"


def lose_the_volumes(*nodes: str) -> None:
    """The containers with their data are gone, as after the loss of a disk."""
    docker("rm", "-f", *nodes)
    docker("volume", "rm", *(f"{node}_data" for node in nodes))


def keep_something(content: str) -> None:
    psql(PRIMARY, "CREATE TABLE IF NOT EXISTS kept (what text)")
    psql(PRIMARY, f"INSERT INTO kept VALUES ('{content}')")
    archive_all()


def kept(node: str) -> set[str]:
    return set(psql(node, "SELECT what FROM kept").split())


def has_data(node: str) -> bool:
    return exists(node, f"{PGDATA}/PG_VERSION")


def is_gone(node: str) -> bool:
    """Neither its container nor its data have been made anew."""
    containers = docker("ps", "-aq", "--filter", f"name=^{node}$")
    return (containers + docker("volume", "ls", "-q", "--filter", f"name=^{node}_data$")).strip() == ""


def refused_while_paused(node: str) -> Play:
    """site.yml, while this container is paused."""
    docker("pause", node)
    try:
        return play("site.yml", expect=2)
    finally:
        docker("unpause", node)


def not_entered(group: str, node: str, folder: Path) -> Path:
    """The inventory with an address of this node at which the controller finds nobody; others reach it as ever."""
    given = yaml.safe_load(INVENTORY.read_text().replace("{{ inventory_dir }}", str(INVENTORY.parent)))
    hosts = given["all"]["children"][group]["hosts"]
    hosts[node] = (hosts[node] or {}) | {"ansible_host": f"{node}_is_not_here"}
    given["all"]["vars"]["relevo_secrets_dir"] = str(SECRETS)
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump(given, sort_keys=False))
    return path


def rejoins_nobody() -> None:
    """It changes nothing, and advises nobody to overwrite the only copy."""
    refused = play(REJOIN, expect=2)
    assert "No primary answers (" in refused.text
    assert "run failover.yml to promote a standby" in refused.text
    assert "basebackup" not in refused.text
    assert refused.changed == 0
    assert has_data(STANDBY)
    assert role_inside(STANDBY) == "standby"


@pytest.mark.long
def test_a_lost_primary_is_not_replaced_by_an_empty_cluster_beside_its_standby() -> None:
    keep_something("one")
    wait_until_streaming(PRIMARY)
    lose_the_volumes(PRIMARY)
    rejoins_nobody()
    refused = play("site.yml", expect=2)
    assert f"{PRIMARY} holds nothing; {STANDBY} holds data on timeline" in refused.text
    assert "No new cluster was made, and nobody was promoted." in refused.text
    assert "promote one with failover.yml" in refused.text
    assert not has_data(PRIMARY)
    # With an empty container in place of the primary, too.
    rejoins_nobody()
    # Not even on demand: nobody can give up what is on a disk in this way.
    assert "No new cluster was made" in play("site.yml", "-e", "new_cluster=main", expect=2).text
    # What it says is what helps.
    play(FAILOVER)
    assert "one" in kept(STANDBY)
    play(REJOIN)
    play(FAILBACK)
    assert "one" in kept(PRIMARY)
    assert play("site.yml").changed == 0
    nothing_needs_attention()


@pytest.mark.long
def test_a_standby_that_does_not_answer_may_hold_the_data(tmp_path: Path) -> None:
    keep_something("silent")
    wait_until_streaming(PRIMARY)
    lose_the_volumes(PRIMARY)
    refused = refused_while_paused(STANDBY)
    assert f"The container {STANDBY} is paused, so nothing can be said about the node." in refused.text
    assert f"Run docker unpause {STANDBY}" in refused.text
    assert is_gone(PRIMARY)
    # It runs, and the controller does not get in: nobody sees what is on its disk.
    away = not_entered("postgres", STANDBY, tmp_path)
    for arguments in ((), ("-e", "new_cluster=main")):
        refused = play("site.yml", *arguments, inventory=away, expect=None)
        assert refused.code != 0
        assert f"{STANDBY} does not answer and may hold its data." in refused.text
        assert f"{PRIMARY} holds nothing; {STANDBY} does not answer. No new cluster was made" in refused.text
        assert f"and nobody was promoted. Start {STANDBY}." in refused.text
        assert not has_data(PRIMARY)
    assert role_inside(STANDBY) == "standby"
    assert "silent" in kept(STANDBY)
    play(FAILOVER)
    play(REJOIN)
    play(FAILBACK)
    assert "silent" in kept(PRIMARY)
    wait_until_streaming(PRIMARY)
    assert play("site.yml").changed == 0
    nothing_needs_attention()


def way_back(refused: Play) -> list[list[str]]:
    """The commands that the message gives, in their order, without ``ansible-playbook``."""
    found = re.search(
        r"To get the data back: ansible-playbook (\S+\.yml) ((?:-e \S+ ?)+), then (site\.yml) again\.", refused.text
    )
    assert found, refused.output[-4000:]
    return [[found[1], *found[2].split()], [found[3]]]


@pytest.mark.long
def test_all_volumes_are_lost_and_what_the_refusal_prints_brings_them_back(tmp_path: Path) -> None:
    keep_something("all")
    newest = labels()[-1]
    system = psql(PRIMARY, SYSTEM)
    lose_the_volumes(PRIMARY, STANDBY)
    # A repository that says nothing has not said that it is empty.
    refused = refused_while_paused(REPOSITORY)
    assert f"The container {REPOSITORY} is paused, so nothing can be said about the node." in refused.text
    assert f"Run docker unpause {REPOSITORY}" in refused.text
    assert is_gone(PRIMARY)
    assert is_gone(STANDBY)
    refused = play("site.yml", inventory=not_entered("pgbackrest", REPOSITORY, tmp_path), expect=None)
    assert refused.code != 0
    assert "The repository host does not answer" in refused.text
    assert not has_data(PRIMARY)
    assert not has_data(STANDBY)

    refused = play("site.yml", expect=2)
    assert f"the newest {newest}" in refused.text
    # What gives the backups up does not come first.
    assert refused.text.index("To get the data back") < refused.text.index("To begin anew and give up")
    for command in way_back(refused):
        play(*command)
    wait_until_streaming(PRIMARY)
    assert psql(PRIMARY, SYSTEM) == system
    assert "all" in kept(PRIMARY)
    wait_until(lambda: "all" in kept(STANDBY), "the standby to have what was kept", 30)
    nothing_needs_attention()
    assert play("site.yml").changed == 0


#: Beside the data directory, on its volume, and found by nobody.
AWAY = "/var/lib/postgresql/own"


def identifier_on_disk(node: str) -> str:
    said = shell(node, "pg_controldata", "-D", PGDATA, user="postgres")
    found = re.search(r"^Database system identifier: +(\d+)$", said, re.MULTILINE)
    assert found, said
    return found[1]


@contextmanager
def data_of_another_cluster(node: str) -> Iterator[str]:
    """Its server is stopped, and the data of somebody else are where its own have been; the system identifier."""
    shell(node, "sv", "-w", "30", "stop", "postgresql")
    shell(node, "mv", PGDATA, AWAY)
    try:
        shell(node, "install", "-d", "-o", "postgres", "-g", "postgres", "-m", "0700", PGDATA)
        shell(node, f"/usr/lib/postgresql/{VERSION}/bin/initdb", "-D", PGDATA, user="postgres")
        shell(node, "touch", f"{PGDATA}/theirs", user="postgres")
        yield identifier_on_disk(node)
    finally:
        shell(node, "sv", "-w", "30", "stop", "postgresql")
        shell(node, "sh", "-ec", f"rm -rf {PGDATA}; mv {AWAY} {PGDATA}")
        shell(node, "sv", "-w", "30", "start", "postgresql")


@pytest.mark.long
def test_a_node_with_the_data_of_another_cluster_keeps_them() -> None:
    own = psql(PRIMARY, SYSTEM)
    wait_until_streaming(PRIMARY)
    with data_of_another_cluster(STANDBY) as theirs:
        assert theirs != own
        for name in ("site.yml", REJOIN):
            refused = play(name, expect=2)
            said = (
                f"{STANDBY} holds the data of another cluster (system identifier {theirs}, that of {PRIMARY} is {own})."
            )
            assert f"{said} Nothing was changed. Check the inventory;" in refused.text
            assert identifier_on_disk(STANDBY) == theirs
            assert exists(STANDBY, f"{PGDATA}/theirs")
            assert not exists(STANDBY, f"{PGDATA}/standby.signal")
            assert not exists(STANDBY, f"{PGDATA}/postmaster.pid")
            assert takes_writes(PRIMARY)
        status = play(STATUS).text
        assert (
            f"{STANDBY} holds another cluster's data: its system identifier differs from that of the primary." in status
        )
        assert "Run rejoin.yml" not in status
    wait_until_streaming(PRIMARY)
    nothing_needs_attention()
    assert play("site.yml").changed == 0


@pytest.mark.long
def test_backups_are_not_forgotten_for_a_new_cluster_unless_that_was_said() -> None:
    keep_something("two")
    before = labels()
    lose_the_volumes(PRIMARY, STANDBY)
    refused = play("site.yml", expect=2)
    assert f"the newest {before[-1]}" in refused.text
    assert "site.yml -e new_cluster=main" in refused.text
    assert not has_data(PRIMARY)
    assert not has_data(STANDBY)

    # The runbook's way back, by hand.
    shell(PRIMARY, "pgbackrest", "--stanza=main", "restore", user="postgres")
    wait_until(lambda: takes_writes(PRIMARY), "the restored server to take writes", 120)
    assert "two" in kept(PRIMARY)
    play("site.yml")
    nothing_needs_attention()

    old = psql(PRIMARY, SYSTEM)
    lose_the_volumes(PRIMARY, STANDBY)
    play("site.yml", "-e", "new_cluster=main")
    assert psql(PRIMARY, SYSTEM) != old
    play("backup.yml", "-e", "day=1")
    assert labels()[-1] not in before
    nothing_needs_attention()
    assert play("site.yml").changed == 0


@pytest.mark.long
def test_the_first_wal_of_a_new_stanza_counts() -> None:
    """A cluster that is an hour old, before its first backup: what is archived of it is all that is left of it."""
    provision()
    keep_something("three")
    assert labels() == []
    lose_the_volumes(PRIMARY, STANDBY)
    refused = play("site.yml", expect=2)
    assert "No node holds data of the cluster main, but the repository holds WAL of it. No new cluster was made." in (
        refused.text
    )
    assert not has_data(PRIMARY)
    assert not has_data(STANDBY)
    play("site.yml", "-e", "new_cluster=main")
    play("backup.yml")
    nothing_needs_attention()
