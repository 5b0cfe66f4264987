"""A cluster whose only repository is a bucket: what needs a directory finds a place elsewhere, or is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from clients import role_inside
from cluster import (
    FAILOVER,
    FIRST_PORT,
    NETWORK,
    REJOIN,
    docker,
    guard_says,
    inventory,
    killed_play,
    play,
    psql,
    running,
    shell,
    wait_until,
)
from restores import IN_PLACE, RECORD, RESTORE
from s3_server import BUCKET, KEY, SECRET, S3Server

OWN = f"{NETWORK}7"
FIRST, SECOND, REPOSITORY = (f"{OWN}_{name}" for name in ("primary", "standby", "pgbackrest"))


@pytest.fixture(scope="module")
def in_bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The inventory of a cluster that was founded with it. Every container reaches the engine's own network."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.serve("bridge")
    path = inventory(OWN, FIRST_PORT + 30)
    found = yaml.safe_load(path.read_text())
    # Of the repository host alone: the servers know it by its name.
    found["all"]["children"]["pgbackrest"]["hosts"][REPOSITORY] = {
        "pgbackrest_options": {
            "repo1-type": "s3",
            "repo1-path": "/cluster",
            "repo1-s3-bucket": BUCKET,
            "repo1-s3-endpoint": f"{server.address}:{server.port}",
            "repo1-s3-region": "nowhere",
            "repo1-s3-key": KEY,
            "repo1-s3-key-secret": SECRET,
            "repo1-s3-uri-style": "path",
            "repo1-storage-verify-tls": "n",
        }
    }
    path.write_text(yaml.safe_dump(found, sort_keys=False))
    play("playbooks/down.yml", "-e", "down_data=true", inventory=path)
    play("site.yml", inventory=path)
    play("backup.yml", inventory=path)
    yield path
    play("playbooks/down.yml", "-e", "down_data=true", inventory=path)
    server.stop()


def records() -> list[str]:
    return shell(REPOSITORY, "find", "/var/lib/pgbackrest", "-name", "*.json").split()


@pytest.mark.long
def test_a_cluster_goes_back_out_of_it(in_bucket: Path) -> None:
    psql(FIRST, "CREATE TABLE kept AS SELECT 42 AS answer")
    time.sleep(1.1)  # of which the plan knows the end of a backup to the second
    before = psql(FIRST, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    psql(FIRST, "DROP TABLE kept")
    play("playbooks/restore_point.yml", "-e", "point=after_the_drop", inventory=in_bucket)
    command = (*IN_PLACE, "-e", f"target={before}")
    killed_play(RESTORE, "Restore, and wait until the target is reached", *command, inventory=in_bucket)
    # Its record is on the host's own disk, and everybody heeds it.
    assert records() == [RECORD]
    for name in ("backup.yml", "site.yml"):
        assert "is being restored in place" in play(name, inventory=in_bucket, expect=2).text
    play(RESTORE, *command, inventory=in_bucket)
    assert psql(FIRST, "SELECT answer FROM kept") == "42"
    assert role_inside(SECOND) == "standby"
    assert records() == []
    assert play("site.yml", inventory=in_bucket).changed == 0


@pytest.mark.long
def test_an_emergency_that_could_leave_no_mark_is_refused_before_anything_is_touched(in_bucket: Path) -> None:
    # Under another name the engine has no such container, as if it had been removed; its disk is left as it is.
    docker("kill", FIRST)
    docker("rename", FIRST, f"{FIRST}_gone")
    refused = play(FAILOVER, inventory=in_bucket, expect=2).text
    assert "No record of a fence can be kept here" in refused
    assert "Nothing was touched." in refused
    assert role_inside(SECOND) == "standby"
    assert f"{SECOND} accepts writes" in play(FAILOVER, "-e", "force=true", inventory=in_bucket).text
    assert records() == []

    # Nothing but the archive speaks against the old one.
    docker("rename", f"{FIRST}_gone", FIRST)
    docker("pause", SECOND)
    docker("start", FIRST)
    wait_until(lambda: "which descends from this node's timeline" in guard_says(FIRST)["reason"], "its verdict", 60)
    assert guard_says(FIRST)["verdict"] == "refuse"
    docker("unpause", SECOND)
    assert f"{FIRST} follows" in play(REJOIN, inventory=in_bucket).text
    assert running(FIRST)
    assert role_inside(FIRST) == "standby"
