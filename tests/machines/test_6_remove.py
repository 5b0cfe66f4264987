"""The removal of a cluster on machines: beside another on the same repository host, which notices nothing, and of all
there is: only packages are left, and a new one can be made there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from clients import Writer, more
from cluster import (
    INVENTORY,
    NETWORK,
    PRIMARY,
    REPOSITORY,
    SECRETS,
    STANDBY,
    docker,
    killed_play,
    labels,
    missing,
    nothing_needs_attention,
    play,
    psql,
    records,
    rows_of,
    shell,
)
from machines import MACHINES, away, further

pytestmark = pytest.mark.long

REMOVE = "playbooks/remove.yml"
ANSWERS = ("-e", "confirm=main", "-e", "remove_backups=delete")
#: Where something of ours would be. What Debian's packages bring is left out.
LEFT = (
    "ls -d /etc/relevo /etc/systemd/system/relevo-* /etc/systemd/system/*.d/relevo.conf /etc/pgbackrest/pgbackrest.conf"
    " /var/lib/postgresql/[0-9]*/main /var/lib/postgresql/relevo /var/lib/postgresql/log /var/lib/pgbackrest/*"
    " /etc/systemd/system/*.wants/relevo-* /run/relevo/operation-lock/*.json 2>/dev/null"
)


def left(machine: str) -> list[str]:
    done = subprocess.run(["docker", "exec", machine, "sh", "-c", LEFT], check=False, capture_output=True, text=True)
    return done.stdout.split()


def servers(machine: str) -> str:
    done = subprocess.run(
        ["docker", "exec", machine, "pgrep", "-a", "postgres|pgbackrest"], check=False, capture_output=True
    )
    return done.stdout.decode()


SHOP = f"{NETWORK}_shop"
WITH_SHOP = INVENTORY.with_name("shop_hosts.yml")
OF_SHOP = ("-e", "cluster=shop")
SHOP_ANSWERS = (*OF_SHOP, "-e", "confirm=shop", "-e", "remove_backups=delete")
#: What the nodes of a cluster have of ours.
FILES = "find /etc/relevo /etc/pgbackrest /etc/systemd/system -type f -exec sha256sum {} + | sort"
#: What the repository host has of a cluster: its backups as they are, and of its archive, which grows, the names.
BACKUPS = "find /var/lib/pgbackrest/backup/main -type f -exec sha256sum {} + | sort"
ARCHIVE = "find /var/lib/pgbackrest/archive/main -type f -name '[0-9A-F]*'"
PROCESSES = "systemctl show -p MainPID --value relevo-postgresql relevo-pgbackrest redis-server"


@pytest.fixture
def shop(unharmed: bool) -> Iterator[None]:
    """A second cluster, of one machine, on the repository host and the Redis of the first one."""
    hosts = yaml.safe_load(INVENTORY.read_text())
    servers = hosts["all"]["children"]["nodes"]["children"]["postgres"]["hosts"]
    servers[SHOP] = {**further(SHOP)[SHOP], "node_cluster": "shop", "node_preferred_primary": True}
    WITH_SHOP.write_text(yaml.safe_dump(hosts))
    yield
    away(SHOP)
    WITH_SHOP.unlink()


def processes() -> dict[str, str]:
    """Of the first cluster and of what serves both: none of them is restarted."""
    return {machine: shell(machine, "sh", "-c", PROCESSES) for machine in MACHINES}


def of_main() -> dict[str, object]:
    """What the removal of another cluster leaves as it is."""
    return {
        "files": {node: shell(node, "sh", "-c", FILES) for node in (PRIMARY, STANDBY)},
        "backups": shell(REPOSITORY, "sh", "-c", BACKUPS),
        "records": records(),
        "processes": processes(),
        "secrets": {path: path.read_bytes() for path in SECRETS.rglob("*") if path.is_file() and SHOP not in path.name},
    }


def archive() -> set[str]:
    return set(shell(REPOSITORY, "sh", "-c", ARCHIVE).split())


def stanzas() -> dict[str, int]:
    said = shell(REPOSITORY, "pgbackrest", "--output=json", "info", user="postgres")
    return {one["name"]: len(one["backup"]) for one in json.loads(said)}


def redis_keys(pattern: str) -> list[str]:
    password = (SECRETS / "redis").read_text().strip()
    asked = ("redis-cli", "--raw", "keys", pattern)
    return shell(REPOSITORY, "env", f"REDISCLI_AUTH={password}", *asked).split()


def test_a_cluster_goes_and_the_other_on_its_repository_machine_notices_nothing(shop: None) -> None:
    started = processes()
    with Writer() as writer:
        more(writer)
        play("site.yml", inventory=WITH_SHOP)
        play("backup.yml", "-e", "backup_force=true", inventory=WITH_SHOP)
        assert set(stanzas()) == {"main", "shop"}
        assert min(stanzas().values()) > 0
        psql(SHOP, "CREATE TABLE sold (id int)")
        assert len(redis_keys("*shop*")) > 0
        # Coming cost it nothing either.
        assert processes() == started
        before, archived, newest = of_main(), archive(), labels()[-1]
        shown = play(REMOVE, *SHOP_ANSWERS, "-e", "plan=text", inventory=WITH_SHOP).text
        assert f"{REPOSITORY} stays, since main needs it" in shown
        for at in ("Clear the machine", "Remove what is held of the cluster", "Write pgBackRest's configuration"):
            killed_play(REMOVE, at, *SHOP_ANSWERS, inventory=WITH_SHOP)
            more(writer)
        said = play(REMOVE, *SHOP_ANSWERS, inventory=WITH_SHOP).text
        assert "shop is removed" in said
        assert "The secrets are kept" in said
        more(writer)

        assert left(SHOP) == []
        assert servers(SHOP) == ""
        assert set(stanzas()) == {"main"}
        assert redis_keys("*shop*") == []
        assert "shop" not in shell(REPOSITORY, "cat", "/etc/pgbackrest/pgbackrest.conf")
        of_shop = "find /var/lib/pgbackrest /var/log/pgbackrest /etc/relevo -name '*shop*'"
        assert shell(REPOSITORY, "sh", "-c", of_shop) == ""
        assert not list((SECRETS / "tls").glob(f"{SHOP}.*"))
        assert of_main() == before
        assert archived <= archive()
        more(writer)
    assert writer.trouble == writer.last_error == ""
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    # It goes on, backups included.
    play("backup.yml", "-e", "backup_force=true")
    assert labels()[-1] > newest
    assert play("site.yml").changed == 0
    nothing_needs_attention()


def test_a_cluster_on_machines_leaves_nothing_behind() -> None:
    if not labels():
        play("backup.yml")
    psql(PRIMARY, "CREATE TABLE IF NOT EXISTS removed (id int)")
    shell(PRIMARY, "install", "-d", "-o", "postgres", "/srv/fast")
    shell(STANDBY, "install", "-d", "-o", "postgres", "/srv/fast")
    shell(PRIMARY, "psql", "-qc", "CREATE TABLESPACE fast LOCATION '/srv/fast'", user="postgres")
    refused = play(REMOVE, "-e", "confirm=main", expect=2).text
    assert "Say what becomes of them" in refused
    docker("pause", STANDBY)
    try:
        unreachable = play(REMOVE, *ANSWERS, expect=2).text
    finally:
        docker("unpause", STANDBY)
    assert f"{STANDBY} does not answer" in unreachable
    assert psql(PRIMARY, "SELECT count(*) FROM removed") == "0"
    # Somebody else's.
    (SECRETS / "notes").touch()
    killed_play(REMOVE, "Clear the machine", *ANSWERS)
    killed_play(REMOVE, "Remove the keys and certificates", *ANSWERS)
    assert (SECRETS / "tls" / "ca.key").exists()

    said = play(REMOVE, *ANSWERS, "-e", "remove_secrets=true").text
    assert "main is removed" in said
    assert f"The secrets are removed. What else is in {SECRETS} is not known here and stays: notes." in said
    assert {machine: left(machine) for machine in MACHINES} == {machine: [] for machine in MACHINES}
    assert {machine: servers(machine) for machine in MACHINES} == dict.fromkeys(MACHINES, "")
    assert shell(PRIMARY, "ls", "/srv/fast") == ""
    assert [path.name for path in SECRETS.iterdir()] == ["notes"]
    (SECRETS / "notes").unlink()
    shell(REPOSITORY, "test", "-d", "/var/lib/pgbackrest")


def test_a_new_cluster_is_made_there() -> None:
    play("site.yml")
    assert psql(PRIMARY, "SELECT to_regclass('removed') IS NULL") == "t"
    play("backup.yml")
    assert len(labels()) == 1
