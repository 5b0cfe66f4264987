# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's own disk says, whether or not its server runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from .. import _names
from . import marker
from .server import Server
from .service import Service


def node_info(service: Service, server: Server | None = None) -> dict[str, Any]:
    """The shape that ``pg_node_info`` returns."""
    server = server or Server()
    control = server.control_data() if server.initialised else None
    # Before its first checkpoint a promoted server's new timeline is in the second field only.
    timeline = max(control.timeline, control.min_recovery_timeline) if control else 0
    fence, rejoin = marker.read("fence"), marker.read("rejoin")
    guard = _names.MARKER_DIR / "guard-status.json"
    return {
        "initialised": server.initialised,
        "state": control.state if control else None,
        "timeline": timeline,
        "system_identifier": control.system_identifier if control else None,
        "standby": server.initialised and server.is_standby_configured,
        "running": server.postmaster_pid() is not None,
        "wanted": service.wanted(),
        # A marker that a later promotion of this node made void is not news.
        "fence": asdict(fence) if fence and fence.in_force(timeline) else None,
        "rejoin": asdict(rejoin) if rejoin else None,
        "guard": json.loads(guard.read_text()) if guard.exists() else None,
    }
