"""Machines over SSH for all tests of this folder: made before the first, removed with their data after the last.

A test that fails may leave anything behind. The next one gets new machines, so that each failure is its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if "cluster" in sys.modules:
    raise pytest.UsageError("The tests on machines have an inventory of their own: run them alone.")
# Not the names and ports of the containers' tests, which run at the same time (tests/run).
NETWORK = os.environ.setdefault("RELEVO_TEST_CLUSTER", "relevo_machines")
os.environ.setdefault("RELEVO_TEST_PORT", "15632")
FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "machines" / NETWORK
os.environ["RELEVO_TEST_INVENTORY"] = str(FOLDER / "hosts.yml")

# After the inventory was named, which they read.
import machines  # noqa: E402
from cluster import play  # noqa: E402
from failures import failed_since, pytest_runtest_makereport  # noqa: E402

__all__ = ["pytest_runtest_makereport"]


def provision() -> None:
    machines.make()
    play("site.yml")


@pytest.fixture(scope="session", autouse=True)
def provisioned() -> Iterator[None]:
    """RELEVO_MACHINES_KEEP=yes uses the machines that an earlier run left, if there are any, and leaves them there."""
    keep = os.environ.get("RELEVO_MACHINES_KEEP") == "yes"
    if not (keep and machines.there()):
        provision()
    yield
    if keep:
        return
    machines.remove()


@pytest.fixture(autouse=True)
def unharmed(provisioned: None, request: pytest.FixtureRequest) -> bool:
    """The cluster as the test before it was meant to leave it, or a new one; whether it is a new one."""
    # Some modules make machines of their own, and remove them.
    gone = not machines.there()
    anew = failed_since(request.session) or gone
    if anew:
        provision()
    return anew
