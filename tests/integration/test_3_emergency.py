"""Emergencies: servers, controllers and whole clusters that die at once, while a client outside goes on writing."""

from __future__ import annotations

import json
import time
from threading import Thread

import pytest
from clients import NeverTwo, Writer, more, takes_writes, wait_until_streaming
from cluster import (
    NETWORK,
    PRIMARY,
    REDIS,
    REPOSITORY,
    STANDBY,
    docker,
    guard_says,
    killed_play,
    labels,
    missing,
    nothing_needs_attention,
    play,
    psql,
    restore_rows,
    rows_of,
    running,
    shell,
    wait_until,
)
from holding import controller, frozen, processes


def test_a_killed_primary_costs_no_row_and_never_comes_back_as_a_second_one() -> None:
    with Writer() as writer, NeverTwo():
        more(writer)
        # What is written from now on only the primary has: its disk is where it has to be salvaged from.
        docker("network", "disconnect", NETWORK, STANDBY)
        behind = more(writer, 100)
        docker("kill", "-s", "KILL", PRIMARY)
        docker("network", "connect", NETWORK, STANDBY)
        assert missing(rows_of(STANDBY), behind) != [], "the standby has all rows: there is nothing to salvage"

        play("playbooks/failover.yml")
        assert missing(rows_of(STANDBY), behind) == []
        more(writer)

        for command in ("start", "restart"):
            docker(command, PRIMARY)
            wait_until(lambda: "fenced" in guard_says(PRIMARY)["reason"], "the start guard's verdict", 30)
            assert guard_says(PRIMARY)["verdict"] == "refuse"
            assert "rejoin.yml" in guard_says(PRIMARY)["advice"]
            more(writer, 100)
            assert not takes_writes(PRIMARY)
        assert "start guard: PostgreSQL on" in docker("logs", "--tail", "50", PRIMARY)
        assert f"{PRIMARY} was fenced by" in play("playbooks/status.yml").text

        play("backup.yml", "-e", "day=2")
        play("playbooks/failback.yml")
        assert takes_writes(PRIMARY)
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    wait_until_streaming(PRIMARY)
    assert play("site.yml").changed == 0, "site.yml after a failback must change nothing"


@pytest.mark.long
def test_a_server_that_hangs_in_a_container_that_runs_is_fenced_without_a_flag() -> None:
    """Nothing is gone: the container runs, and the kernel takes connections in place of the server."""
    with Writer() as writer, NeverTwo():
        more(writer)
        shell(PRIMARY, "kill", "-STOP", *processes(PRIMARY, "^postgres: |/postgres -D "))
        assert running(PRIMARY)
        taken = play("playbooks/failover.yml")
        assert f"{PRIMARY} is fenced" in taken.text
        assert "none were lost" in taken.text
        assert not running(PRIMARY)
        assert takes_writes(STANDBY)
        more(writer)
        docker("start", PRIMARY)
        wait_until(lambda: "fenced" in guard_says(PRIMARY)["reason"], "the start guard's verdict", 30)
        assert guard_says(PRIMARY)["verdict"] == "refuse"
        more(writer, 100)
        play("playbooks/failback.yml")
        assert takes_writes(PRIMARY)
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    wait_until_streaming(PRIMARY)
    nothing_needs_attention()


def waiting(node: str) -> bool:
    """Whether somebody waits for this server to take his connection: the queue of its socket, which listens (0A)."""
    queues = shell(node, "awk", '$4 == "0A" && $2 ~ /:1538$/ {split($5, queue, ":"); print queue[2]}', "/proc/net/tcp")
    return any(int(queue, 16) for queue in queues.split())


@pytest.mark.long
def test_a_standby_on_a_busy_machine_is_not_taken_for_dead() -> None:
    """It is the only one, and slower than the first question waits: nobody else can be promoted."""
    wait_until_streaming(PRIMARY)
    docker("kill", "-s", "KILL", PRIMARY)
    # No client connects meanwhile: who waits is the play.
    with controller("playbooks/failover.yml") as failover:
        with frozen(STANDBY, "/postgres -D "):
            wait_until(lambda: waiting(STANDBY), "the play to ask the standby", 60)
            time.sleep(6)  # longer than 4 s, its first question; its second one waits for 15
        done = failover.wait()
    assert done.code == 0, done.text
    assert takes_writes(STANDBY)
    docker("start", PRIMARY)
    play("playbooks/failback.yml")
    assert takes_writes(PRIMARY)
    nothing_needs_attention()


@pytest.mark.long
def test_a_power_cut_needs_no_help() -> None:
    with Writer() as writer:
        more(writer)
        docker("kill", PRIMARY, STANDBY, REPOSITORY, REDIS)
    with NeverTwo():
        docker("start", PRIMARY)
        # Nobody can tell it whether another server was promoted.
        wait_until(lambda: guard_says(PRIMARY)["verdict"] == "wait", "the start guard to wait", 60)
        assert not takes_writes(PRIMARY)
        docker("start", STANDBY, REPOSITORY, REDIS)
        wait_until_streaming(PRIMARY)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_the_hole_in_the_archive_is_closed_by_a_run_that_was_killed_and_by_the_next() -> None:
    """The primary dies before it archived four segments, and the controller while it promotes the standby."""
    before_the_hole = labels()[-1]
    with Writer() as writer, NeverTwo():
        docker("stop", REPOSITORY)
        psql(PRIMARY, "SELECT pg_logical_emit_message(true, 'fill', repeat('x', 1000000)) FROM generate_series(1, 64)")
        acknowledged = more(writer)
        docker("kill", "-s", "KILL", PRIMARY)
        docker("start", REPOSITORY)
        killed_play("playbooks/failover.yml", "Promote the candidate")
        pushed = play("playbooks/failover.yml").text
        assert takes_writes(STANDBY)
        assert f"Pushed to the archive in place of {PRIMARY}:" in pushed
        more(writer)
    assert missing(rows_of(STANDBY), writer.acknowledged) == []
    restored = restore_rows(STANDBY, before_the_hole, target_type="default")
    assert missing(restored, acknowledged) == [], "a restore to the latest point must not end at the hole"


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_a_killed_controller_is_finished_by_the_next_run() -> None:
    with Writer() as writer, NeverTwo():
        play("playbooks/rejoin.yml")
        if takes_writes(PRIMARY):
            play("playbooks/failover.yml")
        more(writer)
        killed_play("playbooks/failback.yml", "Hand over to")
        play("playbooks/failback.yml")
        assert takes_writes(PRIMARY)
        wait_until_streaming(PRIMARY)

        killed_play("playbooks/failover.yml", "Make the other nodes follow")
        play("playbooks/failover.yml")
        assert takes_writes(STANDBY)
        wait_until_streaming(STANDBY)

        play("playbooks/failback.yml")
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    assert running(STANDBY)
    nothing_needs_attention()


@pytest.mark.long
def test_a_refusal_after_the_promotion_says_what_has_been_done() -> None:
    """A restore in place that somebody has left unfinished is looked for by the lock, after the role has moved."""
    ours = "/var/lib/pgbackrest/relevo"
    folder = f"{ours}/restore"
    texts = {"cluster": "main", "node": PRIMARY, "by": "alice", "at": "2026-01-01T00:00:00Z", "command": "restore.yml"}
    record = json.dumps({**texts, "asked": {}, "plan": {}, "undo": {}})
    shell(REPOSITORY, "install", "-d", "-o", "postgres", "-g", "postgres", ours, folder)
    shell(REPOSITORY, "sh", "-c", f"printf %s '{record}' > {folder}/main.json")
    try:
        docker("kill", PRIMARY)
        refused = play("playbooks/failover.yml", expect=2).text
        assert "What this play has done until now stands, and is not finished. Finish it: restore.yml" in refused
        assert "Nothing was changed" not in refused
        assert takes_writes(STANDBY)
    finally:
        shell(REPOSITORY, "rm", f"{folder}/main.json")
    play("playbooks/failover.yml")
    docker("start", PRIMARY)
    play("playbooks/failback.yml")
    assert takes_writes(PRIMARY)
    nothing_needs_attention()


#: Longer than a server is waited for that cannot follow its successor's history.
HELD = 45
HOLD = f"""
until pkill -STOP -u postgres -f '^postgres: .*startup'; do :; done
sleep {HELD}
pkill -CONT -u postgres -f '^postgres: .*startup'
"""


def hold_its_recovery(node: str) -> None:
    """Stop the recovery of a server from its crash as soon as it has begun, and let it go on after ``HELD`` seconds."""
    wait_until(lambda: running(node), f"{node} to be started", 120)
    docker("exec", "-d", node, "sh", "-c", HOLD)


@pytest.mark.long
def test_an_old_primary_returns_from_the_archive_when_its_successor_is_lost_for_good() -> None:
    with Writer() as writer, NeverTwo():
        more(writer)
        docker("kill", PRIMARY)
        play("playbooks/failover.yml")
        archived = more(writer)
        segment = psql(STANDBY, "SELECT pg_walfile_name(pg_switch_wal())")
        wait_until(
            lambda: psql(STANDBY, f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver") == "t",
            f"{segment} to be archived",
            60,
        )
        docker("rm", "--force", STANDBY)
        docker("volume", "rm", f"{STANDBY}_data", f"{STANDBY}_etc")

        assert "No node of the cluster answers" in play("playbooks/failover.yml", expect=2).text
        # A slow disk: its recovery from the crash is no sign that it cannot follow the history of its successor.
        holder = Thread(target=hold_its_recovery, args=(PRIMARY,))
        holder.start()
        done = play("playbooks/failover.yml", "-e", f"candidate={PRIMARY}", "-e", "force=true")
        holder.join()
        assert done.seconds > HELD
        assert "is lost; how much is unknown" in done.text
        assert takes_writes(PRIMARY)
        assert missing(rows_of(PRIMARY), archived) == [], "what the successor had archived must be there"

        # The lost node is made anew.
        play("site.yml")
        wait_until_streaming(PRIMARY)
        more(writer)
    assert play("site.yml").changed == 0
