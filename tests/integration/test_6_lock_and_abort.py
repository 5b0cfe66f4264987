"""Who may hand over and when: the lock, a backup that runs, and a hand-over that cannot go through."""

from __future__ import annotations

import subprocess

import pytest
from clients import NeverTwo, Writer, more, takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    PRIMARY,
    REJOIN,
    REPOSITORY,
    STANDBY,
    labels,
    missing,
    play,
    psql,
    rows_of,
    wait_until,
)
from holding import FENCE, controller, exists, frozen, send, wait_for_lock
from operation_lock import holder_named, kill_keepers, wait_until_free

WINDOW = 3.0
LIVES = "SELECT pg_postmaster_start_time(), pg_is_in_recovery()"


@pytest.mark.long
def test_two_hand_overs_started_at_once() -> None:
    """The first is held in the middle of its procedure. Whoever comes meanwhile is told who is at work."""
    with Writer() as writer, NeverTwo():
        more(writer)
        with frozen(PRIMARY, "postgres: checkpointer"), controller(FAILOVER) as first:
            holder = wait_for_lock(PRIMARY)
            assert f"relevo switchover to {STANDBY} by" in holder
            before = [psql(node, LIVES) for node in (PRIMARY, STANDBY)]
            told = play(FAILOVER, expect=2)
            assert holder_named(told.text, "failover.yml")
            # Without its operation lock, as on a controller that the network has left, the servers guard the role.
            kill_keepers(FAILOVER)
            wait_until_free(15)
            with controller(FAILOVER) as late:
                wait_until(lambda: not late.running(), "the second hand-over to be refused", 120)
                second = late.wait()
            assert second.code == 2
            assert f"Another operation holds the hand-over lock on {PRIMARY}: {holder}" in second.text
            assert "Nothing was changed. Wait until it has ended, then run this again." in second.text
            assert second.changed == 0
            rejoin = play(REJOIN, expect=2)
            assert f"A hand-over is under way ({holder}" in rejoin.text
            assert rejoin.changed == 0
            assert [psql(node, LIVES) for node in (PRIMARY, STANDBY)] == before
            assert first.running()
            send(PRIMARY, "CONT", "postgres: checkpointer")
            assert first.wait().code == 0
        assert takes_writes(STANDBY)
        more(writer)
        play(FAILBACK)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


@pytest.mark.long
def test_a_hand_over_that_the_candidate_cannot_follow_is_aborted() -> None:
    """It stops receiving: the old primary takes writes again, soon after the window's end, and the play fails."""
    with Writer() as writer, NeverTwo():
        more(writer)
        with frozen(STANDBY, "postgres: walreceiver"):
            aborted = play(FAILOVER, expect=2)
            # Either the sender cannot stop, or it can and the last record is missing on the other side.
            assert f"The hand-over to {STANDBY} was aborted: " in aborted.text
            assert f"{PRIMARY} takes writes again; nothing has changed." in aborted.text
            assert takes_writes(PRIMARY)
            more(writer)
        print(f"longest write outage {writer.longest_outage:.3f} s, with a window of {WINDOW:g} s")
        assert WINDOW < writer.longest_outage < aborted.seconds / 2
        wait_until_streaming(PRIMARY)
    assert not exists(PRIMARY, FENCE)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


@pytest.mark.long
def test_a_backup_that_a_forced_hand_over_breaks() -> None:
    """It is frozen at its work, so that it runs for certain; the repository forgets it, and the next one succeeds."""
    play("backup.yml")
    before = labels()
    psql(PRIMARY, "CREATE TABLE IF NOT EXISTS dirty AS SELECT g, repeat('x', 500) t FROM generate_series(1, 40000) g")
    slow = ["pgbackrest", "--stanza=main", "--type=full", "--no-start-fast", "backup"]
    with subprocess.Popen(["docker", "exec", "-u", "postgres", REPOSITORY, *slow], stderr=subprocess.PIPE) as backup:
        starting = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_backup_start%' AND pid <> pg_backend_pid()"
        )
        wait_until(lambda: psql(PRIMARY, starting) == "1", "the backup to start", 60)
        with frozen(REPOSITORY, "pgbackrest .*backup$"):
            refused = play(FAILOVER, expect=2)
            assert "A backup is running" in refused.text
            assert "-e force=true" in refused.text
            assert refused.changed == 0
            play(FAILOVER, "-e", f"candidate={STANDBY}", "-e", "force=true")
            assert takes_writes(STANDBY)
            assert backup.poll() is None, "the backup ended before the hand-over broke it"
        assert backup.wait(120) != 0
    assert labels() == before
    play("backup.yml", "-e", "day=2")
    assert len(labels()) == len(before) + 1
    play(FAILBACK)
    psql(PRIMARY, "DROP TABLE dirty")
