"""Variables that say how long something is waited for, or when: each with what makes the wait last."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from cluster import docker, shell, wait_until
from nondefault import PRIMARY, REDIS, REPOSITORY, STANDBY, backups, given, ran, sql

PLAN = ("backup.yml", "-e", "plan=json")


def service(node: str, command: str, name: str) -> None:
    shell(node, "sv", "-w", "30", command, f"/etc/service/{name}")


@contextmanager
def stopped(node: str, name: str) -> Iterator[None]:
    """A service of a node that is down, and that nothing starts."""
    service(node, "down", name)
    try:
        yield
    finally:
        service(node, "up", name)


@contextmanager
def still(node: str, pattern: str) -> Iterator[None]:
    """The processes of a node that have this in their command line stand still."""
    shell(node, "pkill", "--signal", "STOP", "-f", pattern)
    try:
        yield
    finally:
        shell(node, "pkill", "--signal", "CONT", "-f", pattern)


@contextmanager
def clock_of(node: str, ahead: int) -> Iterator[None]:
    """A node whose local time is so many seconds ahead of UTC."""
    sign, (hours, rest) = "-" if ahead < 0 else "", divmod(abs(ahead), 3600)
    zone = f"Zone Test {sign}{hours}:{rest // 60:02}:{rest % 60:02} - TST"
    shell(node, "sh", "-c", "cat > /tmp/zone && zic -d /tmp/zones /tmp/zone", stdin=zone + "\n")
    shell(node, "ln", "-sf", "/tmp/zones/Test", "/etc/localtime")
    try:
        yield
    finally:
        shell(node, "ln", "-sf", "/usr/share/zoneinfo/Etc/UTC", "/etc/localtime")


@pytest.mark.variables("backup_cycle_rest_hours")
def test_a_day_of_the_cycle_rests_over_midnight() -> None:
    ran("backup.yml", "-e", "day=1")
    # Midnight on the repository host comes right after this backup: the next run is on another date.
    ended = datetime.fromtimestamp(int(backups()[-1]["timestamp"]["stop"]) + 1, UTC)
    since_midnight = ended.hour * 3600 + ended.minute * 60 + ended.second
    ahead = -since_midnight if since_midnight < 43200 else 86400 - since_midnight
    wait_until(lambda: datetime.now(UTC) > ended, "midnight", 5)
    with clock_of(REPOSITORY, ahead):
        usual = ran(*PLAN).output
        assert "h ago" in usual
        assert '"action": "none"' in usual
        assert '"action": "backup"' in ran(*PLAN, *given(backup_cycle_rest_hours=0.0001)).output


@pytest.mark.variables("cluster_topology_observer")
def test_another_host_asks_who_is_primary() -> None:
    known = shell(REPOSITORY, "cat", "/etc/hosts")
    shell(REPOSITORY, "sh", "-c", f"echo 127.0.0.9 {PRIMARY} >> /etc/hosts")
    try:
        assert "primary" in ran(*PLAN, expect=2).text
        assert '"action"' in ran(*PLAN, *given(cluster_topology_observer=STANDBY)).output
    finally:
        shell(REPOSITORY, "sh", "-c", "cat > /etc/hosts", stdin=known)


@pytest.mark.variables("cluster_topology_timeout")
def test_a_server_that_does_not_answer_is_not_waited_for_long() -> None:
    docker("pause", PRIMARY)
    try:
        said = ran(*PLAN, *given(cluster_topology_timeout=1.5), expect=2).text
    finally:
        docker("unpause", PRIMARY)
    assert "1.5 s" in said


@pytest.mark.variables("handover_timeout")
def test_a_hand_over_on_a_frozen_machine_is_left_after_a_while() -> None:
    with still(STANDBY, "postgres: walreceiver"):
        # More than a segment, without waiting for the standby.
        sql("SET synchronous_commit = local; CREATE TABLE behind AS SELECT generate_series(1, 800000) AS id")
        started = time.monotonic()
        said = ran("playbooks/failover.yml", *given(handover_timeout=3, handover_catch_up=20), expect=2)
        assert time.monotonic() - started < 60
        assert "Timed out after 3 second(s)" in said.text
        # What runs there ends by itself.
        wait_until(lambda: "pg_switchover" not in shell(PRIMARY, "ps", "-eo", "args"), "its work to end", 60)
    sql("DROP TABLE behind")
    assert sql("SELECT pg_is_in_recovery()") == "f"


@pytest.mark.variables("pgbackrest_check_timeout")
def test_wal_that_does_not_arrive() -> None:
    with still(PRIMARY, "postgres: archiver"):
        said = ran("site.yml", *given(pgbackrest_check_timeout=2), expect=2).text
    assert "2 s" in said
    assert "archive" in said


@pytest.mark.variables("pgbackrest_ready_timeout")
def test_a_tls_server_that_is_down() -> None:
    with stopped(STANDBY, "pgbackrest"):
        said = ran("site.yml", *given(pgbackrest_ready_timeout=2), expect=2).text
    assert f"pgBackRest's TLS server on {STANDBY} takes no connections on port 8555 after 2 s." in said


@pytest.mark.variables("redis_ready_timeout")
def test_a_redis_that_is_down() -> None:
    with stopped(REDIS, "redis"):
        said = ran("site.yml", *given(redis_ready_timeout=2), expect=2).text
    assert f"Redis on {REDIS} is not ready after 2 s." in said


@pytest.mark.variables("docker_nodes_adopt")
def test_a_container_of_somebody_else_is_taken_over_when_that_is_said() -> None:
    image = json.loads(docker("inspect", "-f", "{{json .Config.Image}}", REDIS))
    records = shell(REDIS, "sh", "-c", "ls -l /var/lib/redis/shop/*.rdb")
    docker("rm", "--force", REDIS)
    docker("create", "--name", REDIS, "--label", "relevo.managed=", image, "sleep", "infinity")
    said = ran("site.yml", expect=2).text
    assert f"Relevo did not make these on this Docker engine and will not touch them: container {REDIS}." in said
    ran("site.yml", *given(docker_nodes_adopt=True))
    assert docker("inspect", "-f", '{{index .Config.Labels "relevo.managed"}}', REDIS).strip() == "true"
    assert shell(REDIS, "sh", "-c", "ls -l /var/lib/redis/shop/*.rdb").split()[4] == records.split()[4]


@pytest.mark.variables("docker_nodes_build_timeout")
def test_an_engine_that_builds_silently() -> None:
    base, other = "relevo/base:trixie", "relevo/base:silent"
    # Another image, so that the engine can use no step that it has kept; its package sources never answer.
    silent = "printf '#!/bin/sh\\nsleep 60\\n' > /usr/bin/apt-get"
    docker("run", "--name", "relevo_vars_silent", base, "sh", "-c", silent)
    docker("commit", "relevo_vars_silent", other)
    docker("rm", "relevo_vars_silent")
    try:
        slow = given(docker_nodes_base_image=other, docker_nodes_build_timeout=2)
        said = ran("site.yml", *slow, expect=2).text
        assert "timed out" in said.lower()
    finally:
        docker("rmi", "--force", other)
    assert sql("SELECT 1") == "1"
