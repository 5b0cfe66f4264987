"""A cluster in which every variable is something else than its default: made before the first test, removed at last."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from nondefault import ran


@pytest.fixture(scope="session", autouse=True)
def provisioned() -> Iterator[None]:
    """RELEVO_VARIABLES_KEEP=yes uses the cluster that is there, and leaves it there."""
    if os.environ.get("RELEVO_VARIABLES_KEEP") == "yes":
        yield
        return
    ran("playbooks/down.yml", "-e", "down_data=true")
    ran("site.yml")
    ran("backup.yml", "-e", "day=1")
    yield
    ran("playbooks/down.yml", "-e", "down_data=true")
