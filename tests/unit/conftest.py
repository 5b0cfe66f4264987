"""Make the collection importable by its full name from a plain checkout."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

import pytest

COLLECTIONS = Path(__file__).resolve().parents[2] / "collections"
sys.path.insert(0, str(COLLECTIONS))


@pytest.fixture
def repositories_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of several repositories answers the first question, which only tells whether it is there."""
    # The collection can be imported only once the path above is known.
    from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest

    monkeypatch.setattr(PgBackRest, "require_answer", lambda *_arguments: None)


@pytest.fixture
def own_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """What belongs to postgres on a node belongs to who runs the tests: here there need not be such a user."""
    account = pwd.getpwuid(os.getuid())
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: account)
