"""A primary that answers with an error lives: nobody is promoted beside it, and everybody is told what hinders us."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from clients import NeverTwo, Writer, more, takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    PGDATA,
    PRIMARY,
    REJOIN,
    REPOSITORY,
    STANDBY,
    STATUS,
    docker,
    guard_says,
    labels,
    missing,
    nothing_needs_attention,
    play,
    psql,
    rows_of,
    running,
    shell,
    wait_until,
)
from holding import FENCE, exists, processes, send

pytestmark = pytest.mark.usefixtures("backed_up")

#: Opens sessions of a user on this node until the server refuses, says how many, and holds them until its input ends.
HOG = """
import sys, psycopg
held = []
try:
    while True:
        held.append(psycopg.connect(host="/var/run/postgresql", user=sys.argv[1], dbname="postgres"))
except psycopg.OperationalError as error:
    print(len(held), error, flush=True)
sys.stdin.read()
"""


@contextmanager
def connections_used_up(node: str, user: str) -> Iterator[None]:
    """Every connection that ``user`` may have is in use."""
    command = ["docker", "exec", "-i", "-u", "postgres", node, "python3", "-c", HOG, user]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as hog:
        assert hog.stdout is not None
        said = hog.stdout.readline()
        assert "slots" in said or "too many clients" in said, said
        try:
            yield
        finally:
            assert hog.stdin is not None
            hog.stdin.close()


@contextmanager
def refusing(statement: str, undo: str) -> Iterator[None]:
    """The primary refuses our role."""
    psql(PRIMARY, statement)
    try:
        yield
    finally:
        if takes_writes(PRIMARY):
            psql(PRIMARY, undo)


def started(node: str) -> str:
    return psql(node, "SELECT pg_postmaster_start_time()")


@pytest.mark.long
def test_our_roles_get_in_when_applications_use_all_other_connections() -> None:
    psql(PRIMARY, "CREATE ROLE crowd LOGIN")
    # On both: status.yml names nodes whose files differ.
    for node in (PRIMARY, STANDBY):
        shell(node, "sh", "-c", "echo 'local all crowd trust' | cat - /etc/relevo/pg_hba.conf > /tmp/hba")
        shell(node, "sh", "-c", "cp -p /etc/relevo/pg_hba.conf /tmp/kept; cat /tmp/hba > /etc/relevo/pg_hba.conf")
        psql(node, "SELECT pg_reload_conf()")
    try:
        with connections_used_up(PRIMARY, "crowd"):
            nothing_needs_attention()
            before = labels()
            play("backup.yml", "-e", "day=2")
            assert len(labels()) > len(before)
            play(FAILOVER)
            assert takes_writes(STANDBY)
    finally:
        for node in (PRIMARY, STANDBY):
            shell(node, "sh", "-c", "cat /tmp/kept > /etc/relevo/pg_hba.conf")
            psql(node, "SELECT pg_reload_conf()")
    play(FAILBACK)
    psql(PRIMARY, "DROP ROLE crowd")
    wait_until_streaming(PRIMARY)


@contextmanager
def without_processes(node: str) -> Iterator[None]:
    """The server of this node gets no process for a new session; those that it has go on."""
    limit = f"prlimit --pid $(head -n 1 {PGDATA}/postmaster.pid) --nproc"
    most = shell(node, "sh", "-c", f"{limit} --output=HARD --noheadings", user="postgres").strip()
    # Its soft one, which its own user may raise again.
    shell(node, "sh", "-c", f"{limit}=1:", user="postgres")
    try:
        yield
    finally:
        shell(node, "sh", "-c", f"{limit}={most}:", user="postgres")


@pytest.mark.long
def test_a_primary_that_gets_no_process_is_left_alone() -> None:
    """What it says has no SQLSTATE, and libpq takes it for silence: it was fenced, with all that wrote to it."""
    with Writer() as writer, NeverTwo():
        more(writer)
        since = [started(node) for node in (PRIMARY, STANDBY)]
        with without_processes(PRIMARY):
            status = play(STATUS).text
            assert f"{PRIMARY} lives and answers, but not to us" in status
            assert "It gets no process, or no memory, for a new session" in status
            refused = play(FAILOVER, expect=2).text
            assert "Nobody was promoted; nothing was touched." in refused
            more(writer)
        assert [started(node) for node in (PRIMARY, STANDBY)] == since
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    nothing_needs_attention()


@pytest.mark.parametrize(
    ("statement", "undo", "words", "cure"),
    [
        (
            "ALTER ROLE relevo_monitor CONNECTION LIMIT 0",
            "ALTER ROLE relevo_monitor CONNECTION LIMIT -1",
            "too many connections for role",
            "End sessions there",
        ),
        pytest.param(
            "ALTER ROLE relevo_monitor NOLOGIN",
            "ALTER ROLE relevo_monitor LOGIN",
            "is not permitted to log in",
            "undo it",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "REVOKE pg_monitor FROM relevo_monitor",
            "GRANT pg_monitor TO relevo_monitor",
            "permission denied",
            "undo it",
            marks=pytest.mark.long,
        ),
    ],
    ids=["connections", "login", "rights"],
)
def test_a_primary_that_refuses_us_is_left_alone(statement: str, undo: str, words: str, cure: str) -> None:
    with Writer() as writer, NeverTwo():
        more(writer)
        since = [started(node) for node in (PRIMARY, STANDBY)]
        with refusing(statement, undo):
            status = play(STATUS).text
            assert f"{PRIMARY} lives and answers, but not to us" in status
            assert words in status
            assert cure in status
            assert "No primary lets us in." in status
            assert "run failover.yml" not in status
            for arguments in ((), ("-e", "force=true")):
                refused = play(FAILOVER, *arguments, expect=2)
                assert words in refused.text
                assert "Nobody was promoted; nothing was touched." in refused.text
                assert refused.changed == 0
            backup = play("backup.yml", expect=2)
            assert f"{PRIMARY} lives and answers, but not to us" in backup.text
            more(writer)
        assert [started(node) for node in (PRIMARY, STANDBY)] == since
        nothing_needs_attention()
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


@pytest.mark.long
def test_with_all_connections_in_use_the_role_can_be_taken_on_demand() -> None:
    """Also those that are kept back: a superuser's sessions use them all. The fence is what it is in an emergency."""
    with Writer() as writer, NeverTwo():
        more(writer)
        with connections_used_up(PRIMARY, "postgres"):
            assert "too many clients" in play(STATUS).text
            refused = play(FAILOVER, expect=2)
            assert "-e fence_living=true" in refused.text
            more(writer)
            taken = play(FAILOVER, "-e", "fence_living=true")
            assert f"{PRIMARY} is fenced" in taken.text
            assert "none were lost" in taken.text
        assert takes_writes(STANDBY)
        assert not running(PRIMARY)
        more(writer)
        for command in ("start", "restart"):
            docker(command, PRIMARY)
            wait_until(lambda: "it was fenced by" in guard_says(PRIMARY)["reason"], "the start guard to refuse", 30)
            assert guard_says(PRIMARY)["verdict"] == "refuse"
            assert "rejoin.yml" in guard_says(PRIMARY)["advice"]
            assert json.loads(shell(PRIMARY, "cat", FENCE))["successor"] == STANDBY
            more(writer, 100)
            assert not takes_writes(PRIMARY)
        play(REJOIN)
        wait_until_streaming(STANDBY)
        assert not exists(PRIMARY, FENCE)
        play(FAILBACK)
        wait_until_streaming(PRIMARY)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


@pytest.mark.long
def test_a_recovery_that_lasts_is_waited_for_and_said() -> None:
    psql(PRIMARY, "CREATE TABLE bulk AS SELECT repeat('x', 900) FROM generate_series(1, 100000)")
    catch = "until pkill -STOP -f '[s]tartup recovering'; do :; done"
    docker("exec", "-d", "-u", "postgres", PRIMARY, "sh", "-c", catch)
    shell(PRIMARY, "pkill", "-KILL", "-u", "postgres", "-x", "postgres")
    wait_until(lambda: bool(processes(PRIMARY, "startup recovering")), "its recovery", 60)
    progress = re.compile(r"It is replaying the WAL segment [0-9A-F]{24} of up to [0-9A-F]{24} \(\d+\.\d MiB left\)\.")
    refused = play(FAILOVER, expect=2)
    assert progress.search(refused.text)
    assert refused.seconds > 60
    assert progress.search(play(STATUS).text)
    send(PRIMARY, "CONT", "startup recovering")
    wait_until(lambda: takes_writes(PRIMARY), f"{PRIMARY} to take writes again", 60)
    psql(PRIMARY, "DROP TABLE bulk")
    wait_until_streaming(PRIMARY)


def test_a_primary_that_only_the_repository_host_does_not_reach_is_left_alone() -> None:
    """One observer's network is no reason to promote: the standby is asked, too."""
    with Writer() as writer, NeverTwo():
        more(writer)
        shell(REPOSITORY, "sh", "-c", f"cp /etc/hosts /tmp/hosts; echo 127.0.0.1 {PRIMARY} >> /etc/hosts")
        try:
            refused = play(FAILOVER, expect=2)
            assert f"{STANDBY} reaches it; {REPOSITORY} does not" in refused.text
            assert refused.changed == 0
            more(writer)
        finally:
            # The engine has mounted that file: it can be written, and not replaced.
            shell(REPOSITORY, "sh", "-c", "cat /tmp/hosts > /etc/hosts")
    assert takes_writes(PRIMARY)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
