"""Three standbys on machines: blank ones are added, the others follow each primary without a copy, two leave again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import yaml
from clients import Writer, dsn, more, role_inside, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    INVENTORY,
    NETWORK,
    PGDATA,
    PORTS,
    PRIMARY,
    REJOIN,
    REPOSITORY,
    STANDBY,
    STATUS,
    Play,
    docker,
    killed_play,
    missing,
    play,
    psql,
    rows_of,
    shell,
    wait_until,
)
from machines import BINARY, FURTHER_PORT, UNIT, away, further, kill_server, systemctl, unit_state
from psycopg.conninfo import make_conninfo

pytestmark = pytest.mark.long

ADD, REMOVE = "playbooks/add_node.yml", "playbooks/remove_node.yml"
THIRD, FOURTH = f"{NETWORK}_third", f"{NETWORK}_fourth"
MANY = INVENTORY.with_name("many_hosts.yml")
STARTED = "SELECT pg_postmaster_start_time()"


@pytest.fixture(scope="module", autouse=True)
def removed(provisioned: None) -> Iterator[None]:
    yield
    away(THIRD, FOURTH)
    MANY.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def many(unharmed: bool, removed: None) -> None:
    """Two machines more. The first test needs them, and one that comes after a failure: new machines are the three."""
    if {THIRD, FOURTH} <= set(docker("ps", "--format", "{{.Names}}").split()):
        return
    hosts = yaml.safe_load(INVENTORY.read_text())
    hosts["all"]["children"]["nodes"]["children"]["postgres"]["hosts"] |= further(THIRD, FOURTH)
    MANY.write_text(yaml.safe_dump(hosts))
    before = started(PRIMARY, STANDBY)
    for name in (THIRD, FOURTH):
        node(ADD, name)
        streams(PRIMARY, name)
    assert started(PRIMARY, STANDBY) == before
    assert play("site.yml", inventory=MANY).changed == 0


class Client(Writer):
    """A client outside that knows all four."""

    def where(self) -> str:
        ports = (*PORTS.values(), FURTHER_PORT, FURTHER_PORT + 1)
        return make_conninfo(dsn(), host=",".join(["127.0.0.1"] * len(ports)), port=",".join(map(str, ports)))


def node(playbook: str, name: str, *arguments: str) -> Play:
    named = [f"node={name}", *arguments]
    return play(playbook, *(part for one in named for part in ("-e", one)), inventory=MANY)


def started(*nodes: str) -> dict[str, str]:
    return {name: psql(name, STARTED) for name in nodes}


def mark(*nodes: str) -> dict[str, str]:
    """Leave a file in their data that no copy would leave there; returns when their servers were started."""
    for name in nodes:
        shell(name, "touch", f"{PGDATA}/not_copied", user="postgres")
    return started(*nodes)


def went_on(before: dict[str, str]) -> None:
    """Their servers were neither copied nor restarted since ``mark``."""
    for name in before:
        shell(name, "test", "-f", f"{PGDATA}/not_copied")
    assert started(*before) == before


def _streams(primary: str, standby: str) -> bool:
    asked = f"SELECT count(*) FROM pg_stat_replication WHERE application_name = '{standby}' AND state = 'streaming'"
    return psql(primary, asked) == "1"


def streams(primary: str, *standbys: str) -> None:
    for standby in standbys:
        wait_until(partial(_streams, primary, standby), f"{standby} to stream from {primary}", 60)


def _has(standby: str, row: int) -> bool:
    return psql(standby, f"SELECT count(*) FROM trial WHERE id = {row}") == "1"


def have_all(client: Writer, *nodes: str) -> None:
    for name in nodes:
        wait_until(partial(_has, name, client.acknowledged[-1]), f"{name} to have the last row", 60)
        assert missing(rows_of(name), client.acknowledged) == []


def test_the_others_follow_a_hand_over_as_they_are() -> None:
    before = mark(STANDBY, FOURTH)
    with Client() as client:
        more(client)
        said = play(FAILOVER, "-e", f"candidate={THIRD}", inventory=MANY).text
        assert f"{STANDBY} follows {THIRD} (follow)." in said
        assert f"{FOURTH} follows {THIRD} (follow)." in said
        assert role_inside(THIRD) == "primary"
        more(client)
        streams(THIRD, PRIMARY, STANDBY, FOURTH)
        assert "3 streaming" in play(STATUS, inventory=MANY).text
        play(FAILBACK, inventory=MANY)
        assert role_inside(PRIMARY) == "primary"
        more(client)
    went_on(before)
    streams(PRIMARY, STANDBY, THIRD, FOURTH)
    assert client.trouble == ""
    have_all(client, PRIMARY, STANDBY, THIRD, FOURTH)


def test_an_emergency_with_one_server_stopped_and_one_delayed() -> None:
    """The primary's server cannot be started, of the standbys one is down, and one replays an hour late on purpose."""
    psql(FOURTH, "ALTER SYSTEM SET recovery_min_apply_delay = '1h'")
    psql(FOURTH, "SELECT pg_reload_conf()")
    before = mark(FOURTH)
    with Client() as client:
        more(client)
        systemctl(STANDBY, "stop", UNIT)
        more(client)
        shell(PRIMARY, "mv", BINARY, f"{BINARY}.away")
        kill_server()
        done = play(FAILOVER, inventory=MANY).text
        assert f"Promote {THIRD}." in done
        assert f"{PRIMARY} is fenced" in done
        assert f"{FOURTH} follows {THIRD} (follow) at its own pace: it replays with a delay" in done
        assert role_inside(THIRD) == "primary"
        seen = more(client)
        assert missing(rows_of(THIRD), seen) == []
        went_on(before)

        shell(PRIMARY, "mv", f"{BINARY}.away", BINARY)
        play(REJOIN, inventory=MANY)
        psql(FOURTH, "ALTER SYSTEM RESET recovery_min_apply_delay")
        psql(FOURTH, "SELECT pg_reload_conf()")
        streams(THIRD, PRIMARY, STANDBY, FOURTH)
        play(FAILBACK, inventory=MANY)
        more(client)
    went_on(before)
    streams(PRIMARY, STANDBY, THIRD, FOURTH)
    assert client.trouble == ""
    have_all(client, PRIMARY, STANDBY, THIRD, FOURTH)
    assert play("site.yml", inventory=MANY).changed == 0


def test_two_leave_and_the_pair_goes_on() -> None:
    before = started(PRIMARY, STANDBY)
    answers = ("-e", f"node={FOURTH}", "-e", f"confirm={FOURTH}")
    with Client() as client:
        more(client)
        killed_play(REMOVE, "Drop its slots", *answers, inventory=MANY)
        assert unit_state(FOURTH) == "inactive"
        assert node(REMOVE, FOURTH, f"confirm={FOURTH}").changed > 0
        # As the playbook says: what is in the inventory is written into the repository host's files by each run.
        hosts = yaml.safe_load(MANY.read_text())
        del hosts["all"]["children"]["nodes"]["children"]["postgres"]["hosts"][FOURTH]
        MANY.write_text(yaml.safe_dump(hosts))
        node(REMOVE, THIRD, f"confirm={THIRD}", "remove_data=true")
        more(client)
    assert client.trouble == client.last_error == ""
    assert psql(PRIMARY, "SELECT count(*) FROM pg_replication_slots") == "1"
    for name in (THIRD, FOURTH):
        assert name not in shell(REPOSITORY, "cat", "/etc/pgbackrest/pgbackrest.conf")
        for peer in (PRIMARY, STANDBY):
            assert name not in shell(peer, "cat", "/etc/relevo/guard.json")
    shell(THIRD, "test", "!", "-e", "/etc/relevo")
    wait_until_streaming(PRIMARY)
    have_all(client, PRIMARY, STANDBY)
    assert started(PRIMARY, STANDBY) == before
    assert play("site.yml").changed == 0
