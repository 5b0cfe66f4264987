"""A third node: a cluster of its own, since a silent standby is a question only where there is another."""

from __future__ import annotations

import json
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
    STATUS,
    docker,
    inventory,
    play,
    shell,
    wait_until,
)

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
    assert f"{THIRD} follows {SECOND}" in said
    assert "2 streaming" in play(STATUS, inventory=three).text


@pytest.mark.long
def test_a_node_whose_removal_was_cut_off_is_passed_by_before_anybody_is_fenced(three: Path) -> None:
    """Between its marker and its stop: it still follows the primary."""
    play(FAILBACK, inventory=three)
    removed = "/var/lib/postgresql/relevo/removed.json"
    marker = json.dumps({"node": THIRD, "by": "alice", "at": "2026-01-01T00:00:00+00:00"})
    shell(THIRD, "sh", "-c", f"cat > {removed}", user="postgres", stdin=marker)
    docker("kill", FIRST)
    refused = play(FAILOVER, "-e", f"candidate={THIRD}", inventory=three, expect=2)
    assert f"{THIRD} was removed from its cluster by alice" in refused.text
    assert refused.changed == 0
    docker("pause", SECOND)
    try:
        refused = play(FAILOVER, inventory=three, expect=2)
    finally:
        docker("unpause", SECOND)
    assert f"No other node answers that could take over. {THIRD} was removed from its cluster by alice" in refused.text
    assert refused.changed == 0

    done = play(FAILOVER, inventory=three).text
    assert takes_writes_inside(SECOND)
    assert role_inside(THIRD) != "primary"
    assert f"{THIRD} was removed from its cluster by alice" in done

    shell(THIRD, "rm", removed)
    docker("start", FIRST)
    play(REJOIN, inventory=three)
    assert "2 streaming" in play(STATUS, inventory=three).text
