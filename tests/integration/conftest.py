"""One cluster for all tests of this folder: made before the first, removed with its data after the last.

A test that fails may leave anything behind. The next one gets a new cluster, so that each failure is its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from cluster import PRIMARY, docker, labels, play, provision
from failures import failed_since, pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]


@pytest.fixture(scope="session", autouse=True)
def provisioned() -> Iterator[None]:
    """RELEVO_INTEGRATION_KEEP=yes uses the cluster that an earlier run left, if there is one, and leaves it there."""
    keep = os.environ.get("RELEVO_INTEGRATION_KEEP") == "yes"
    if not (keep and docker("ps", "--quiet", "--filter", f"name=^{PRIMARY}$").strip()):
        provision()
    yield
    if keep:
        return
    play("playbooks/down.yml", "-e", "down_data=true")


@pytest.fixture(autouse=True)
def unharmed(provisioned: None, request: pytest.FixtureRequest) -> bool:
    """The cluster as the test before it was meant to leave it, or a new one; whether it is a new one."""
    failed = failed_since(request.session)
    if failed:
        provision()
    return failed


@pytest.fixture
def backed_up(unharmed: bool) -> None:
    """There is a backup, without which ``status.yml`` complains: for a module of tests that is run alone."""
    if not labels():
        play("backup.yml")
