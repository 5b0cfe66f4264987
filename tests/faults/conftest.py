"""One cluster for all cases: made before the first, removed with its data after the last."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from cluster import play
from controller import LOG
from result import Result, earlier, machine, merged, publish, save
from scene import provision


@pytest.fixture(scope="session")
def results() -> Iterator[list[Result]]:
    """What became of the cases so far.

    RELEVO_FAULTS_KEEP=yes uses the cluster that is there, and leaves it there. RELEVO_FAULTS_MERGE=yes puts the chosen
    cases into those that are published.
    """
    keep = os.environ.get("RELEVO_FAULTS_KEEP") == "yes"
    if not keep:
        provision()
    LOG.unlink(missing_ok=True)
    where = machine()
    found = earlier() if merged() else []
    yield found
    save(found)
    publish(found, where)
    if not keep:
        play("playbooks/down.yml", "-e", "down_data=true")
