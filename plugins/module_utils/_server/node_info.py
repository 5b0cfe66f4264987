# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's own disk says, whether or not its server runs."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import _names
from . import certificate, marker
from .server import Server
from .service import Service


def booted() -> str | None:
    """When this node, a machine or a container, was started: the start of its first process, to the second."""
    ticks = marker.start_time(1)
    since = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    if ticks is None or since is None:
        return None
    seconds = int(since[1]) + int(ticks) / os.sysconf("SC_CLK_TCK")
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def node_info(service: Service, server: Server | None = None) -> dict[str, Any]:
    """The shape that ``pg_node_info`` returns."""
    server = server or Server()
    control = server.control_data() if server.initialised else None
    timeline = control.newest_timeline if control else 0
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
        "booted": booted(),
        # A marker that a later promotion of this node made void is not news.
        "fence": asdict(fence) if fence and fence.in_force(timeline) else None,
        "rejoin": asdict(rejoin) if rejoin else None,
        "certificate_days": certificate.days_left(),
        "guard": json.loads(guard.read_text()) if guard.exists() else None,
    }
