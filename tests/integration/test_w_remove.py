"""The removal of a cluster: beside another on the same repository host and behind the same HAProxy, and of the last
one; killed, and run again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
import yaml
from clients import ROLE, Writer, more
from cluster import (
    FIRST_PORT,
    NETWORK,
    STATUS,
    docker,
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
from two_clusters import TwoClusters

REMOVE, RESTORE = "playbooks/remove.yml", "playbooks/restore.yml"
PAIRS = TwoClusters(f"{NETWORK}_rm", FIRST_PORT + 40, proxied=True)
NAME, CLUSTERS, REPOSITORY, REDIS, PROXY = PAIRS.name, PAIRS.clusters, PAIRS.repository, PAIRS.redis, PAIRS.proxy
NORTH, SOUTH = CLUSTERS.values()
FOLDER = PAIRS.folder
INVENTORY = PAIRS.write_inventory()
BOTH = ("-e", "cluster=north,south", "-e", "down_data=true")


@pytest.fixture(scope="module", autouse=True)
def removed() -> Iterator[None]:
    play("playbooks/down.yml", *BOTH, inventory=INVENTORY)
    play("site.yml", inventory=INVENTORY)
    play("backup.yml", "-e", "day=1", inventory=INVENTORY)
    yield
    play("playbooks/down.yml", *BOTH, inventory=INVENTORY)


def remove(cluster: str, *arguments: str, expect: int = 0) -> str:
    named = ("-e", f"cluster={cluster}", *(part for one in arguments for part in ("-e", one)))
    return play(REMOVE, *named, inventory=INVENTORY, expect=expect).text


def of(kind: str, *names: str) -> list[str]:
    """The containers, volumes or networks of the engine whose names begin with one of these."""
    word = {"container": ["ps", "-a"], "volume": ["volume", "ls"], "network": ["network", "ls"]}[kind]
    column = "{{.Names}}" if kind == "container" else "{{.Name}}"
    return [name for name in docker(*word, "--format", column).split() if name.startswith(names)]


def keys(pattern: str) -> list[str]:
    password = (FOLDER / ".secrets" / "redis").read_text().strip()
    said = docker("exec", "-e", f"REDISCLI_AUTH={password}", REDIS, "redis-cli", "--raw", "keys", pattern)
    return said.split()


def stanzas() -> dict[str, int]:
    said = shell(REPOSITORY, "pgbackrest", "--output=json", "info", user="postgres")
    return {one["name"]: len(one["backup"]) for one in json.loads(said)}


def lives(node: str) -> str:
    return psql(node, "SELECT pg_postmaster_start_time()", "postgres")


def through(port: int) -> str:
    """A client through HAProxy, at the address that the engine gave it."""
    secrets = FOLDER / ".secrets"
    return make_conninfo(
        host=PROXY,
        hostaddr=docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", PROXY).strip(),
        port=str(port),
        user="imdb",
        password=(secrets / "user_imdb").read_text().strip(),
        dbname="imdb",
        connect_timeout="5",
        sslmode="verify-full",
        sslrootcert=str(secrets / "tls" / "ca.crt"),
    )


def led_to(port: int) -> str:
    """Whom HAProxy leads to at a port: ``primary``, ``standby``, or why to nobody."""
    try:
        with psycopg.connect(through(port), autocommit=True) as connection:
            return "standby" if connection.execute(ROLE).fetchone() == (True,) else "primary"
    except psycopg.OperationalError as error:
        return f"{error}"


class ThroughProxy(Writer):
    """The client that inserts numbers into south, through HAProxy."""

    def where(self) -> str:
        return through(PAIRS.proxy_ports["south"][0])


def leads() -> dict[str, list[str]]:
    return {cluster: [led_to(port) for port in ports] for cluster, ports in PAIRS.proxy_ports.items()}


@pytest.fixture
def of_south() -> Iterator[Writer]:
    """One session from the beginning to the end."""
    wait_until(lambda: leads() == {name: ["primary", "standby"] for name in CLUSTERS}, "HAProxy to lead to both", 30)
    with ThroughProxy() as client:
        more(client)
        yield client
        more(client)
    print(f"{len(client.acknowledged)} rows, the longest pause between two was {client.longest_outage:.2f} s")
    assert client.trouble == client.last_error == ""
    assert not missing(rows_of(SOUTH[0]), client.acknowledged)


@pytest.mark.long
def test_a_cluster_goes_and_the_other_notices_nothing(of_south: Writer) -> None:
    assert stanzas() == {"north": 1, "south": 1}
    before = {node: lives(node) for node in (*NORTH, *SOUTH)}
    refused = play(REMOVE, inventory=INVENTORY, expect=2).text
    assert "The inventory has north, south" in refused
    assert "north has 1 backup, the newest" in remove("north", "confirm=north", expect=2)
    assert "Confirm it with -e confirm=north." in remove("north", "remove_backups=delete", expect=2)
    shown = remove("north", "remove_backups=delete", "plan=text")
    assert f"{REPOSITORY} stays, since south needs it." in shown
    docker("pause", REPOSITORY)
    assert "nobody knows its backups" in remove("north", "confirm=north", "remove_backups=delete", expect=2)
    docker("unpause", REPOSITORY)
    assert {node: lives(node) for node in (*NORTH, *SOUTH)} == before

    # What was restored on another host is seen from the repository host only by its note.
    beside = ("-e", "cluster=north", "-e", f"restore_host={NORTH[1]}")
    play(RESTORE, *beside, "-e", "target_type=latest", inventory=INVENTORY)
    first = f"north_latest on {NORTH[1]} was restored beside the cluster. Remove it first: restore.yml"
    assert first in remove("north", "remove_backups=delete", "plan=text")
    assert first in remove("north", "confirm=north", "remove_backups=delete", expect=2)
    play(RESTORE, *beside, "-e", "remove=north_latest", inventory=INVENTORY)

    # Killed at the moments between which something has gone for good.
    arguments = ("-e", "cluster=north", "-e", "confirm=north", "-e", "remove_backups=delete")
    killed_play(REMOVE, "Let HAProxy read what was written", *arguments, inventory=INVENTORY)
    more(of_south)
    killed_play(REMOVE, "Remove the volumes", *arguments, inventory=INVENTORY)
    late = remove("north", "confirm=north", "remove_backups=delete", "cluster_removal_timeout=0.001", expect=2)
    assert "pgbackrest stanza-delete of stanza north did not end within 0.001 s" in late
    killed_play(REMOVE, "Remove what is held of the cluster", *arguments, inventory=INVENTORY)
    killed_play(REMOVE, "Write pgBackRest's configuration", *arguments, inventory=INVENTORY)
    said = remove("north", "confirm=north", "remove_backups=delete")
    assert "north is removed" in said
    assert "The secrets are kept" in said

    assert of("container", *NORTH) == of("volume", *NORTH) == []
    # Its ports at HAProxy are gone, and those of the other are not.
    assert "north" not in shell(PROXY, "cat", "/etc/relevo/haproxy.cfg")
    wait_until(lambda: all("refused" in said for said in leads()["north"]), "HAProxy to leave the ports of north", 10)
    assert leads()["south"] == ["primary", "standby"]
    more(of_south)
    assert stanzas() == {"south": 1}
    assert keys("*north*") == []
    assert len(keys("*south*")) > 0
    assert "north" not in shell(REPOSITORY, "cat", "/etc/pgbackrest/pgbackrest.conf")
    left = (
        "find /var/lib/pgbackrest /var/log/pgbackrest /tmp/pgbackrest /run/relevo -name '*north*' -o -name '*_n[12]*'"
    )
    assert shell(REPOSITORY, "sh", "-c", left) == ""
    assert not list((FOLDER / ".secrets" / "tls").glob(f"{NAME}_n*"))
    assert {node: lives(node) for node in SOUTH} == {node: before[node] for node in SOUTH}
    # The other one goes on, backups included.
    play("backup.yml", "-e", "cluster=south", "-e", "day=2", inventory=INVENTORY)
    assert "Nothing needs attention." in play(STATUS, "-e", "cluster=south", inventory=INVENTORY).text


@pytest.mark.long
def test_what_was_removed_can_be_removed_again() -> None:
    assert "north is removed" in remove("north", "confirm=north")


@pytest.mark.long
def test_backups_that_are_kept_stay_and_can_be_read() -> None:
    """The inventory still has north, which is gone; south keeps its backups, and so its repository host."""
    assert "Its backups are kept." in remove("south", "confirm=south", "remove_backups=keep")
    assert of("container", *SOUTH) == of("volume", *SOUTH) == []
    # In front of north, which the inventory has, it stays.
    assert running(PROXY)
    assert "south" not in shell(PROXY, "cat", "/etc/relevo/haproxy.cfg")
    assert stanzas()["south"] == 2
    assert len(keys("*south*")) > 0
    kept = json.loads(shell(REPOSITORY, "pgbackrest", "--stanza=south", "--output=json", "info", user="postgres"))
    scratch = ["--stanza=south", "--pg1-path=/tmp/south", f"--set={kept[0]['backup'][0]['label']}", "restore"]
    shell(REPOSITORY, "mkdir", "-m", "0700", "/tmp/south", user="postgres")
    shell(REPOSITORY, "pgbackrest", *scratch, user="postgres")
    shell(REPOSITORY, "test", "-f", "/tmp/south/PG_VERSION")


@pytest.mark.long
def test_the_last_cluster_takes_everything_with_it() -> None:
    inventory = yaml.safe_load(INVENTORY.read_text())
    for node in NORTH:
        del inventory["all"]["children"]["postgres"]["hosts"][node]
    INVENTORY.write_text(yaml.safe_dump(inventory, sort_keys=False))
    try:
        kept = remove("south", "remove_backups=delete", "plan=text")
        said = remove("south", "confirm=south", "remove_backups=delete", "remove_secrets=true")
    finally:
        PAIRS.write_inventory()
    assert "-e remove_secrets=true deletes them" in kept
    assert "The secrets are removed" in said
    for kind in ("container", "volume", "network"):
        assert of(kind, NAME) == []
    assert not (FOLDER / ".secrets").exists()
    answer = subprocess.run(["docker", "inspect", REDIS], check=False, capture_output=True)
    assert answer.returncode != 0
