"""HAProxy on a machine: a unit of its own beside what Debian made, on a host that is also the repository."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from clients import NeverTwo, Writer, dsn, more, takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    INVENTORY,
    PRIMARY,
    REJOIN,
    REPOSITORY,
    SECRETS,
    STANDBY,
    missing,
    play,
    rows_of,
    shell,
    wait_until,
)
from machines import BINARY, PROXY_PORT, kill_server
from packages import offer, version
from psycopg.conninfo import make_conninfo

pytestmark = pytest.mark.long

UNIT = "relevo-haproxy"
UPGRADE = "playbooks/upgrade_minor.yml"
SINCE = ("systemctl", "show", "-p", "ActiveEnterTimestampMonotonic", "--value", UNIT)
WITH_PROXY = INVENTORY.with_name("proxy_hosts.yml")
READ_WRITE, READ_ONLY = 5000, 5001


@pytest.fixture(autouse=True)
def proxied() -> Iterator[None]:
    hosts = yaml.safe_load(INVENTORY.read_text())
    hosts["all"]["children"]["nodes"]["children"]["haproxy"] = {
        "hosts": {REPOSITORY: {"haproxy_service_manager": "systemd"}}
    }
    WITH_PROXY.write_text(yaml.safe_dump(hosts))
    play("site.yml", inventory=WITH_PROXY)
    yield
    shell(REPOSITORY, "systemctl", "disable", "--now", UNIT)
    WITH_PROXY.unlink()
    play("site.yml")


def role(port: int) -> str:
    """Who answers a client that verifies the name of the proxy: ``f`` for a primary, ``t`` for a standby."""
    password = (SECRETS / "user_imdb").read_text().strip()
    string = (
        f"host={REPOSITORY} port={port} user=imdb dbname=imdb sslmode=verify-full sslrootcert=/etc/relevo/tls/ca.crt"
    )
    asked = f"psql '{string}' -XAtc 'SELECT pg_is_in_recovery()' 2>&1"
    return shell(REPOSITORY, "env", f"PGPASSWORD={password}", "sh", "-c", f"{asked} | tail -n 1").strip()


def both_follow() -> None:
    wait_until(lambda: role(READ_WRITE) == "f", "the port of the primary to lead to it", 20)
    wait_until(lambda: role(READ_ONLY) == "t", "the port of the standbys to lead to one", 20)


def test_it_follows_and_is_there_after_a_restart() -> None:
    both_follow()
    assert play("site.yml", inventory=WITH_PROXY).changed == 0
    for playbook in (FAILOVER, FAILBACK):
        play(playbook, inventory=WITH_PROXY)
        both_follow()
    # What a reload that was killed has left is not told to the one that is started.
    left = "/etc/relevo/haproxy.servers"
    shell(REPOSITORY, "sh", "-c", f"cat > {left}", stdin="1\n# be_id be_name srv_id srv_name\n")
    shell(REPOSITORY, "systemctl", "kill", "--signal=KILL", UNIT)
    both_follow()
    assert shell(REPOSITORY, "cat", left) == "1\n"
    assert shell(REPOSITORY, "systemctl", "is-active", UNIT).strip() == "active"
    assert shell(REPOSITORY, "systemctl", "is-enabled", UNIT).strip() == "enabled"
    play("site.yml", "-e", "haproxy_max_connections=300", inventory=WITH_PROXY)
    both_follow()
    assert "maxconn 300" in shell(REPOSITORY, "cat", "/etc/relevo/haproxy.cfg")


class ThroughProxy(Writer):
    """The client outside that inserts numbers, through HAProxy."""

    def where(self) -> str:
        return make_conninfo(dsn(), host="127.0.0.1", port=str(PROXY_PORT), target_session_attrs="any")


def test_it_follows_an_emergency_of_a_server_that_cannot_come_back() -> None:
    """Killed, and its program is gone: systemd tries again and again on a machine that lives."""
    both_follow()
    with ThroughProxy() as client, NeverTwo():
        more(client)
        shell(PRIMARY, "mv", BINARY, f"{BINARY}.away")
        kill_server()
        said = play(FAILOVER, inventory=WITH_PROXY).text
        assert f"{PRIMARY} is fenced" in said
        assert takes_writes(STANDBY)
        acknowledged = more(client)
        print(f"{client.longest_outage:.3f} s through HAProxy, from the kill to the first write")
        assert role(READ_WRITE) == "f"
        # Readers need not wait for a standby.
        assert role(READ_ONLY) == "f"
        assert missing(rows_of(STANDBY), acknowledged) == []

        shell(PRIMARY, "mv", f"{BINARY}.away", BINARY)
        play(REJOIN, inventory=WITH_PROXY)
        both_follow()
        play(FAILBACK, inventory=WITH_PROXY)
        more(client)
    wait_until_streaming(PRIMARY)
    both_follow()
    assert client.trouble == ""
    assert missing(rows_of(PRIMARY), client.acknowledged) == []
    assert play("site.yml", inventory=WITH_PROXY).changed == 0


def test_its_new_program_is_taken_up_without_a_restart() -> None:
    """Beside the repository: the package is the last thing that a minor upgrade looks at."""
    before, started = version(REPOSITORY, "haproxy"), shell(REPOSITORY, *SINCE)
    offer("haproxy", "newer1", REPOSITORY)
    done = play(UPGRADE, "-e", "confirm=main", "-e", "upgrade_minor_lock_timeout=60", inventory=WITH_PROXY).text
    assert f"gets haproxy {before}+newer1 ({before} now), has HAProxy go on with its new program" in done
    assert version(REPOSITORY, "haproxy") == f"{before}+newer1"
    running = shell(REPOSITORY, "sh", "-c", f"readlink /proc/$(systemctl show -p MainPID --value {UNIT})/exe").strip()
    assert running == "/usr/sbin/haproxy"
    assert shell(REPOSITORY, *SINCE) == started
    both_follow()
    assert play(UPGRADE, "-e", "confirm=main", inventory=WITH_PROXY).changed == 0
    assert play("site.yml", inventory=WITH_PROXY).changed == 0


def test_a_new_certificate_is_taken_up_without_a_restart() -> None:
    """Beside the repository: the key is that of both, and HAProxy reads it before it becomes another user."""
    started, before = shell(REPOSITORY, *SINCE), shell(REPOSITORY, "cat", "/etc/relevo/tls/node.crt")
    play("playbooks/rotate.yml", "-e", "rotate=authority", "-e", "confirm=main", inventory=WITH_PROXY)
    assert shell(REPOSITORY, "cat", "/etc/relevo/tls/node.crt") != before
    assert shell(REPOSITORY, "cat", "/etc/relevo/haproxy.servers") == "1\n"
    both_follow()
    assert shell(REPOSITORY, *SINCE) == started
    assert play("site.yml", inventory=WITH_PROXY).changed == 0
