"""One cluster for all tests of this folder: made before the first, removed with its data after the last."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import play


@pytest.fixture(scope="session", autouse=True)
def provisioned() -> Iterator[None]:
    """Provision from nothing; whatever an earlier run left is removed first."""
    play("playbooks/down.yml", "-e", "down_data=true")
    play("site.yml")
    yield
    play("playbooks/down.yml", "-e", "down_data=true")
