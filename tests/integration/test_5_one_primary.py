"""Where a second primary could appear: each place is a test, and in none of them there may ever be two."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from clients import NeverTwo, Writer, more, takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    PRIMARY,
    REDIS,
    REJOIN,
    REPOSITORY,
    STANDBY,
    STATUS,
    docker,
    guard_says,
    missing,
    nothing_needs_attention,
    play,
    psql,
    rows_of,
    running,
    shell,
    wait_until,
)
from holding import FENCE, PROMOTE, controller, exists, frozen, send, wait_for_lock
from operation_lock import holder_named

ALL = (PRIMARY, STANDBY, REPOSITORY, REDIS)
SHORT = {PRIMARY: "primary", STANDBY: "standby", REPOSITORY: "repository", REDIS: "redis"}
EVERY_ORDER = list(itertools.permutations(ALL))
# The primary before every witness.
CI_ORDERS = [(PRIMARY, STANDBY, REPOSITORY, REDIS)]


def named(order: Sequence[str]) -> str:
    return "-".join(SHORT[node] for node in order)


def power_cut_and_return(right: str, order: Sequence[str]) -> None:
    """Kill all containers at once and start them in ``order``: ``right`` must take writes again, and nobody else."""
    with Writer() as writer, NeverTwo():
        more(writer)
        docker("kill", *ALL)
        for node in order:
            docker("start", node)
        wait_until_streaming(right)
        more(writer)
    assert missing(rows_of(right), writer.acknowledged) == []


def wait_for_verdict(node: str, action: str, reason: str) -> None:
    wait_until(
        lambda: (said := guard_says(node))["verdict"] == action and reason in said["reason"],
        f"the start guard of {node} to {action}: {reason}",
        60,
    )
    assert not takes_writes(node)


def remove_fence(node: str) -> None:
    """So that only the witnesses object."""
    shell(node, "rm", FENCE)


def come_home() -> None:
    """The preferred primary rules again, nobody strays, and nothing is left to say."""
    play(FAILBACK)
    assert takes_writes(PRIMARY)
    wait_until_streaming(PRIMARY)


# --- everything dies at once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", CI_ORDERS, ids=named)
def test_a_power_cut(order: Sequence[str]) -> None:
    power_cut_and_return(PRIMARY, order)


@pytest.mark.long
@pytest.mark.parametrize("order", [order for order in EVERY_ORDER if order not in CI_ORDERS], ids=named)
def test_a_power_cut_in_every_other_order(order: Sequence[str]) -> None:
    power_cut_and_return(PRIMARY, order)


@pytest.mark.long
def test_a_power_cut_in_every_order_after_a_failover() -> None:
    """The preferred primary is a standby: whoever is started first, it must not take the role."""
    play(FAILOVER)
    for order in EVERY_ORDER:
        power_cut_and_return(STANDBY, order)
    come_home()


# --- the old primary is started ------------------------------------------------------------------------------------


def test_the_old_primary_never_comes_back_by_itself() -> None:
    """Its marker objects, then the new primary, then the archive; and with no witness at all it waits."""
    with Writer() as writer, NeverTwo():
        more(writer)
        docker("kill", PRIMARY)
        play(FAILOVER)
        docker("start", PRIMARY)
        wait_for_verdict(PRIMARY, "refuse", "it was fenced by")

        remove_fence(PRIMARY)
        wait_for_verdict(PRIMARY, "refuse", f"{STANDBY} is the primary")
        more(writer)

        docker("stop", STANDBY)
        docker("restart", PRIMARY)
        wait_for_verdict(PRIMARY, "refuse", "which descends from this node's timeline")
        said = play(STATUS).text
        assert "which descends from this node's timeline" in said
        assert "No primary takes writes." in said

        docker("kill", REPOSITORY)
        docker("restart", PRIMARY)
        wait_for_verdict(PRIMARY, "wait", "no witness can say whether another server was promoted")
        assert "PostgreSQL on" in docker("logs", "--tail", "20", PRIMARY)

        docker("start", REPOSITORY, STANDBY)
        more(writer)
        assert takes_writes(STANDBY)
        come_home()
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


@pytest.mark.long
def test_the_old_primary_is_started_while_the_candidate_is_being_promoted() -> None:
    """The candidate hangs in the promotion. Its marker objects, and without it the lock of the hand-over."""
    with Writer() as writer, NeverTwo():
        more(writer)
        docker("kill", PRIMARY)
        with frozen(STANDBY, "postgres: startup"), controller(FAILOVER) as failover:
            assert "relevo promotion of" in wait_for_lock(STANDBY)
            docker("start", PRIMARY)
            wait_for_verdict(PRIMARY, "refuse", "it was fenced by")
            remove_fence(PRIMARY)
            wait_for_verdict(PRIMARY, "refuse", f"{STANDBY} holds the lock of a hand-over (relevo promotion of")
            assert failover.running()
            send(STANDBY, "CONT", "postgres: startup")
            assert failover.wait().code == 0
        more(writer)
        wait_for_verdict(PRIMARY, "refuse", f"{STANDBY} is the primary")
        come_home()
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


# --- the promotion is requested ------------------------------------------------------------------------------------


@contextmanager
def promotion_requested() -> Iterator[None]:
    """Let a hand-over that the frozen checkpointer of the primary holds go on to the request; it is not answered."""
    wait_for_lock(STANDBY)
    # It goes on receiving and replaying, and notes the request; only its postmaster does not act upon it.
    with frozen(STANDBY, "/postgres -D"):
        send(PRIMARY, "CONT", "postgres: checkpointer")
        wait_until(lambda: exists(STANDBY, PROMOTE), "the promotion to be requested", 60)
        yield


@pytest.mark.long
def test_the_promotion_is_requested_and_the_old_primary_dies_before_the_answer() -> None:
    """The controller sees a failure; the candidate takes over all the same, and the next run finishes."""
    with Writer() as writer, NeverTwo():
        more(writer)
        with frozen(PRIMARY, "postgres: checkpointer"), controller(FAILOVER) as failover:
            with promotion_requested():
                docker("restart", PRIMARY)
                ended = failover.wait()
                assert ended.code != 0
                assert f"{PRIMARY} went away in the middle of this" in ended.text
                wait_for_verdict(PRIMARY, "refuse", "it was fenced by")
                assert not takes_writes(STANDBY)
            wait_until(lambda: takes_writes(STANDBY), "the requested promotion to happen", 60)
        more(writer)
        assert play(FAILOVER).changed > 0, "the next run finishes"
        wait_until_streaming(STANDBY)
        come_home()
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


@pytest.mark.long
def test_the_promotion_is_requested_and_the_answer_is_lost() -> None:
    """The connection over which it was requested is cut: it is neither requested again nor undone, but observed."""
    with Writer() as writer, NeverTwo():
        more(writer)
        with frozen(PRIMARY, "postgres: checkpointer"), controller(FAILOVER) as failover:
            with promotion_requested():
                send(STANDBY, "TERM", "postgres: relevo_handover")
                assert failover.running()
                assert not takes_writes(PRIMARY)
            assert failover.wait().code == 0
        more(writer)
        wait_until_streaming(STANDBY)
        come_home()
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


# --- the new primary is lost ---------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_the_new_primary_is_lost_before_its_history_reached_the_archive() -> None:
    """Nobody but its own disk knows that it ever was one. The marker keeps the old primary down, until it is forced."""
    with Writer() as writer, NeverTwo():
        before = more(writer)
        docker("stop", REPOSITORY)
        docker("kill", PRIMARY)
        assert "no backup works" in play(FAILOVER, "-e", "force=true", expect=2).text
        assert takes_writes(STANDBY)
        more(writer)
        docker("kill", STANDBY)

        docker("start", REPOSITORY)
        docker("start", PRIMARY)
        wait_for_verdict(PRIMARY, "refuse", "it was fenced by")
        assert "No node of the cluster answers" in play(FAILOVER, expect=2).text
        assert not takes_writes(PRIMARY)

        said = play(FAILOVER, "-e", f"candidate={PRIMARY}", "-e", "force=true").text
        assert f"{STANDBY} was on the newer timeline" in said
        assert "is lost; how much is unknown" in said
        assert missing(rows_of(PRIMARY), before) == []
        after = more(writer)[-5:]

        # The one that was given up does not come back either, even while the other is away.
        docker("stop", PRIMARY)
        docker("start", STANDBY)
        wait_for_verdict(STANDBY, "refuse", "it was fenced by")
        docker("start", PRIMARY)
        more(writer)
        play(REJOIN)
        wait_until_streaming(PRIMARY)
    assert missing(rows_of(STANDBY), [*before, *after]) == []
    nothing_needs_attention()


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_the_older_of_two_primaries_is_kept() -> None:
    """The archive goes on knowing the newer timeline; the survivor lives, and the next hand-over leaves it behind."""
    assert psql(STANDBY, "SELECT pg_promote()") == "t"
    given_up = psql(STANDBY, "SELECT left(pg_walfile_name(pg_switch_wal()), 8)")
    archived = f"SELECT last_archived_wal >= '{given_up}' FROM pg_stat_archiver"
    wait_until(lambda: psql(STANDBY, archived) == "t", f"a segment of timeline {given_up} to be archived", 60)
    docker("stop", STANDBY)
    assert f"still holds the newer timeline {int(given_up, 16)}" in play(REJOIN).text
    wait_until_streaming(PRIMARY)

    with Writer() as writer, NeverTwo():
        more(writer)
        assert "and nobody follows it" in play(STATUS).text
        # A peer that is silent may be on it; one that answers and is not says that it was given up.
        docker("stop", STANDBY)
        docker("restart", PRIMARY)
        wait_for_verdict(PRIMARY, "refuse", "which descends from this node's timeline")
        docker("start", STANDBY)
        wait_until_streaming(PRIMARY)
        play(FAILOVER)
        more(writer)
        opened = psql(STANDBY, "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)")
        assert int(opened, 16) == int(given_up, 16) + 1
        come_home()
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    nothing_needs_attention()


# --- controllers ---------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_hand_over_that_lost_its_controller_is_resumed_by_two() -> None:
    """What runs on the node goes on without its controller; two others come at once, during it and after it."""
    with Writer() as writer, NeverTwo():
        more(writer)
        with frozen(PRIMARY, "postgres: checkpointer"):
            with controller(FAILOVER) as dead:
                wait_for_lock(STANDBY)
                dead.kill()
            with controller(FAILOVER) as one, controller(FAILOVER) as other:
                results = [one.wait(), other.wait()]
                # The later one may meet the earlier one's operation lock instead.
                met = [result for result in results if "Another operation holds the hand-over lock on" in result.text]
                assert met
                assert all("relevo switchover to" in result.text for result in met)
                for result in results:
                    assert result.code != 0
                    assert result in met or holder_named(result.text, "failover.yml")
        wait_until(lambda: takes_writes(STANDBY), "the hand-over without a controller to end", 60)
        with controller(FAILOVER) as one, controller(FAILOVER) as other:
            results = [one.wait(), other.wait()]
        assert 0 in [result.code for result in results]
        assert takes_writes(STANDBY)
        play(FAILOVER)
        wait_until_streaming(STANDBY)
        come_home()
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    assert running(STANDBY)
