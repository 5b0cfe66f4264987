"""Fencing by what can be reached: a machine that nobody can enter, a disk or a unit that is away, a fence command."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from clients import NeverTwo, Writer, more, role_inside, takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    PGDATA,
    PRIMARY,
    REPOSITORY,
    STANDBY,
    STATUS,
    docker,
    guard_says,
    labels,
    missing,
    play,
    rows_of,
    running,
    shell,
    wait_until,
)
from machines import (
    FOLDER,
    UNIT,
    back_to_the_start,
    kill_server,
    reboot,
    systemctl,
    unit_state,
    wait_until_up,
)

RECORD = f"/var/lib/pgbackrest/relevo/fence/{PRIMARY}.json"
#: Beside PostgreSQL's own directory: on the same disk, so that a move is a rename, and found by nobody.
AWAY = "/var/lib/away"


@pytest.fixture
def nobody_gets_in() -> Iterator[None]:
    """The primary's machine and its server go on; its sshd does not, nor does any session of it."""
    if not takes_writes(PRIMARY):
        # The tests of another file have left the role where they needed it.
        play(FAILBACK)
    systemctl(PRIMARY, "kill", "ssh")
    systemctl(PRIMARY, "stop", "ssh")
    yield
    systemctl(PRIMARY, "start", "ssh")
    wait_until_up(PRIMARY)


@pytest.fixture
def disk() -> Iterator[None]:
    """Whatever becomes of the test, what was moved away is there again."""
    shell(PRIMARY, "install", "-d", "-o", "postgres", AWAY)
    yield
    shell(PRIMARY, "sh", "-ec", f"[ ! -e {AWAY} ] || {{ {disk_back()}; }}")


def disk_away() -> str:
    """As an empty mount point: the directory stays."""
    return f"find /var/lib/postgresql -mindepth 1 -maxdepth 1 -exec mv -t {AWAY} {{}} +"


def disk_back() -> str:
    """A mount hides what has been written below it."""
    back = "find /var/lib/postgresql -mindepth 1 -delete"
    return f"{back}; find {AWAY} -mindepth 1 -maxdepth 1 -exec mv -t /var/lib/postgresql {{}} + && rmdir {AWAY}"


def both_have(writer: Writer) -> list[int]:
    """Rows that the standby has too, so that nothing which becomes of the primary's disk can lose them."""
    seen = more(writer)
    wait_until(lambda: missing(rows_of(STANDBY), seen) == [], "the standby to have the rows", 30)
    return seen


def refuses(word: str) -> None:
    """Somebody starts the old primary's unit; its guard forbids that, and says ``word``."""
    systemctl(PRIMARY, "start", "--no-block", UNIT)
    is_kept_down(word)


def is_kept_down(word: str) -> None:
    wait_until(lambda: unit_state(PRIMARY) == "activating", "the unit's first step, which is the guard", 30)
    wait_until(lambda: word in guard_says(PRIMARY)["reason"], f"the start guard to say {word}", 60)
    assert guard_says(PRIMARY)["verdict"] == "refuse"
    assert role_inside(PRIMARY) == ""


def test_a_machine_that_nobody_can_enter_is_seen_alive_and_nobody_promoted(nobody_gets_in: None) -> None:
    """Whatever is said: what lives cannot be fenced, since nobody gets in."""
    with Writer() as writer, NeverTwo():
        more(writer)
        for flags in ([], ["-e", "force=true"], ["-e", f"candidate={STANDBY}", "-e", "force=true"]):
            refused = play(FAILOVER, *flags, expect=2)
            assert f"The server of {PRIMARY} answers, but the controller cannot reach the machine (" in refused.text
            assert "Nobody was promoted; nothing was touched." in refused.text
            assert refused.changed == 0
            more(writer)
        assert takes_writes(PRIMARY)
        assert role_inside(STANDBY) == "standby"
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    wait_until_streaming(PRIMARY)


@pytest.mark.long
def test_a_disk_that_is_away_needs_no_flag_and_what_comes_back_with_it_is_kept_down(disk: None) -> None:
    """Where no marker can be written the repository host has one. What was not sent is lost, and that is said."""
    with Writer() as writer, NeverTwo():
        seen = both_have(writer)
        # In one go: systemd starts the server again after a second.
        shell(PRIMARY, "sh", "-ec", f"systemctl kill --signal=KILL {UNIT}; {disk_away()}")
        shell(PRIMARY, "test", "!", "-e", PGDATA)
        said = play(FAILOVER).text
        assert takes_writes(STANDBY)
        assert f"{PRIMARY} is fenced" in said
        assert f"The WAL of {PRIMARY} could not be read to its end" in said
        assert missing(rows_of(STANDBY), seen) == []
        record = json.loads(shell(REPOSITORY, "cat", RECORD))
        assert (record["node"], record["successor"]) == (PRIMARY, STANDBY)
        more(writer)

        # No marker at the mount point, where the disk would hide it. What its guard has said of a start may lie there.
        assert "fence.json" not in shell(PRIMARY, "find", "/var/lib/postgresql")
        # The record has to do it alone.
        docker("pause", STANDBY)
        try:
            shell(PRIMARY, "sh", "-ec", disk_back())
            refuses("the repository host keeps a record that it was fenced")
        finally:
            docker("unpause", STANDBY)
        more(writer)
        back_to_the_start()
        shell(REPOSITORY, "test", "!", "-e", RECORD)
        more(writer)
    assert missing(rows_of(PRIMARY), seen) == []


@pytest.mark.long
def test_a_unit_that_was_stopped_after_a_crash_needs_no_flag_and_costs_no_row() -> None:
    with Writer() as writer, NeverTwo():
        more(writer)
        kill_server()
        systemctl(PRIMARY, "stop", UNIT)
        said = play(FAILOVER).text
        assert takes_writes(STANDBY)
        assert f"{PRIMARY} is fenced" in said
        seen = more(writer)
        assert missing(rows_of(STANDBY), seen) == []
        refuses("fenced")
        more(writer)
        back_to_the_start()
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


@pytest.mark.long
def test_the_fence_command_switches_off_a_machine_that_still_runs() -> None:
    """It hangs as a whole: neither sshd nor the server answers, and what it would do next nobody knows."""
    fence = json.dumps({"failover_fence_command": [str(FOLDER / "fence_off.sh")]})
    with Writer() as writer, NeverTwo():
        seen = both_have(writer)
        docker("pause", PRIMARY)
        said = play(FAILOVER, "-e", fence).text
        assert not running(PRIMARY)
        assert takes_writes(STANDBY)
        assert f"{PRIMARY} is fenced" in said
        assert missing(rows_of(STANDBY), seen) == []
        more(writer)
        docker("start", PRIMARY)
        wait_until_up(PRIMARY)
        is_kept_down(STANDBY)
        more(writer)
        back_to_the_start()
        more(writer)
    assert missing(rows_of(PRIMARY), seen) == []


@pytest.mark.long
def test_a_fence_command_that_lies_is_believed_and_what_follows_is_named() -> None:
    """As docs/explanation/handover.md says: its 0 is the proof. What is started anew is kept down all the same."""
    docker("pause", PRIMARY)
    said = play(FAILOVER, "-e", json.dumps({"failover_fence_command": ["true"]})).text
    assert f"{PRIMARY} is fenced" in said
    assert takes_writes(STANDBY)
    docker("unpause", PRIMARY)
    wait_until(lambda: takes_writes(PRIMARY), "the machine that nobody has switched off", 30)
    named = play(STATUS, "-e", "require=healthy", expect=None)
    assert "Two primaries take writes" in named.text
    assert named.code != 0
    reboot(PRIMARY)
    is_kept_down(STANDBY)
    back_to_the_start()


@pytest.mark.long
def test_an_empty_machine_is_never_initialised_beside_data_or_backups() -> None:
    if not labels():
        play("backup.yml")
    version = PGDATA.removesuffix("/main")
    before = rows_of(PRIMARY)
    wait_until_streaming(PRIMARY)
    lost = [PRIMARY]
    try:
        lose(PRIMARY, version)
        refused = play("site.yml", expect=2).text
        assert f"{PRIMARY} holds nothing; {STANDBY} holds data on timeline" in refused
        assert "No new cluster was made, and nobody was promoted." in refused
        nothing_was_made(PRIMARY)

        lost.append(STANDBY)
        lose(STANDBY, version)
        refused = play("site.yml", expect=2).text
        assert f"the newest {labels()[-1]}" in refused
        assert "site.yml -e new_cluster=main" in refused
        for node in lost:
            nothing_was_made(node)
    finally:
        for node in lost:
            # What the play may have prepared there is no data, as was looked for.
            shell(node, "sh", "-ec", f"[ ! -e {AWAY} ] || {{ rm -rf {version}; mv {AWAY} {version}; }}")
            systemctl(node, "start", "--no-block", UNIT)
    wait_until_streaming(PRIMARY)
    assert rows_of(PRIMARY) == before
    assert play("site.yml").changed == 0


def lose(node: str, version: str) -> None:
    systemctl(node, "stop", UNIT)
    shell(node, "mv", version, AWAY)


def nothing_was_made(node: str) -> None:
    shell(node, "test", "!", "-e", f"{PGDATA}/PG_VERSION")
    assert unit_state(node) != "active"
