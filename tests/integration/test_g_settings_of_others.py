"""What an owner has set on his servers for his applications hinders neither a hand-over nor an emergency."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from clients import NeverTwo, Writer, more, takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    PRIMARY,
    REJOIN,
    STANDBY,
    docker,
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

pytestmark = pytest.mark.usefixtures("backed_up")

OWN = "/etc/relevo/conf.d/95-owner.conf"


def ask(node: str, sql: str) -> str:
    """Whatever is set for applications: a standby answers no serializable session."""
    options = r"PGOPTIONS=-c default_transaction_isolation=read\ committed"
    return shell(node, "env", options, "psql", "-U", "root", "-d", "imdb", "-XAtc", sql).strip()


@contextmanager
def settings(lines: str, *nodes: str) -> Iterator[None]:
    """The owner's own settings on the nodes, in force."""
    nodes = nodes or (PRIMARY, STANDBY)
    for node in nodes:
        shell(node, "sh", "-c", f"cat > {OWN}; chmod 644 {OWN}", stdin=f"{lines}\n")
        ask(node, "SELECT pg_reload_conf()")
    # Of what our question itself is asked with, a session does not see the file.
    names = [line.partition("=")[0].strip() for line in lines.splitlines() if "isolation" not in line]
    listed = ", ".join(f"'{name}'" for name in names)
    in_force = f"SELECT count(*) FROM pg_settings WHERE name IN ({listed}) AND sourcefile = '{OWN}'"
    try:
        for node in nodes:
            wait_until(lambda: ask(node, in_force) == str(len(names)), f"{lines} on {node}", 20)  # noqa: B023
        yield
    finally:
        for node in nodes:
            if running(node):
                shell(node, "rm", "-f", OWN)
                ask(node, "SELECT pg_reload_conf()")


def everything_goes_on() -> None:
    """Nothing to do, a backup, the role there and back, an emergency, and the old primary as a standby."""
    assert play("site.yml").changed == 0
    before = labels()
    play("backup.yml", "-e", "day=3")
    assert len(labels()) > len(before)
    play(FAILOVER)
    play(FAILBACK)
    docker("kill", PRIMARY)
    play(FAILOVER)
    play(REJOIN)
    play(FAILBACK)


@pytest.mark.long
def test_what_transactions_of_applications_begin_with_does_not_hold_for_us() -> None:
    serializable = "default_transaction_isolation = serializable\ndefault_transaction_read_only = on"
    with settings(f"{serializable}\nstandard_conforming_strings = off"):
        everything_goes_on()
    nothing_needs_attention()


@pytest.mark.long
def test_time_limits_for_applications_do_not_hold_for_us() -> None:
    limits = "statement_timeout = 200ms\nlock_timeout = 200ms\nidle_in_transaction_session_timeout = 200ms"
    with NeverTwo(), settings(f"{limits}\ntransaction_timeout = 1s"):
        everything_goes_on()
    nothing_needs_attention()


@pytest.mark.long
def test_a_server_that_forbids_alter_system() -> None:
    """Its only use is speed: it must not keep anybody from being promoted, after the old primary was fenced."""
    with Writer() as writer, NeverTwo(), settings("allow_alter_system = off"):
        more(writer)
        play(FAILOVER)
        play(FAILBACK)
        more(writer)
        docker("kill", PRIMARY)
        play(FAILOVER)
        more(writer)
        play(REJOIN)
        play(FAILBACK)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    nothing_needs_attention()


@pytest.mark.long
@pytest.mark.parametrize("held", ["paused", "delayed"])
def test_a_standby_whose_replay_is_held_back_is_promoted_with_all_that_it_has(held: str) -> None:
    delay = settings("recovery_min_apply_delay = 30min" if held == "delayed" else "work_mem = 5MB", STANDBY)
    with Writer() as writer, NeverTwo():
        with delay:
            if held == "paused":
                psql(STANDBY, "SELECT pg_wal_replay_pause()")
            more(writer)
            docker("kill", PRIMARY)
            # Before the fence, so that nobody is surprised by a promotion that takes as long as it lags.
            late = "replays with a delay, on purpose" in play(FAILOVER, "-e", "plan=text").text
            assert late is (held == "delayed")
            taken = play(FAILOVER)
            assert taken.seconds < 120
            assert takes_writes(STANDBY)
            more(writer)
        play(FAILBACK)
        wait_until_streaming(PRIMARY)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


REPORT = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM old_report; SELECT pg_sleep(600)"
HELD = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event_type = 'Lock'"


@contextmanager
def reading(node: str, sql: str, name: str = "report") -> Iterator[None]:
    """A session of somebody who reads on a node, until it is ended."""
    command = ["docker", "exec", "-u", "root", "-e", f"PGAPPNAME={name}", node, "psql", "-U", "root", "-d", "imdb"]
    with subprocess.Popen([*command, "-Xqc", sql], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as report:
        there = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}' AND wait_event = 'PgSleep'"
        wait_until(lambda: psql(node, there) == "1", f"the {name} to have read", 20)
        try:
            yield
        finally:
            report.kill()


@pytest.mark.long
def test_a_standby_whose_replay_is_blocked_by_a_report_is_promoted_in_seconds() -> None:
    """The report may read for as long as it likes, says its owner; PostgreSQL would wait for it for ever."""
    psql(PRIMARY, "CREATE TABLE old_report AS SELECT generate_series(1, 1000)")
    wait_until_streaming(PRIMARY)
    with Writer() as writer, NeverTwo():
        with settings("max_standby_streaming_delay = -1", STANDBY), reading(STANDBY, REPORT):
            more(writer)
            psql(PRIMARY, "DROP TABLE old_report")
            more(writer)
            wait_until(lambda: psql(STANDBY, HELD) == "1", "replay to wait for the report", 20)
            # A planned one refuses, and says who it is.
            refused = play(FAILOVER, expect=2)
            assert f"replay on {STANDBY} is held back by root@imdb (report, process " in refused.text
            assert "Nothing was changed" in refused.text
            docker("kill", PRIMARY)
            assert f"Replay on {STANDBY} is held back by sessions there" in play(FAILOVER, "-e", "plan=text").text
            taken = play(FAILOVER)
            assert taken.seconds < 60
            assert "replay waited for 1 session: root@imdb (report, process " in taken.text
            assert takes_writes(STANDBY)
            more(writer)
        play(FAILBACK)
        wait_until_streaming(PRIMARY)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    nothing_needs_attention()


BYSTANDER = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class; SELECT pg_sleep(600)"
CONFLICT = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'RecoveryConflictSnapshot'"


@pytest.mark.long
def test_of_those_who_read_a_planned_one_names_who_holds_replay_back() -> None:
    """Whoever began when replay stood already has a snapshot that the removed rows are not in."""
    psql(PRIMARY, "CREATE TABLE old_report AS SELECT generate_series(1, 1000)")
    wait_until_streaming(PRIMARY)

    def conflict() -> bool:
        # Until the primary has heard that the standby keeps no rows for it any more.
        psql(PRIMARY, "VACUUM old_report")
        return psql(STANDBY, CONFLICT) == "1"

    alone = settings("max_standby_streaming_delay = -1\nhot_standby_feedback = off", STANDBY)
    with alone, reading(STANDBY, REPORT):
        psql(PRIMARY, "DELETE FROM old_report")
        wait_until(conflict, "replay to wait for the report's snapshot", 60)
        with reading(STANDBY, BYSTANDER, "bystander"):
            refused = play(FAILOVER, expect=2).text
            assert f"replay on {STANDBY} is held back by root@imdb (report, process " in refused
            assert "bystander" not in refused
        # Their clients are gone, which a server that sleeps does not see.
        named = "application_name IN ('report', 'bystander')"
        psql(STANDBY, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {named}")
    psql(PRIMARY, "DROP TABLE old_report")
    play(FAILOVER)
    play(FAILBACK)
    wait_until_streaming(PRIMARY)
    nothing_needs_attention()


@pytest.mark.long
def test_a_standby_that_paused_for_greater_parameters_is_promoted_with_them() -> None:
    """The owner raised max_connections on the primary alone. To resume replay would shut the standby down."""
    greater = int(psql(PRIMARY, "SHOW max_connections")) + 10
    with Writer() as writer, NeverTwo():
        more(writer)
        with settings("work_mem = 5MB", PRIMARY):
            shell(PRIMARY, "sh", "-c", f"echo 'max_connections = {greater}' >> {OWN}")
            docker("restart", PRIMARY)
            wait_until(lambda: takes_writes(PRIMARY), "the primary to be back", 60)
            more(writer)
            paused = "SELECT pg_get_wal_replay_pause_state()"
            wait_until(lambda: psql(STANDBY, paused) == "paused", "the standby to pause its replay", 60)
            docker("kill", PRIMARY)
            taken = play(FAILOVER)
            assert taken.seconds < 120
            assert "had a greater max_connections, and its replay does not go on with less" in taken.text
            assert takes_writes(STANDBY)
            more(writer)
        docker("start", PRIMARY)
        shell(PRIMARY, "rm", "-f", OWN)
        play(FAILBACK)
        wait_until_streaming(PRIMARY)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    play("site.yml", "-e", "restart=true")
    nothing_needs_attention()
