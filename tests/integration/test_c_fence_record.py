"""The record of a fence, in a repository that is not where pgBackRest would have it: written, heeded, withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import role_inside
from cluster import FAILOVER, FIRST_PORT, NETWORK, REJOIN, docker, guard_says, inventory, play, shell, wait_until

OWN = f"{NETWORK}4"
FIRST, SECOND, REPOSITORY = (f"{OWN}_{name}" for name in ("primary", "standby", "pgbackrest"))
DIRECTORY = "/var/lib/pgbackrest/elsewhere"
RECORD = f"{DIRECTORY}/relevo/fence/{FIRST}.json"


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Path]:
    """The inventory of a cluster whose repository has a path of its own."""
    path = inventory(OWN, FIRST_PORT + 30)
    text = path.read_text().replace("  vars:\n", f"  vars:\n    pgbackrest_repo_path: {DIRECTORY}\n", 1)
    assert DIRECTORY in text
    path.write_text(text)
    play("playbooks/down.yml", "-e", "down_data=true", inventory=path)
    play("site.yml", inventory=path)
    yield path
    play("playbooks/down.yml", "-e", "down_data=true", inventory=path)


def records() -> list[str]:
    return shell(REPOSITORY, "find", "/var/lib/pgbackrest", "-name", f"{FIRST}.json").split()


@pytest.mark.long
def test_a_node_whose_disk_cannot_be_marked_is_kept_down_by_the_record(elsewhere: Path) -> None:
    # Under another name the engine has no such container, as if it had been removed; its disk is left as it is.
    docker("kill", FIRST)
    docker("rename", FIRST, f"{FIRST}_gone")
    said = play(FAILOVER, inventory=elsewhere).text
    assert f"{SECOND} accepts writes" in said
    assert records() == [RECORD]

    docker("rename", f"{FIRST}_gone", FIRST)
    # So that only the record speaks against it.
    docker("pause", SECOND)
    docker("start", FIRST)
    wait_until(lambda: "keeps a record that it was fenced" in guard_says(FIRST)["reason"], "the guard's verdict", 60)
    assert guard_says(FIRST)["verdict"] == "refuse"

    docker("unpause", SECOND)
    assert f"{FIRST} follows" in play(REJOIN, inventory=elsewhere).text
    assert role_inside(FIRST) == "standby"
    assert records() == []
    assert play("site.yml", inventory=elsewhere).changed == 0
