"""A third node: a cluster of its own, since a silent standby is a question only where there is another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import role_inside, takes_writes_inside
from cluster import FAILOVER, FIRST_PORT, NETWORK, REJOIN, STATUS, docker, inventory, play, wait_until

THREE = f"{NETWORK}3"
FIRST, SECOND, THIRD, REPOSITORY = (f"{THREE}_{name}" for name in ("primary", "standby", "third", "pgbackrest"))


@pytest.fixture(scope="module")
def three() -> Iterator[Path]:
    """The inventory of a cluster with two standbys, which lives as long as this module's tests."""
    path = inventory(THREE, FIRST_PORT + 20, others=["third"])
    play("playbooks/down.yml", "-e", "down_data=true", inventory=path)
    play("site.yml", inventory=path)
    yield path
    play("playbooks/down.yml", "-e", "down_data=true", inventory=path)


@pytest.mark.long
def test_a_silent_node_that_was_promoted_unseen_is_not_promoted_beside(three: Path) -> None:
    """The archive never learns of the promotion, and the last standby knows only of the first primary."""
    docker("stop", REPOSITORY)
    docker("pause", THIRD)
    docker("kill", FIRST)
    said = play(FAILOVER, inventory=three, expect=2).text
    assert f"{SECOND} is primary and takes writes, but the repository host" in said
    assert takes_writes_inside(SECOND)

    docker("pause", SECOND)
    docker("start", THIRD)
    wait_until(lambda: role_inside(THIRD) == "standby", f"{THIRD} to answer as a standby", 30)
    said = play(FAILOVER, inventory=three, expect=2).text
    assert f"{SECOND} does not answer, and was promoted to timeline 2, which {THIRD} does not know" in said
    assert role_inside(THIRD) == "standby"

    # Stopped to be asked, it comes back as the primary that it was.
    docker("start", SECOND, REPOSITORY)
    wait_until(lambda: takes_writes_inside(SECOND), f"{SECOND} to take writes again", 60)
    said = play(REJOIN, inventory=three).text
    assert f"{SECOND} is primary." in said
    assert f"{THIRD} follows it" in said
    assert "2 streaming" in play(STATUS, inventory=three).text
