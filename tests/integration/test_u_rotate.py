"""Passwords, certificates and their authority are replaced under clients that write, also after a kill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import Newcomers, Writer, may_log_in, more, takes_writes_inside
from cluster import (
    FAILBACK,
    FAILOVER,
    PRIMARY,
    REDIS,
    REJOIN,
    REPOSITORY,
    SECRETS,
    STANDBY,
    archive_all,
    docker,
    killed_play,
    labels,
    missing,
    nothing_needs_attention,
    play,
    play_with,
    psql,
    rows_of,
    shell,
    wait_until,
)
from rotation import NEW_PASSWORDS, ROTATE, keys, only_the_new_are_taken, passwords, rotate, trusted

NODES = (PRIMARY, STANDBY, REPOSITORY)


def archiver_failures() -> str:
    return psql(PRIMARY, "SELECT failed_count FROM pg_stat_archiver")


@pytest.fixture
def clients() -> Iterator[Writer]:
    """None of them is refused, and no row is lost."""
    failed = archiver_failures()
    with Newcomers() as newcomers, Writer() as writer:
        more(writer)
        yield writer
        more(writer)
    print(f"{len(writer.acknowledged)} rows, the longest pause between two was {writer.longest_outage:.2f} s")
    assert writer.last_error == ""
    assert writer.trouble == ""
    assert newcomers.refused == []
    assert newcomers.connected > 10
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    caught_up = f"SELECT max(id) >= {writer.acknowledged[-1]} FROM trial"
    wait_until(lambda: psql(STANDBY, caught_up) == "t", "the standby to replay the last row", 30)
    archive_all()
    assert archiver_failures() == failed


def redis_process() -> str:
    return shell(REDIS, "pidof", "redis-server")


def test_passwords_are_replaced_while_clients_write(clients: Writer) -> None:
    old, process = passwords(), redis_process()
    before = (SECRETS / "relevo_monitor").read_text()
    refused = play(ROTATE, "-e", "rotate=passwords", expect=2)
    assert "-e confirm=main" in refused.text
    assert refused.changed == 0
    assert "Our roles and Redis get new passwords" in play(ROTATE, *rotate("passwords"), "--check").text
    assert (SECRETS / "relevo_monitor").read_text() == before

    play(ROTATE, *rotate("passwords"))
    more(clients)
    only_the_new_are_taken(old)
    # Neither by the rotation nor by what comes after it.
    assert play("site.yml").changed == 0
    assert redis_process() == process


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_passwords_are_replaced_by_whoever_comes_after_a_kill(clients: Writer) -> None:
    old = passwords()
    killed_play(ROTATE, "Let Redis accept the new password beside the old one", *rotate("passwords"))
    made = json.loads(NEW_PASSWORDS.read_text())["new"]
    assert NEW_PASSWORDS.stat().st_mode & 0o777 == 0o600
    assert passwords() == old
    killed_play(ROTATE, "Give our own roles their passwords", *rotate("passwords"))
    assert passwords() == made
    # Our roles have the new ones, and no node knows them.
    killed_play(ROTATE, "Write the node's key pair and passwords", *rotate("passwords"))
    assert not may_log_in(PRIMARY, "relevo_monitor", old["relevo_monitor"])
    assert "Finish it: rotate.yml -e rotate=passwords" in play("site.yml", expect=2).text
    killed_play(ROTATE, "Let Redis accept the new password only", *rotate("passwords"))
    killed_play(ROTATE, "Forget the old passwords", *rotate("passwords"))
    more(clients)
    # Whatever is asked for, what is begun comes first.
    said = play(ROTATE, *rotate("certificates")).text
    assert "New passwords were made by a run that has not ended" in said
    assert passwords() == made
    only_the_new_are_taken(old)
    assert play("site.yml").changed == 0
    nothing_needs_attention()


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_the_primary_dies_while_the_nodes_have_other_passwords() -> None:
    """No server lets a node in: the standby takes over by its own socket, and the rotation goes on without the dead."""
    killed_play(ROTATE, "Write the node's key pair and passwords", *rotate("passwords"))
    cut_off = "If rotate.yml was cut off, run it again"
    assert cut_off in play(FAILOVER, expect=2).text
    docker("kill", PRIMARY)
    # What comes after the promotion needs to log in.
    assert cut_off in play(FAILOVER, expect=2).text
    assert takes_writes_inside(STANDBY)
    said = play(ROTATE, *rotate("passwords")).text
    assert f"{PRIMARY} is left out, since it does not answer" in said
    assert f"{PRIMARY} did not answer. The others let one another in again" in said
    assert NEW_PASSWORDS.exists()
    assert f"{STANDBY} is primary: the failover has been done" in play(FAILOVER).text
    docker("start", PRIMARY)
    # Its server is fenced; its host gets the new passwords, with which it may rejoin.
    assert f"{PRIMARY} did not answer" in play(ROTATE, *rotate("passwords")).text
    play(REJOIN)
    play(ROTATE, *rotate("passwords"))
    assert not NEW_PASSWORDS.exists()
    play(FAILBACK)
    play("backup.yml", "-e", "day=2")
    assert play("site.yml").changed == 0
    nothing_needs_attention()


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_a_standby_dies_for_good_while_the_nodes_have_other_passwords() -> None:
    """It can be taken out once the others let one another in again."""
    said_so = ("-e", f"confirm={STANDBY}", "-e", "last_standby=true")
    out = ("playbooks/remove_node.yml", "-e", f"node={STANDBY}", *said_so)
    killed_play(ROTATE, "Write the node's key pair and passwords", *rotate("passwords"))
    docker("kill", STANDBY)
    assert "If rotate.yml was cut off, run it again" in play(*out, expect=2).text
    with Writer() as writer:
        said = play(ROTATE, *rotate("passwords")).text
        more(writer)
    assert f"remove_node.yml -e node={STANDBY} -e force=true" in said
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    play(*out, "-e", "remove_data=true")
    play("playbooks/add_node.yml", "-e", f"node={STANDBY}")
    play(ROTATE, *rotate("passwords"))
    assert not NEW_PASSWORDS.exists()
    assert play("site.yml").changed == 0
    nothing_needs_attention()


@pytest.mark.long
def test_certificates_are_replaced_with_their_keys(clients: Writer) -> None:
    before, authority = keys(*NODES), (SECRETS / "tls" / "ca.crt").read_text()
    killed_play(ROTATE, "Let the server read it: certificates", *rotate("certificates"))
    play(ROTATE, *rotate("certificates"))
    more(clients)
    assert not before & keys(*NODES)
    assert (SECRETS / "tls" / "ca.crt").read_text() == authority
    assert play("site.yml").changed == 0


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_the_authority_is_replaced_in_passes_that_may_each_be_cut_off(clients: Writer) -> None:
    old, before = (SECRETS / "tls" / "ca.crt").read_text(), keys(*NODES)
    killed_play(ROTATE, "Make the authority's certificate", *rotate("authority"))
    key = (SECRETS / "tls" / "next.key").read_text()
    # Clients are given the new authority before anybody signs with it.
    play(ROTATE, *rotate("authority"), "-e", "rotate_stop_after=trust")
    assert (SECRETS / "tls" / "ca.crt").read_text().startswith(old)
    # The first pass is done, and backups go on between the passes, also after a site.yml.
    killed_play(ROTATE, "Prove that every cluster archives", *rotate("authority"))
    assert [trusted(node) for node in NODES] == [2, 2, 2]
    assert play("site.yml").changed == 0
    taken = labels()
    play("backup.yml", "-e", "day=2")
    assert len(labels()) > len(taken)
    # The second: the nodes have their files, and no process has read them.
    killed_play(ROTATE, "Let pgBackRest's TLS server read it: sign", *rotate("authority"))
    assert not before & keys(*NODES)
    play("backup.yml", "-e", "day=2")
    killed_play(ROTATE, "Let the server read it: withdraw", *rotate("authority"))
    said = play(ROTATE, *rotate("authority")).text
    assert "A run that has not ended made the new authority" in said
    more(clients)
    assert [trusted(node) for node in NODES] == [1, 1, 1]
    assert (SECRETS / "tls" / "ca.key").read_text() == key
    assert old not in (SECRETS / "tls" / "ca.crt").read_text()
    assert not before & keys(*NODES)
    assert not list((SECRETS / "tls").glob("next.*"))
    assert play("site.yml").changed == 0
    nothing_needs_attention()


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_after_all_of_it_the_cluster_does_what_it_did() -> None:
    old, authority = passwords(), (SECRETS / "tls" / "ca.crt").read_text()
    with Writer() as writer:
        play(ROTATE, *rotate("all"))
        more(writer)
        print(f"rotate=all: the longest pause between two rows was {writer.longest_outage:.2f} s")
        only_the_new_are_taken(old)
        assert (SECRETS / "tls" / "ca.crt").read_text() != authority
        play(FAILOVER)
        more(writer)
        play(FAILBACK)
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    play("backup.yml", "-e", "day=2")
    assert play("site.yml").changed == 0
    nothing_needs_attention()


@pytest.mark.long
def test_a_server_that_lets_nobody_in_afterwards_is_named() -> None:
    late = play_with(
        ROTATE,
        "Wait until every server lets us in",
        lambda: docker("pause", STANDBY),
        *rotate("certificates"),
        "-e",
        "rotate_timeout=3",
    )
    docker("unpause", STANDBY)
    assert late.code == 2
    assert "Timed out after 3 s waiting for every server to let us in" in late.text
    assert f"{STANDBY} does not answer" in late.text
    play(ROTATE, *rotate("certificates"))


def refused(said: str, *arguments: str) -> None:
    """Before anything is changed."""
    before = {path: path.read_bytes() for path in sorted(SECRETS.rglob("*")) if path.is_file()}
    result = play(ROTATE, *arguments, expect=2)
    assert said in result.text
    assert "Nothing was" in result.text
    assert {path: path.read_bytes() for path in sorted(SECRETS.rglob("*")) if path.is_file()} == before


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_what_cannot_be_replaced_is_refused(tmp_path: Path) -> None:
    given = tmp_path / "given.json"
    given.write_text(json.dumps({"secrets_given": {"relevo_monitor": passwords()["relevo_monitor"]}}))
    given.chmod(0o600)
    refused("relevo_monitor is given as a variable (secrets_given)", *rotate("passwords"), "-e", f"@{given}")
    refused("Nothing was said to be rotated", "-e", "confirm=main")
    refused("confirm=other is not main", "-e", "rotate=all", "-e", "confirm=other")
    docker("stop", STANDBY)
    try:
        refused(f"{STANDBY} does not answer", *rotate("all"))
    finally:
        docker("start", STANDBY)
    streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
    wait_until(lambda: psql(PRIMARY, streaming) == "1", f"{STANDBY} to stream", 90)
    docker("stop", REPOSITORY)
    try:
        refused(f"{REPOSITORY} does not answer", *rotate("all"))
    finally:
        docker("start", REPOSITORY)
    play("site.yml")
    psql(STANDBY, "SELECT pg_wal_replay_pause()")
    try:
        refused(f"The replay of {STANDBY} is paused", *rotate("passwords"))
    finally:
        psql(STANDBY, "SELECT pg_wal_replay_resume()")
    nothing_needs_attention()
