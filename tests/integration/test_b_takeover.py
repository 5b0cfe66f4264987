"""A cluster that an older commit made is taken over by site.yml: no server is restarted, and everything goes on.

The older commit is the last one before the collection got its folders: its guard's files stand flat on the nodes, its
modules and its lock have other names. Its own code makes the cluster, from a checkout of git's history.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import role_inside, takes_writes_inside
from cluster import (
    FAILBACK,
    FAILOVER,
    FIRST_PORT,
    NETWORK,
    REJOIN,
    ROOT,
    STATUS,
    docker,
    inventory,
    nothing_needs_attention,
    play,
    shell,
    wait_until,
)

OLDER = "fac38b71c00a51311b162a1f9c5ad9780c455564"
NAME = f"{NETWORK}_old"
FIRST, SECOND, REPOSITORY, REDIS = (f"{NAME}_{name}" for name in ("primary", "standby", "pgbackrest", "redis"))
NODES = (FIRST, SECOND)
GUARD = "/etc/relevo/lib/relevo"


def git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, timeout=120)
    assert done.returncode == 0, (
        f"The history has no commit {OLDER[:7]}, with which this test makes the older cluster. Fetch all of it "
        f"(git fetch --unshallow). git said: {done.stderr.decode(errors='replace').strip()}"
    )
    return done.stdout


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The older commit in a folder of its own; the link in ``collections`` makes it complete in itself."""
    folder = tmp_path_factory.mktemp("older")
    archive = git("archive", "--format=tar", OLDER)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True, timeout=60)
    assert (folder / "collections" / "ansible_collections" / "relevo" / "postgres" / "site.yml").is_file()
    return folder


@pytest.fixture(scope="module")
def cluster(older: Path) -> Iterator[Path]:
    """A cluster that the older commit has made and backed up; returns today's inventory of it."""
    port = FIRST_PORT + 40
    now, then = inventory(NAME, port), inventory(NAME, port, root=older, name="older")
    play("playbooks/down.yml", "-e", "down_data=true", inventory=now)
    play("site.yml", inventory=then, root=older)
    play("backup.yml", inventory=then, root=older)
    yield now
    play("playbooks/down.yml", "-e", "down_data=true", inventory=now)


def lives() -> dict[str, list[str]]:
    """What changes when a container, a supervised process or a server is started anew."""
    services = {FIRST: "postgresql", SECOND: "postgresql", REPOSITORY: "pgbackrest", REDIS: "redis"}
    found = {
        node: [
            docker("inspect", "-f", "{{.State.StartedAt}}", node).strip(),
            shell(node, "cat", f"/etc/service/{service}/supervise/pid").strip(),
        ]
        for node, service in services.items()
    }
    for node in NODES:
        found[node].append(ask(node, "SELECT pg_postmaster_start_time()"))
    return found


def ask(node: str, sql: str) -> str:
    return shell(node, "psql", "-XAtc", sql, user="postgres").strip()


def guard_folders(node: str) -> list[str]:
    return [name for name in shell(node, "ls", GUARD).split() if name.startswith("guard_")]


def wait_until_it_has(node: str, role: str) -> None:
    wait_until(lambda: role_inside(node) == role, f"{node} to come back as the {role}", 60)


def owed(cluster: Path, node: str) -> bool:
    """Whether ``status.yml`` says that a node lacks the reserved connections until it is restarted."""
    said = play(STATUS, inventory=cluster).text
    return re.search(rf"{node} must be restarted for [^.]*\breserved_connections\b", said) is not None


@pytest.mark.long
def test_the_cluster_of_an_older_commit_is_taken_over(cluster: Path) -> None:
    assert [guard_folders(node) for node in NODES] == [[], []], "the older commit has no folders: it proves nothing"
    before = lives()

    play("site.yml", inventory=cluster)
    assert lives() == before, "a server was restarted"
    assert play("site.yml", inventory=cluster).changed == 0
    assert lives() == before
    # What keeps connections back for ours is only in force once a server has been restarted, on standbys, too.
    assert [owed(cluster, node) for node in NODES] == [True, True]

    # The service manager runs what was installed last, whoever starts the server.
    for node in NODES:
        assert len(guard_folders(node)) == 1
        docker("restart", node)
        wait_until_it_has(node, "primary" if node == FIRST else "standby")
    play(REJOIN, inventory=cluster)
    assert [owed(cluster, node) for node in NODES] == [False, False]

    play(FAILOVER, inventory=cluster)
    assert takes_writes_inside(SECOND)
    play(FAILBACK, inventory=cluster)
    assert takes_writes_inside(FIRST)
    assert role_inside(SECOND) == "standby"
    play("backup.yml", "-e", "day=2", inventory=cluster)
    nothing_needs_attention(play(STATUS, inventory=cluster).output)
