"""A rolling minor upgrade under clients that write: new images, killed controllers, a node that does not come back."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from clients import Writer, more, role_inside, takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    PRIMARY,
    REDIS,
    REPOSITORY,
    STANDBY,
    archive_all,
    docker,
    killed_play,
    missing,
    nothing_needs_attention,
    play,
    psql,
    rows_of,
    shell,
    wait_until,
)

pytestmark = pytest.mark.long

UPGRADE = "playbooks/upgrade_minor.yml"
GO = ("-e", "confirm=main")
HOSTS = (PRIMARY, STANDBY, REPOSITORY, REDIS)
STARTED = "SELECT pg_postmaster_start_time()"
BROKEN = "/etc/relevo/conf.d/99-broken.conf"
#: A scratch instance, as far as one is looked at from outside.
SCRATCH = "/var/lib/postgresql/scratch/other_noon"
NOTE = json.dumps({"cluster": "other", "port": 5600, "request": {}})


def images() -> dict[str, str]:
    return {name: docker("inspect", "-f", "{{.Image}}", name).strip() for name in HOSTS}


def containers() -> dict[str, str]:
    return {name: docker("inspect", "-f", "{{.Id}}", name).strip() for name in HOSTS}


def as_of(word: str) -> tuple[str, ...]:
    """Images with the packages that the sources have now; every playbook has to be told, as by an inventory."""
    return "-e", f"docker_nodes_packages_as_of={word}"


def other_settings(megabytes: int) -> tuple[str, ...]:
    """A container that is made otherwise is one that is left to do; no image has to be built for it."""
    return "-e", f"docker_nodes_shm_size={megabytes}M"


@pytest.fixture
def writer() -> Iterator[Writer]:
    """No row that it saw acknowledged is lost, and all of them reach the standby and the archive."""
    with Writer() as found:
        more(found)
        yield found
        more(found)
    assert found.trouble == ""
    primary, standby = (PRIMARY, STANDBY) if takes_writes(PRIMARY) else (STANDBY, PRIMARY)
    assert missing(rows_of(primary), found.acknowledged) == []
    caught_up = f"SELECT max(id) >= {found.acknowledged[-1]} FROM trial"
    wait_until(lambda: psql(standby, caught_up) == "t", "the standby to replay the last row", 30)
    print(f"{len(found.acknowledged)} rows, the longest pause between two was {found.longest_outage:.2f} s")


def back_to_the_preferred() -> None:
    if not takes_writes(PRIMARY):
        play(FAILBACK)


@pytest.mark.usefixtures("backed_up")
def test_every_container_gets_the_new_image_and_no_row_is_lost(writer: Writer) -> None:
    before, again = images(), as_of("again")
    shown = play(UPGRADE, *again, "-e", "plan=text")
    assert "gets a new container, whose image is not built yet" in shown.text
    assert f"The standbys one after the other ({STANDBY}), then one hand-over to {STANDBY}" in shown.text
    assert json.loads(_plan(play(UPGRADE, *again, "-e", "plan=json").output))["action"] == "upgrade"
    assert "One write outage" in play(UPGRADE, *again, "--check").text
    refused = play(UPGRADE, *again, expect=2)
    assert "Nobody confirmed that main is upgraded. Nothing was changed." in refused.text
    assert images() == before
    assert "It is replaced by upgrade_minor.yml" in play("site.yml", *again).text

    done = play(UPGRADE, *again, *GO)
    more(writer)
    assert "Write outage of the hand-over: " in done.text
    assert f"Archiving from {STANDBY} is proven" in done.text
    assert f"{STANDBY}: primary, runs PostgreSQL " in done.text
    now = images()
    assert [name for name in HOSTS if now[name] == before[name]] == []
    assert takes_writes(STANDBY)
    for name in (PRIMARY, STANDBY):
        assert "postgresql-" in shell(name, "dpkg-query", "-W", "postgresql-*")

    rerun = play(UPGRADE, *again, *GO)
    assert rerun.changed == 0
    assert "Nothing to do" in rerun.text
    assert play("site.yml", *again).changed == 0
    play(FAILBACK)
    # Back to the image that all other tests have, by the same way.
    play(UPGRADE, *GO)
    assert images() == before
    play(FAILBACK)
    assert play("site.yml").changed == 0
    nothing_needs_attention()


def _plan(output: str) -> str:
    lines = output.splitlines()
    return "\n".join(lines[lines.index("{") : lines.index("}") + 1])


@pytest.mark.usefixtures("backed_up")
def test_it_goes_on_where_it_was_killed(writer: Writer) -> None:
    other = other_settings(257)
    before = containers()
    killed_play(UPGRADE, "Start the container", *other, *GO)
    more(writer)
    assert takes_writes(PRIMARY)
    killed_play(UPGRADE, "Wait until it streams again", *other, *GO)
    killed_play(UPGRADE, f"Hand over to {STANDBY}", *other, *GO)
    more(writer)
    # Whether it was cut off before the hand-over or in the middle of it.
    killed_play(UPGRADE, "Make the other nodes follow|Make the container anew", *other, *GO)
    more(writer)
    killed_play(UPGRADE, "Look at the software of the nodes|Start the container", *other, *GO)
    more(writer)
    play(UPGRADE, *other, *GO)
    now = containers()
    assert [name for name in HOSTS if now[name] == before[name]] == []
    assert play(UPGRADE, *other, *GO).changed == 0
    assert play("site.yml", *other).changed == 0
    wait_until_streaming(STANDBY if takes_writes(STANDBY) else PRIMARY)
    play(UPGRADE, *GO)
    back_to_the_preferred()
    assert play("site.yml").changed == 0
    nothing_needs_attention()


@pytest.mark.usefixtures("backed_up")
def test_it_ends_at_a_standby_that_does_not_come_back(writer: Writer) -> None:
    other, before, since = other_settings(258), containers(), psql(PRIMARY, STARTED)
    shell(STANDBY, "sh", "-c", f"echo \"shared_buffers = 'none'\" > {BROKEN}")
    ended = play(UPGRADE, *other, *GO, "-e", "upgrade_minor_timeout=15", expect=2)
    more(writer)
    assert f"{STANDBY} did not come back: Timed out after 15 s waiting for {STANDBY} to stream again" in ended.text
    assert containers()[PRIMARY] == before[PRIMARY]
    assert psql(PRIMARY, STARTED) == since
    # Nothing else is touched while it is not there.
    refused = play(UPGRADE, *other, *GO, "-e", "upgrade_minor_timeout=5", expect=2)
    assert f"{STANDBY} did not come back" in refused.text
    assert containers()[PRIMARY] == before[PRIMARY]
    shell(STANDBY, "rm", BROKEN)
    play(UPGRADE, *other, *GO)
    play(UPGRADE, *GO)
    back_to_the_preferred()
    assert play("site.yml").changed == 0


@pytest.mark.usefixtures("backed_up")
def test_commits_wait_for_the_only_synchronous_standby_and_none_is_lost(writer: Writer) -> None:
    other = other_settings(259)
    play("site.yml", "-e", "postgresql_synchronous=true")
    try:
        assert "Commits wait for a synchronous standby" in play(UPGRADE, *other, "-e", "plan=text").text
        play(UPGRADE, *other, *GO)
        more(writer)
        assert psql(STANDBY, "SHOW synchronous_standby_names") == f'ANY 1 ("{PRIMARY}")'
        play(UPGRADE, *GO)
        back_to_the_preferred()
    finally:
        play("site.yml", "-e", "postgresql_synchronous=false")
    assert play("site.yml").changed == 0


def refused(said: str, *arguments: str) -> None:
    """Before anything is touched."""
    before = containers()
    result = play(UPGRADE, *other_settings(260), *GO, *arguments, expect=2)
    assert said in result.text
    assert "Nothing was changed." in result.text
    assert result.changed == 0
    assert containers() == before


@pytest.mark.usefixtures("backed_up")
def test_what_cannot_end_well_is_refused() -> None:
    refused("confirm=other is not main", "-e", "confirm=other")
    docker("pause", STANDBY)
    try:
        assert f"The container {STANDBY} is paused" in play(UPGRADE, *GO, expect=2).text
    finally:
        docker("unpause", STANDBY)
    # What was restored beside the cluster is in the container of the repository host, and would be gone with it.
    shell(REPOSITORY, "sh", "-ec", f"mkdir -p {SCRATCH}; cat > {SCRATCH}/instance.json", stdin=NOTE)
    try:
        refused(f"On {REPOSITORY} the scratch instance other_noon of other is being restored")
        shell(REPOSITORY, "sh", "-c", f"echo '{{}}' > {SCRATCH}/outcome.json")
        refused(f"is in the container of {REPOSITORY}, and would be lost with it")
    finally:
        shell(REPOSITORY, "rm", "-r", SCRATCH)
    # What only the hand-over at the end would meet is known before the first standby is restarted.
    psql(PRIMARY, "CREATE UNLOGGED TABLE relevo_fleeting AS SELECT 1 AS one")
    psql(STANDBY, "ALTER SYSTEM SET restore_command = 'false'")
    psql(STANDBY, "SELECT pg_reload_conf()")
    try:
        shown = play(UPGRADE, *other_settings(260), "-e", "plan=text").text
        assert f"The unlogged tables will be empty on {STANDBY}" in shown
        assert "relevo_fleeting" in shown
        assert "REFUSED: " in shown
        refused(f"{STANDBY} cannot take over: {STANDBY} still restores from the repository")
    finally:
        psql(STANDBY, "ALTER SYSTEM RESET restore_command")
        psql(STANDBY, "SELECT pg_reload_conf()")
        psql(PRIMARY, "DROP TABLE relevo_fleeting")
    psql(STANDBY, "SELECT pg_wal_replay_pause()")
    try:
        refused(f"No standby can take over from {PRIMARY}")
    finally:
        psql(STANDBY, "SELECT pg_wal_replay_resume()")
    psql(STANDBY, "ALTER SYSTEM SET primary_conninfo = ''")
    psql(STANDBY, "SELECT pg_reload_conf()")
    wait_until(lambda: psql(STANDBY, "SELECT count(*) FROM pg_stat_wal_receiver") == "0", "the receiver to end", 30)
    try:
        refused(f"{STANDBY} does not stream from {PRIMARY}. Run rejoin.yml first.")
    finally:
        psql(STANDBY, "ALTER SYSTEM RESET primary_conninfo")
        psql(STANDBY, "SELECT pg_reload_conf()")
    wait_until_streaming(PRIMARY)
    docker("kill", PRIMARY)
    refused("No primary answers")
    play(FAILOVER)
    refused(f"{PRIMARY} is fenced, by ")
    play("playbooks/rejoin.yml")
    play(FAILBACK)
    assert role_inside(PRIMARY) == "primary"
    archive_all()
