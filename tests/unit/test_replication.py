"""What wakes a standby that was asked to promote itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._server import replication
from ansible_collections.relevo.postgres.plugins.module_utils._server.replication import Alarm
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import Session


def test_it_rings_at_once_and_then_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time all processes of the server read its configuration."""
    now, rung = 100.0, list[float]()
    monkeypatch.setattr(replication, "time", SimpleNamespace(monotonic=lambda: now))
    session = cast("Session", SimpleNamespace(query=lambda _statement: rung.append(round(now - 100, 2))))
    alarm = Alarm()
    for hundredth in range(500):
        now = 100 + hundredth / 100
        assert not alarm.ring(session)
    assert rung[:4] == pytest.approx([0, 0.03, 0.09, 0.21], abs=0.02)
    assert rung[-1] - rung[-2] == pytest.approx(1)
    assert len(rung) < 12
