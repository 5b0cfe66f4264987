"""Nodes that know one another by addresses of IPv6 only: servers, pgBackRest, Redis, and a change of roles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster import FAILBACK, FAILOVER, FIRST_PORT, NETWORK, docker, inventory, play, psql, shell

SIX = f"{NETWORK}6"
PRIMARY, STANDBY, REPOSITORY, REDIS = (f"{SIX}_{name}" for name in ("primary", "standby", "pgbackrest", "redis"))


def address_of(node: str) -> str:
    found = json.loads(docker("inspect", node))[0]["NetworkSettings"]["Networks"][SIX]["GlobalIPv6Address"]
    assert ":" in found, f"the network {SIX} gives {node} no address of IPv6"
    return str(found)


@pytest.fixture(scope="module")
def six() -> Iterator[Path]:
    """The cluster, first known by its names, since the engine gives the addresses."""
    path = inventory(SIX, FIRST_PORT + 30)
    play("playbooks/down.yml", "-e", "down_data=true", inventory=path)
    docker("network", "create", "--ipv6", "--subnet", "fd00:7e1e:40::/64", "--label", "relevo.managed=true", SIX)
    play("site.yml", inventory=path)
    known = yaml.safe_load(path.read_text())
    for group in known["all"]["children"].values():
        for name, host in list(group["hosts"].items()):
            group["hosts"][name] = {**(host or {}), "node_address": address_of(name)}
    path.write_text(yaml.safe_dump(known))
    yield path
    play("playbooks/down.yml", "-e", "down_data=true", inventory=path)


@pytest.mark.long
def test_addresses_of_ipv6_do_for_everything(six: Path) -> None:
    # The TLS servers still listen where they did.
    assert "needs a restart of its service pgbackrest" in play("site.yml", inventory=six, expect=2).text
    for node in (PRIMARY, STANDBY, REPOSITORY):
        shell(node, "sv", "-w", "30", "restart", "/etc/service/pgbackrest")
    play("site.yml", inventory=six)
    assert play("site.yml", inventory=six).changed == 0
    conninfo = "SELECT conninfo FROM pg_stat_wal_receiver"
    play(FAILOVER, inventory=six)
    assert f"host={address_of(STANDBY)} " in psql(PRIMARY, conninfo)
    play(FAILBACK, inventory=six)
    assert f"host={address_of(PRIMARY)} " in psql(STANDBY, conninfo)
    # pgBackRest between all hosts, and the records in Redis.
    assert f"repo1-host={address_of(REPOSITORY)}" in shell(PRIMARY, "cat", "/etc/pgbackrest/pgbackrest.conf")
    play("backup.yml", "-e", "day=1", inventory=six)
    listed = play("playbooks/catalog.yml", "-e", "catalog_language=en", inventory=six).text
    assert "BACKUPS RECORDED IN REDIS" in listed
    assert "not recorded" not in listed
    assert "Nothing needs attention." in play("playbooks/status.yml", inventory=six).text
    # A primary that dies.
    docker("kill", PRIMARY)
    play(FAILOVER, inventory=six)
    play("playbooks/rejoin.yml", inventory=six)
    assert f"host={address_of(STANDBY)} " in psql(PRIMARY, conninfo)
