"""HAProxy in front of a cluster: one address that follows the primary, and does without the control API.

The cluster's own inventory with one more host. No API is there, in any of these tests.
"""

from __future__ import annotations

import contextlib
import csv
import json
import select
import time
from collections.abc import Iterator

import psycopg
import pytest
import yaml
from clients import Newcomers, Writer, dsn, more, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    FIRST_PORT,
    INVENTORY,
    NETWORK,
    PORTS,
    PRIMARY,
    REJOIN,
    STANDBY,
    STATUS,
    docker,
    gone,
    killed_play,
    missing,
    play,
    psql,
    rows_of,
    running,
    shell,
    wait_until,
)
from psycopg.conninfo import make_conninfo
from rotation import ROTATE, keys, only_the_new_are_taken, passwords, rotate

pytestmark = pytest.mark.long

PROXY = f"{NETWORK}_proxy"
READ_WRITE, READ_ONLY = FIRST_PORT + 8, FIRST_PORT + 9
WITH_PROXY = INVENTORY.with_name("proxy_inventory.yml")
WITH_THIRD = INVENTORY.with_name("proxy_third_inventory.yml")
ADD, REMOVE = "playbooks/add_node.yml", "playbooks/remove_node.yml"
THIRD = f"{NETWORK}_third"
#: Other than the defaults. The service manager of the node is wrong on purpose: that of the role wins.
PROXY_VARIABLES = {
    "node_published_port": READ_WRITE,
    "node_published_read_only_port": READ_ONLY,
    "node_service_manager": "systemd",
    "haproxy_service_manager": "runit",
    "haproxy_port": 6000,
    "haproxy_read_only_port": 6001,
    "haproxy_listen": "0.0.0.0",
}
STANDBY_ROLE = "SELECT pg_is_in_recovery()"
#: What a client through the proxy may be without the primary for longer than a client that names all nodes. The
#: proxy looks at a standby twice per second.
SLOWER = 1.5


def through(port: int = READ_WRITE) -> str:
    """The DSN of a client that knows the proxy only, and verifies the server's certificate as before."""
    return make_conninfo(dsn(), host="127.0.0.1", port=str(port), target_session_attrs="any")


class ThroughProxy(Writer):
    """The client that inserts numbers, through the proxy."""

    def where(self) -> str:
        return through()


@pytest.fixture(scope="module")
def inventory_with_proxy(provisioned: None) -> Iterator[None]:
    hosts = yaml.safe_load(INVENTORY.read_text())
    hosts["all"]["children"]["haproxy"] = {"hosts": {PROXY: PROXY_VARIABLES}}
    WITH_PROXY.write_text(yaml.safe_dump(hosts))
    gone(PROXY)
    yield
    gone(PROXY)
    WITH_PROXY.unlink()
    play("site.yml")


@pytest.fixture
def proxied(unharmed: bool, inventory_with_proxy: None) -> None:
    """After a test that failed both are new: a HAProxy of before knows another authority, and gets nowhere."""
    if unharmed:
        gone(PROXY)
    if not docker("ps", "--quiet", "--filter", f"name=^{PROXY}$").strip():
        play("site.yml", inventory=WITH_PROXY)


@pytest.fixture(autouse=True)
def usable(proxied: None) -> None:
    both_answer()


def both_answer() -> None:
    wait_until(lambda: role(READ_WRITE) == "primary" and role(READ_ONLY) == "standby", "both ports to answer", 30)


def role(port: int) -> str:
    """Who answers at a port of the proxy: ``primary``, ``standby``, or nobody."""
    try:
        with psycopg.connect(through(port), autocommit=True) as connection:
            return "standby" if connection.execute(STANDBY_ROLE).fetchone() == (True,) else "primary"
    except psycopg.OperationalError:
        return ""


ASK_HAPROXY = """
import socket
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect("/run/relevo-haproxy.sock")
    asked.sendall(b"show stat" + bytes([10]))
    print(b"".join(iter(lambda: asked.recv(65536), b"")).decode())
"""


def states(backend: str) -> dict[str, str]:
    """What HAProxy thinks of each server of a backend."""
    rows = csv.DictReader(shell(PROXY, "python3", "-c", ASK_HAPROXY).lstrip("# ").splitlines())
    found = {row["svname"]: row["status"] for row in rows if row["pxname"] == backend}
    return {name: found[name] for name in PORTS}


def has_ended(session: psycopg.Connection) -> bool:
    try:
        session.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def test_a_second_run_changes_nothing_and_the_servers_log_no_check() -> None:
    again = play("site.yml", inventory=WITH_PROXY)
    assert again.changed == 0, again.output
    assert f"127.0.0.1:{READ_WRITE}/imdb" in again.output
    assert f"127.0.0.1:{READ_ONLY}/imdb" in again.output
    assert play("site.yml", "--check", inventory=WITH_PROXY).changed == 0
    log = shell(PRIMARY, "sh", "-c", "cat /var/lib/postgresql/log/*.log")
    assert "relevo_check" not in log
    # Each port looks at each server every second or two: a way to end the checks that servers complain of would fill
    # the log. On a busy machine one may be too late.
    assert log.count("Connection reset by peer") < 10


def test_nobody_else_logs_in_as_the_role_of_the_checks() -> None:
    with pytest.raises(psycopg.OperationalError, match="pg_hba.conf|certificate"):
        psycopg.connect(make_conninfo(through(), user="relevo_check", dbname="postgres"))


def test_it_follows_a_hand_over_there_and_back() -> None:
    """No acknowledged row is lost; the outage through the proxy is measured beside that of a client that names all."""
    with Writer() as direct, ThroughProxy(series=1) as proxied:
        for playbook in (FAILOVER, FAILBACK):
            more(direct)
            more(proxied)
            old = psycopg.connect(through())
            # Idle in a transaction.
            old.execute("SELECT 1")
            direct.longest_outage = proxied.longest_outage = 0
            play(playbook, inventory=WITH_PROXY)
            more(direct)
            more(proxied)
            assert has_ended(old)
            print(f"{playbook}: {direct.longest_outage:.3f} s direct, {proxied.longest_outage:.3f} s through HAProxy")
            assert proxied.longest_outage < direct.longest_outage + SLOWER
            wait_until(lambda: role(READ_ONLY) == "standby", "the port of the standbys to follow", 30)
    for client in (direct, proxied):
        assert client.trouble == ""
        assert not missing(rows_of(PRIMARY), client.acknowledged)


def test_it_follows_an_emergency() -> None:
    with ThroughProxy(series=1) as client:
        more(client)
        docker("kill", PRIMARY)
        play(FAILOVER, inventory=WITH_PROXY)
        acknowledged = more(client)
        assert role(READ_WRITE) == "primary"
        # Readers need not wait for a standby.
        assert role(READ_ONLY) == "primary"
        print(f"emergency: {client.longest_outage:.3f} s through HAProxy, from the kill to the first write")
    assert not missing(rows_of(STANDBY), acknowledged)
    play(REJOIN, inventory=WITH_PROXY)
    wait_until(lambda: role(READ_ONLY) == "standby", "the port of the standbys to follow", 30)
    play(FAILBACK, inventory=WITH_PROXY)


def test_it_ends_the_sessions_of_a_primary_that_hangs() -> None:
    """The server that is paused closes nothing by itself."""
    session = psycopg.connect(through())
    session.execute("SELECT 1")
    docker("pause", PRIMARY)
    started = time.monotonic()
    assert has_ended(session)
    seconds = time.monotonic() - started
    docker("unpause", PRIMARY)
    print(f"the session of a paused primary ended after {seconds:.1f} s")
    assert seconds < 10
    wait_until(lambda: role(READ_WRITE) == "primary", "the primary to be used again", 30)


def test_an_idle_session_of_before_a_reload_ends_when_its_server_is_gone() -> None:
    """The worker that has it makes no checks any more, and nobody sends it the end of the connection."""
    session = psycopg.connect(through(), autocommit=True)
    [before] = session.execute("SELECT pg_backend_pid()").fetchone() or [0]
    play("site.yml", "-e", "haproxy_max_connections=300", inventory=WITH_PROXY)
    assert session.execute("SELECT pg_backend_pid()").fetchone() == (before,)
    docker("network", "disconnect", NETWORK, PRIMARY)
    try:
        started = time.monotonic()
        # The client itself says nothing meanwhile: what it sends would be sent again and again.
        [readable, _, _] = select.select([session.fileno()], [], [], 60)
        seconds = time.monotonic() - started
        assert readable, f"the session is still there after {seconds:.0f} s"
        assert has_ended(session)
    finally:
        docker("network", "connect", NETWORK, PRIMARY)
    print(f"the session of a server that is gone ended after {seconds:.1f} s")
    both_answer()
    wait_until_streaming(PRIMARY)
    assert play("site.yml", inventory=WITH_PROXY).changed > 0


def test_two_that_say_they_are_primary_get_no_session() -> None:
    """Two servers of HAProxy's that are both the primary: nothing tells it which one is right."""
    twice = shell(PROXY, "cat", "/etc/relevo/haproxy.cfg").replace(
        f"{STANDBY}:5432 verifyhost {STANDBY}", f"{PRIMARY}:5432 verifyhost {PRIMARY}"
    )
    shell(PROXY, "sh", "-c", "cat >/etc/relevo/haproxy.cfg", stdin=twice)
    shell(PROXY, "sv", "2", "/etc/service/haproxy")
    wait_until(lambda: list(states("main_primary").values()) == ["UP", "UP"], "both to be up", 20)
    assert [role(READ_WRITE), role(READ_ONLY)] == ["", ""]
    assert play("site.yml", inventory=WITH_PROXY).changed > 0


@pytest.fixture
def third(proxied: None) -> Iterator[None]:
    """The inventory with one host more, which is not there yet."""
    hosts = yaml.safe_load(WITH_PROXY.read_text())
    hosts["all"]["children"]["postgres"]["hosts"][THIRD] = {"node_published_port": FIRST_PORT + 47}
    WITH_THIRD.write_text(yaml.safe_dump(hosts))
    yield
    gone(THIRD)
    WITH_THIRD.unlink()


def test_a_node_whose_addition_was_cut_off_is_made_known_and_takes_over(third: None) -> None:
    """Killed after it streamed: run again, the same command tells HAProxy, and clients get to it as the primary."""
    named = ("-e", f"node={THIRD}")
    lacks = f"HAProxy on {PROXY} does not know {THIRD}"
    killed_play(ADD, "Let the server read its configuration", *named, inventory=WITH_THIRD)
    # The rest is what a second run has left to do, and is cut off, too.
    killed_play(ADD, "Run HAProxy in front of its clusters", *named, inventory=WITH_THIRD)
    assert THIRD not in shell(PROXY, "cat", "/etc/relevo/haproxy.cfg")
    assert lacks in play(STATUS, inventory=WITH_THIRD).text
    with ThroughProxy(series=1) as client:
        more(client)
        again = play(ADD, *named, inventory=WITH_THIRD)
        assert f"{THIRD} is part of it already, and follows {PRIMARY}." in again.text
        assert again.changed > 0
        assert f"server {THIRD} " in shell(PROXY, "cat", "/etc/relevo/haproxy.cfg")
        assert play(ADD, *named, inventory=WITH_THIRD).changed == 0
        assert lacks not in play(STATUS, inventory=WITH_THIRD).text
        play(FAILOVER, "-e", f"candidate={THIRD}", inventory=WITH_THIRD)
        seen = list(more(client))
        assert role(READ_WRITE) == "primary"
        assert not missing(rows_of(THIRD), seen)
        # As the primary it is part of it, too.
        assert play(ADD, *named, inventory=WITH_THIRD).changed == 0
        play(FAILBACK, inventory=WITH_THIRD)
        more(client)
    assert client.trouble == ""
    assert not missing(rows_of(PRIMARY), client.acknowledged)
    play(REMOVE, *named, "-e", f"confirm={THIRD}", "-e", "remove_data=true", inventory=WITH_THIRD)
    assert THIRD not in shell(PROXY, "cat", "/etc/relevo/haproxy.cfg")


def test_a_node_that_is_removed_leaves_it_too(third: None) -> None:
    """Killed when its server is down for good, and again when only HAProxy has it still: the session goes on."""
    named = ("-e", f"node={THIRD}")
    answers = (*named, "-e", f"confirm={THIRD}")
    server, config = f"server {THIRD} ", ("cat", "/etc/relevo/haproxy.cfg")
    play(ADD, *named, inventory=WITH_THIRD)
    assert server in shell(PROXY, *config)
    with ThroughProxy(series=1) as client:
        more(client)
        killed_play(REMOVE, "Drop its slots", *answers, inventory=WITH_THIRD)
        assert not running(THIRD)
        assert server in shell(PROXY, *config)
        # A node that is down is in nobody's way there.
        both_answer()
        more(client)
        killed_play(REMOVE, "Run HAProxy in front of its clusters", *answers, inventory=WITH_THIRD)
        assert psql(PRIMARY, "SELECT count(*) FROM pg_replication_slots") == "1"
        assert server in shell(PROXY, *config)
        said = play(REMOVE, *answers, inventory=WITH_THIRD)
        assert said.changed > 0
        assert f"{THIRD} is removed from main." in said.text
        assert THIRD not in shell(PROXY, *config)
        assert play(REMOVE, *answers, inventory=WITH_THIRD).changed == 0
        more(client)
        both_answer()
    assert client.trouble == client.last_error == ""
    assert not missing(rows_of(PRIMARY), client.acknowledged)
    # The pair is what the inventory without it says.
    assert play("site.yml", inventory=WITH_PROXY).changed == 0


def test_it_is_killed_and_loses_nothing() -> None:
    with ThroughProxy(series=1) as client:
        more(client)
        docker("kill", PROXY)
        assert not running(PROXY)
        # Nothing of ours needs it.
        play(STATUS, inventory=WITH_PROXY)
        play("site.yml", inventory=WITH_PROXY)
        acknowledged = more(client)
    assert not missing(rows_of(PRIMARY), acknowledged)


def test_a_new_configuration_ends_no_session() -> None:
    session = psycopg.connect(through(), autocommit=True)
    [before] = session.execute("SELECT pg_backend_pid()").fetchone() or [0]
    play("site.yml", "-e", "haproxy_max_connections=300", "-e", "haproxy_check_interval=600", inventory=WITH_PROXY)
    written = shell(PROXY, "cat", "/etc/relevo/haproxy.cfg")
    for text in (
        "maxconn 300",
        "inter 600ms fastinter 60ms downinter 300ms",
        "bind 0.0.0.0:6000",
        "bind 0.0.0.0:6001",
    ):
        assert text in written
    assert session.execute("SELECT pg_backend_pid()").fetchone() == (before,)
    wait_until(lambda: role(READ_WRITE) == "primary", "new sessions", 10)
    play("site.yml", inventory=WITH_PROXY)
    assert session.execute("SELECT pg_backend_pid()").fetchone() == (before,)


class NewcomersThroughProxy(Newcomers):
    """Each is a session that nobody may be refused."""

    def where(self) -> list[str]:
        return [through()]


def test_passwords_and_certificates_are_replaced_behind_it() -> None:
    """The session of before goes on through HAProxy's worker of before, also past a rotation that was cut off."""
    before, old = keys(PROXY, PRIMARY, STANDBY), passwords()
    with NewcomersThroughProxy(pause=0.05) as newcomers, ThroughProxy(series=1) as client:
        more(client)
        killed_play(ROTATE, "Write the node's key pair and passwords", *rotate("passwords"), inventory=WITH_PROXY)
        more(client)
        play(ROTATE, *rotate("passwords"), inventory=WITH_PROXY)
        more(client)
        # The proxy's new certificate is there, and its worker has the old one.
        killed_play(ROTATE, "Let HAProxy read it: certificates", *rotate("certificates"), inventory=WITH_PROXY)
        more(client)
        play(ROTATE, *rotate("certificates"), inventory=WITH_PROXY)
        acknowledged = more(client)
    print(f"{newcomers.connected} sessions, the longest pause between two rows was {client.longest_outage:.2f} s")
    assert (newcomers.trouble, newcomers.refused) == ("", [])
    assert newcomers.connected > 50
    assert client.trouble == client.last_error == ""
    assert client.longest_outage < 5
    assert not missing(rows_of(PRIMARY), acknowledged)
    only_the_new_are_taken(old)
    assert not before & keys(PROXY, PRIMARY, STANDBY)
    # Its checks log in with the new one.
    found = states("main_primary")
    assert found[PRIMARY] == "UP"
    assert found[STANDBY] != "UP"
    assert play("site.yml", inventory=WITH_PROXY).changed == 0


def test_another_authority_refuses_nobody_at_the_proxy() -> None:
    """Three reloads: each new worker is told which server is up, and does not take the standby for a second primary."""
    before = shell(PROXY, "cat", "/etc/relevo/tls/node.crt", "/etc/relevo/tls/ca.crt")
    with NewcomersThroughProxy(pause=0.01) as newcomers, ThroughProxy(series=1) as client:
        more(client)
        done = play(ROTATE, "-e", "rotate=authority", "-e", "confirm=main", inventory=WITH_PROXY).text
        acknowledged = more(client)
    print(f"{newcomers.connected} sessions, the longest pause between two rows was {client.longest_outage:.2f} s")
    assert (newcomers.trouble, newcomers.refused) == ("", [])
    assert newcomers.connected > 50
    assert f"{PROXY} trusts the new authority beside the old one, then gets a new key and certificate" in done
    assert shell(PROXY, "cat", "/etc/relevo/tls/node.crt", "/etc/relevo/tls/ca.crt") != before
    assert shell(PROXY, "cat", "/etc/relevo/haproxy.servers") == "1\n"
    assert not missing(rows_of(PRIMARY), acknowledged)
    assert play("site.yml", inventory=WITH_PROXY).changed == 0


LEFT = "/etc/relevo/haproxy.servers"
STALE = "1\n# be_id be_name srv_id srv_name\n"


def test_what_a_killed_reload_has_left_is_told_to_nobody() -> None:
    """Which servers were up once. A restart of the service, and the next run, forget it."""
    shell(PROXY, "sh", "-c", f"cat > {LEFT}", stdin=STALE)
    assert play("site.yml", inventory=WITH_PROXY).changed == 0
    assert shell(PROXY, "cat", LEFT) == "1\n"
    shell(PROXY, "sh", "-c", f"cat > {LEFT}", stdin=STALE)
    shell(PROXY, "sv", "restart", "/etc/service/haproxy")
    wait_until(lambda: shell(PROXY, "cat", LEFT) == "1\n", "the file to be reset", 10)
    assert shell(PROXY, "stat", "-c", "%a %U", LEFT) == "600 root\n"


def test_a_new_configuration_that_is_not_at_work_is_named() -> None:
    """Another process has the new port: the old worker goes on, which the master says to nobody."""
    session = psycopg.connect(through(), autocommit=True)
    taken = (
        "import os, socket, time\nheld = socket.socket()\nheld.bind(('', 6002))\nheld.listen()\n"
        "open('/run/held', 'w').write(str(os.getpid()))\ntime.sleep(600)"
    )
    docker("exec", "-d", PROXY, "python3", "-c", taken)
    wait_until(lambda: shell(PROXY, "ls", "/run").split().count("held") > 0, "the port to be taken", 10)
    said = play(
        "site.yml",
        *("-e", "haproxy_read_only_port=6002", "-e", "haproxy_ready_timeout=5"),
        inventory=WITH_PROXY,
        expect=2,
    ).text
    assert "Timed out after 5 s waiting for HAProxy to work with what was written for it." in said
    assert session.execute(STANDBY_ROLE).fetchone() == (False,)
    assert "HAProxy on" in play(STATUS, inventory=WITH_PROXY).text
    # Back to the port of before: that it was cut off in between is no matter.
    assert play("site.yml", inventory=WITH_PROXY).changed > 0
    assert play("site.yml", inventory=WITH_PROXY).changed == 0
    assert session.execute(STANDBY_ROLE).fetchone() == (False,)
    shell(PROXY, "sh", "-c", "kill $(cat /run/held) && rm /run/held")


def test_status_tells_of_the_proxy() -> None:
    [told] = json.loads(_object(play(STATUS, "-e", "format=json", inventory=WITH_PROXY).output))["proxies"]
    assert (told["name"], told["running"], told["reload_owed"]) == (PROXY, True, False)
    assert told["certificate_days"] > 300
    found = play("playbooks/catalog_check.yml", "-e", "format=prometheus", inventory=WITH_PROXY, expect=None).output
    assert f'node="{PROXY}"' in found


def _object(output: str) -> str:
    lines = output.splitlines()
    return "\n".join(lines[lines.index("{") : lines.index("}") + 1])


def test_too_many_connections_end_no_session() -> None:
    """A server without a free connection refuses the check, too: nobody loses a session for that."""
    held = psycopg.connect(through(), autocommit=True)
    port = PORTS[PRIMARY]
    crowd: list[psycopg.Connection] = []
    with contextlib.suppress(psycopg.OperationalError):
        while len(crowd) < 1000:
            crowd.append(psycopg.connect(make_conninfo(dsn(), host="127.0.0.1", port=str(port))))
    assert 50 < len(crowd) < 1000
    watched = time.monotonic() + 4
    while time.monotonic() < watched:
        # A check may get one of the reserved connections.
        found = states("main_primary")
        assert found[PRIMARY] in ("UP", "NOLB")
        assert found[STANDBY] != "UP"
    assert held.execute(STANDBY_ROLE).fetchone() == (False,)
    for one in crowd:
        one.close()
    wait_until(lambda: role(READ_WRITE) == "primary", "new sessions", 10)
    assert held.execute(STANDBY_ROLE).fetchone() == (False,)


def test_what_takes_no_connections_is_named() -> None:
    shell(PROXY, "sv", "-w", "20", "down", "/etc/service/haproxy")
    said = play("site.yml", "-e", "haproxy_ready_timeout=2", inventory=WITH_PROXY, expect=2).text
    assert f"HAProxy on {PROXY} takes no connections on port 6000 after 2 s." in said
    shell(PROXY, "sv", "up", "/etc/service/haproxy")
