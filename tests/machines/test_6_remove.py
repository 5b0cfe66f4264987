"""The removal of a cluster on machines: only packages are left, and a new one can be made there."""

from __future__ import annotations

import subprocess

import pytest
from cluster import PRIMARY, REPOSITORY, SECRETS, STANDBY, docker, killed_play, labels, play, psql, shell
from machines import MACHINES

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
