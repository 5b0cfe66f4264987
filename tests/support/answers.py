"""Servers' answers as the unit tests need them."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Life, Peer


def primary(name: str, lsn: str = "0/5000000", timeline: int = 1, **more: Any) -> NodeState:
    return NodeState(Peer(name, name), {"in_recovery": False, "timeline": timeline, "current_lsn": lsn, **more})


def standby(name: str, lsn: str = "0/5000000", timeline: int = 1, **more: Any) -> NodeState:
    return NodeState(Peer(name, name), {"in_recovery": True, "timeline": timeline, "replay_lsn": lsn, **more})


def unreachable(name: str, error: str = "no answer", life: Life = "none") -> NodeState:
    return NodeState(Peer(name, name), error=error, life=life)
