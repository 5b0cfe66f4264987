"""Synchronous replication: the primary and its disk are lost at once, and no row that a client saw acknowledged is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

import pytest
from clients import NeverTwo, Writer, more, takes_writes, wait_until_streaming
from cluster import NETWORK, PRIMARY, STANDBY, docker, missing, play, psql, rows_of, wait_until
from disasters import lose

CLIENTS = 4
ON = ("-e", "postgresql_synchronous=true")
WITHOUT = "takes writes without a synchronous standby until one follows"


@contextmanager
def writers() -> Iterator[list[Writer]]:
    """Clients that write with hardly a pause, and one that watches for a second primary."""
    with ExitStack() as stack:
        found = [stack.enter_context(Writer(pause=0.005, series=number)) for number in range(1, CLIENTS + 1)]
        stack.enter_context(NeverTwo())
        yield found


def acknowledged(found: list[Writer]) -> list[int]:
    return [number for writer in found for number in list(writer.acknowledged)]


def requires(primary: str, standby: str) -> bool:
    names = psql(primary, "SHOW synchronous_standby_names")
    counted = psql(primary, "SELECT application_name FROM pg_stat_replication WHERE sync_state = 'quorum'")
    return names == f'ANY 1 ("{standby}")' and counted == standby


def lose_the_primary(found: list[Writer]) -> tuple[str, str, float]:
    """One kill under load and the failover after it; returns the dead node, the new primary, and the play's seconds."""
    dead, successor = (PRIMARY, STANDBY) if takes_writes(PRIMARY) else (STANDBY, PRIMARY)
    assert requires(dead, successor)
    for writer in found:
        more(writer)
    lose(dead)
    seen = acknowledged(found)
    failover = play("playbooks/failover.yml")
    assert "could not be read to its end" in failover.text, "the rows were salvaged: this proves nothing"
    assert "so those that clients saw acknowledged are on" in failover.text
    assert f"{successor} {WITHOUT}" in failover.text
    assert missing(rows_of(successor), seen) == []
    for writer in found:
        more(writer)
    return dead, successor, failover.seconds


@pytest.mark.long
def test_a_lost_primary_costs_no_row_and_the_requirement_returns() -> None:
    play("site.yml", *ON)
    with writers() as found:
        dead, successor, _seconds = lose_the_primary(found)
        assert psql(successor, "SHOW synchronous_standby_names") == "", "writes must go on without the old node"

        assert f"From now on each commit on {successor} waits" in play("playbooks/rejoin.yml").text
        assert requires(successor, dead)
        play("playbooks/failback.yml")
        assert requires(PRIMARY, STANDBY)
    assert missing(rows_of(PRIMARY), acknowledged(found)) == []
    assert play("site.yml", *ON).changed == 0, "site.yml after a failback must change nothing"


@pytest.mark.long
def test_a_primary_without_its_standby_waits_until_it_is_told_not_to() -> None:
    docker("network", "disconnect", NETWORK, STANDBY)
    try:
        with Writer() as writer:
            stuck = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND now() - query_start > '6 s'"
            wait_until(lambda: psql(PRIMARY, stuck) == "1", "a client to wait for the standby", 60)
            seen = len(writer.acknowledged)
            said = play("playbooks/status.yml").text
            assert f"BLOCKED: the synchronous standby of {PRIMARY} does not confirm" in said, said
            assert "site.yml -e postgresql_synchronous=false" in said
            assert len(writer.acknowledged) == seen

            # The standby's part of the play fails, since it does not reach the primary.
            play("site.yml", "-e", "postgresql_synchronous=false", expect=2)
            more(writer)
            assert psql(PRIMARY, "SHOW synchronous_standby_names") == ""
    finally:
        docker("network", "connect", NETWORK, STANDBY)
    wait_until_streaming(PRIMARY)


@pytest.mark.long
def test_fifty_kills_lose_no_acknowledged_row() -> None:
    play("site.yml", *ON)
    failovers, rejoins = [], []
    with writers() as found:
        for _kill in range(50):
            dead, successor, seconds = lose_the_primary(found)
            failovers.append(seconds)
            rejoins.append(play("playbooks/rejoin.yml").seconds)
            assert requires(successor, dead)
    lost = missing(rows_of(successor), acknowledged(found))
    print(f"{len(failovers)} kills, {len(acknowledged(found))} rows acknowledged, {len(lost)} lost")
    for name, times in (("failover.yml", failovers), ("rejoin.yml", rejoins)):
        print(f"{name}: {min(times):.1f} s at least, {median(times):.1f} s median, {max(times):.1f} s at most")
    assert lost == []
    if successor == STANDBY:
        play("playbooks/failback.yml")
    play("site.yml")
