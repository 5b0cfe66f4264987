"""A cluster that has lost its data directories: no new, empty one is made beside data or beside backups."""

from __future__ import annotations

import pytest
from clients import takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    PGDATA,
    PRIMARY,
    REJOIN,
    STANDBY,
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
    psql(PRIMARY, "SELECT pg_switch_wal()")


def kept(node: str) -> set[str]:
    return set(psql(node, "SELECT what FROM kept").split())


def has_data(node: str) -> bool:
    return exists(node, f"{PGDATA}/PG_VERSION")


@pytest.mark.long
def test_a_lost_primary_is_not_replaced_by_an_empty_cluster_beside_its_standby() -> None:
    keep_something("one")
    wait_until_streaming(PRIMARY)
    lose_the_volumes(PRIMARY)
    refused = play("site.yml", expect=2)
    assert f"{PRIMARY} holds nothing; {STANDBY} holds data on timeline" in refused.text
    assert "No new cluster was made, and nobody was promoted." in refused.text
    assert "promote one with failover.yml" in refused.text
    assert not has_data(PRIMARY)
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
