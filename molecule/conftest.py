"""What the verification of every scenario needs: the nodes of molecule/inventory.yml."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import testinfra
from testinfra.host import Host


@pytest.fixture(scope="session")
def node() -> Callable[[str], Host]:
    """Return a function that gives the testinfra host of a node: ``node("primary")`` is relevo_test_primary.

    By the docker client (0.06 s a command), not by the inventory's connection: testinfra starts a whole
    ansible for each command then (1.5 s).
    """

    def get(name: str) -> Host:
        return testinfra.get_host(f"docker://relevo_test_{name}")

    return get
