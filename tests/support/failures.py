"""Whether a test has failed, and so may have left anything behind: for a conftest.py that imports both."""

from __future__ import annotations

from collections.abc import Generator

import pytest

BROKEN = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.session.stash[BROKEN] = True
    return report


def failed_since(session: pytest.Session) -> bool:
    """Whether one has failed since this was last asked."""
    broken = session.stash.get(BROKEN, False)
    session.stash[BROKEN] = False
    return broken
