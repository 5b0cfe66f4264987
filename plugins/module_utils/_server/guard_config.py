# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the start guard of a node was told: its peers, its repository, and what to do when nobody answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from .. import _names
from .peer import Peer

GUARD_CONFIG = _names.CONFIG_DIR / "guard.json"


@dataclass(frozen=True)
class GuardConfig:
    """/etc/relevo/guard.json, as ``pg_start_guard`` writes it."""

    node: str
    peers: tuple[Peer, ...] = ()
    stanza: str = "main"
    repository: bool = False
    isolated: Literal["wait", "start"] = "wait"
    timeout_s: float = 4.0

    @classmethod
    def from_json(cls, text: str) -> GuardConfig:
        given = json.loads(text)
        peers = tuple(Peer.from_dict(peer) for peer in given["peers"] if peer["name"] != given["node"])
        return cls(
            node=given["node"],
            peers=peers,
            stanza=given["stanza"],
            repository=bool(given["repository"]),
            isolated="start" if given["isolated"] == "start" else "wait",
            timeout_s=float(given["timeout_s"]),
        )
