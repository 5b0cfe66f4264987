"""What outlives a server that was stopped for a restore in place."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.modules import pg_restore_hold


def test_a_restore_command_that_outlives_its_server_is_waited_for() -> None:
    seen = [[307], [307], []]
    pg_restore_hold.require_nobody_left(cast("Any", SimpleNamespace(processes=lambda: seen.pop(0))), "a")
    assert seen == []


def test_what_does_not_end_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pg_restore_hold, "OUTLIVE", 0.1)
    said = r"processes of it are left after 0.1 s: 307, 308. Its data were not touched. End them, then run this again."
    with pytest.raises(RelevoError, match=said):
        pg_restore_hold.require_nobody_left(cast("Any", SimpleNamespace(processes=lambda: [307, 308])), "a")
