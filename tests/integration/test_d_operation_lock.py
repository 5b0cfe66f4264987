"""One operation at a time changes a cluster; its lock dies with its play, and an emergency waits for nobody.

A backup is held in its work: the checkpoint that it asks for is not made while the checkpointer stands still.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from clients import takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    PRIMARY,
    REJOIN,
    REPOSITORY,
    STANDBY,
    STATUS,
    docker,
    labels,
    play,
    records,
    shell,
    wait_until,
)
from holding import Controller, controller, frozen, processes
from operation_lock import (
    DIRECTORY,
    holder_named,
    holder_process,
    holders,
    keepers,
    kill_keepers,
    killed_with_all,
    operations,
    stop_play,
    wait_for_operation,
    wait_until_free,
)

from ansible_collections.relevo.postgres.plugins.action.operation_lock import SEND
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.operation_lock_holder import BEAT

# A holder ends 12 s after the last beat.
PATIENCE = 12
BACKUP = "backup.yml"
#: What AWX tells each job of itself.
JOB = '{"awx_job_id": 4711, "awx_user_name": "bob"}'


@contextmanager
def backup_under_way() -> Iterator[Controller]:
    """A backup.yml that holds the lock, and cannot end before the block does."""
    with frozen(PRIMARY, "postgres: checkpointer"), controller(BACKUP, "-e", "day=2", "-e", JOB) as running:
        wait_for_operation("backup")
        yield running


@pytest.fixture(autouse=True)
def free(backed_up: None) -> Iterator[None]:
    """Whatever a test started has ended, and left nothing."""
    yield
    wait_until_free(PATIENCE + 3)
    # pgBackRest goes on without its play.
    wait_until(lambda: processes(REPOSITORY, "pgbackrest .*backup$") == [], "the backup to end", 120)
    # Nobody has recorded it: the next play that does would have changed something.
    play(BACKUP)
    assert sorted(one["etiqueta"] for one in records()) == sorted(labels())


def test_a_backup_keeps_off_what_would_break_it_and_lets_a_site_pass() -> None:
    with backup_under_way() as backup:
        before = labels()
        for name, arguments in (
            (BACKUP, ()),
            (FAILOVER, ()),
            (FAILBACK, ()),
            (REJOIN, ()),
            ("site.yml", ("-e", "restart=true")),
            ("playbooks/down.yml", ("-e", "down_data=true")),
        ):
            refused = play(name, *arguments, expect=2)
            assert holder_named(refused.text, BACKUP, r"bob \(AWX job 4711\)"), f"{name} {arguments}"
            assert refused.changed == 0
        assert operations() == ["backup"]
        assert backup.running()
        assert labels() == before


@pytest.mark.long
def test_a_site_and_a_backup_at_once() -> None:
    before = labels()
    with controller("site.yml") as site:
        wait_for_operation("site")
        with controller(BACKUP, "-e", "day=2") as backup:
            wait_until(lambda: operations() == ["backup", "site"], "both to hold their locks", 60)
            failover = play(FAILOVER, expect=2)
            assert holder_named(failover.text, "site.yml") or holder_named(failover.text, BACKUP)
            assert backup.wait().code == 0
        done = site.wait()
        assert (done.code, done.changed) == (0, 0)
    assert len(labels()) == len(before) + 1


@pytest.mark.long
def test_two_started_at_once_are_one() -> None:
    """Of two sites, which exclude one another, one does it and the other is told so."""
    with controller("site.yml") as one, controller("site.yml") as other:
        ended = [one.wait(), other.wait()]
    assert sorted(play.code for play in ended) == [0, 2]
    refused = next(play for play in ended if play.code == 2)
    assert holder_named(refused.text, "site.yml")
    assert refused.changed == 0


@pytest.mark.long
def test_who_only_looks_is_refused_by_nobody() -> None:
    with controller("site.yml") as site:
        record = wait_for_operation("site")
        stop_play(record, signal.SIGSTOP)
        for name, arguments in ((STATUS, ()), ("site.yml", ("--check",)), (FAILOVER, ("-e", "plan=json"))):
            assert "Nothing was changed. Wait until it has ended" not in play(name, *arguments).text
        assert "At work: site.yml by" in play(STATUS).text
        assert holders() == [record]
        stop_play(record, signal.SIGCONT)
        site.kill()


@pytest.mark.long
def test_who_waits_gets_it() -> None:
    with ExitStack() as stack:
        with backup_under_way():
            rejoin = stack.enter_context(controller(REJOIN, "-e", "wait_for_lock=120"))
            rejoin.read_until("Waiting up to 120 s: backup.yml by")
            assert operations() == ["backup"]
        assert rejoin.wait().code == 0


def test_a_controller_that_is_killed() -> None:
    """Its keeper lives on for a moment, and gives the lock back."""
    with backup_under_way():
        record = wait_for_operation("backup")
        started = time.monotonic()
        stop_play(record, signal.SIGKILL)
        wait_until_free(PATIENCE + 3)
        print(f"free {time.monotonic() - started:.1f} s after the play was killed")


@pytest.mark.long
def test_a_controller_that_loses_its_power() -> None:
    with backup_under_way() as backup:
        started = time.monotonic()
        killed_with_all(backup, BACKUP)
        assert operations() == ["backup"]
    with controller(REJOIN) as rejoin:
        left = PATIENCE + 3 - (time.monotonic() - started)
        wait_until(lambda: "backup" not in operations(), "the lock of the dead play to be free", left)
        print(f"free {time.monotonic() - started:.1f} s after the power cut")
        assert rejoin.wait().code == 0


@pytest.mark.long
def test_a_play_whose_keeper_was_killed_takes_the_lock_again() -> None:
    with controller("site.yml") as site:
        site.read_until(r"PLAY \[Container nodes")
        kill_keepers("site.yml")
        assert site.wait().code == 0
    # It gives the lock back after the play has ended.
    wait_until(lambda: keepers("site.yml") == [], "the new keeper to end with its play", 15)


@pytest.mark.long
def test_a_repository_host_that_restarts_is_told_again() -> None:
    """The play lost its lock, and takes it again when the host answers."""
    with controller("site.yml") as site:
        record = wait_for_operation("site")
        stop_play(record, signal.SIGSTOP)
        docker("restart", "--time", "5", REPOSITORY)
        again = wait_for_operation("site")
        assert again["process"] == record["process"]
        assert site.running()
        stop_play(record, signal.SIGCONT)
        # It may have met the host while that was down.
        site.wait()
    play("site.yml")


@pytest.mark.long
def test_a_holder_that_was_killed_is_replaced() -> None:
    with backup_under_way() as backup:
        first = holder_process()
        shell(REPOSITORY, "kill", "-KILL", first)
        assert wait_for_operation("backup")["requested_by"]
        assert holder_process() != first
        assert backup.running()


@pytest.mark.long
def test_a_login_without_privileges_sends_the_beats_and_finds_nothing() -> None:
    """On machines the beats come without become. Whoever was not told of the pipe can neither list nor read."""
    with backup_under_way():
        pipe = shell(REPOSITORY, "sh", "-c", f"ls {DIRECTORY}/*.beat").strip()
        beat = SEND.format(word=BEAT.decode())
        shell(REPOSITORY, "sh", "-c", beat, user="postgres", stdin=f"{pipe}\n")
        for command in (f"ls {DIRECTORY}", f"cat {pipe.replace('.beat', '.json')}"):
            denied = shell(REPOSITORY, "sh", "-c", f"{command} 2>&1 || echo denied", user="postgres")
            assert denied.endswith("Permission denied\ndenied\n")
        shell(REPOSITORY, "kill", "-KILL", holder_process())
        gone = shell(REPOSITORY, "sh", "-c", f"{beat} || echo gone", user="postgres", stdin=f"{pipe}\n")
        assert gone.endswith("gone\n")


@pytest.mark.long
def test_an_emergency_waits_for_no_play() -> None:
    """site.yml hangs, with its lock; the primary is killed, and a standby promoted as fast as ever."""
    with controller("site.yml") as site:
        record = wait_for_operation("site")
        stop_play(record, signal.SIGSTOP)
        docker("kill", PRIMARY)
        emergency = play(FAILOVER)
        assert operations() == ["site"]
        stop_play(record, signal.SIGCONT)
        site.kill()
    assert takes_writes(STANDBY)
    assert "Warning: this does not wait for others: site.yml by" in emergency.text
    assert "Archiving from" in emergency.text
    wait_until_free(PATIENCE + 3)
    play(FAILBACK)
    wait_until_streaming(PRIMARY)


@pytest.mark.long
def test_an_emergency_needs_no_repository_host() -> None:
    docker("pause", REPOSITORY)
    docker("kill", PRIMARY)
    try:
        promoted = play(FAILOVER, expect=2)
        assert "The repository host" in promoted.text
        assert takes_writes(STANDBY)
    finally:
        docker("unpause", REPOSITORY)
    play(FAILOVER)
    play(FAILBACK)
    wait_until_streaming(PRIMARY)
