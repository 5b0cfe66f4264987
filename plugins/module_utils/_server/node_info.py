# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's own disk says, whether or not its server runs."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import _names
from . import certificate, marker, recovery, standby_minimum
from .configuration_trial import try_configuration
from .server import Server
from .service import Service
from .settings_file import settings_of


def booted() -> str | None:
    """When this node, a machine or a container, was started: the start of its first process, to the second."""
    ticks = marker.start_time(1)
    since = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    if ticks is None or since is None:
        return None
    seconds = int(since[1]) + int(ticks) / os.sysconf("SC_CLK_TCK")
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def node_info(service: Service, server: Server | None = None, configuration: bool = False) -> dict[str, Any]:
    """The shape that ``pg_node_info`` returns; ``configuration``: with what the server finds in its files."""
    server = server or Server()
    control = server.control_data() if server.initialised else None
    timeline = control.newest_timeline if control else 0
    fence, rejoin, restore = marker.read("fence"), marker.read("rejoin"), marker.read("restore")
    removed = marker.read("removed")
    guard = _names.GUARD_STATUS
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
        "restore": asdict(restore) if restore else None,
        "removed": asdict(removed) if removed else None,
        "kept_for_primary": sorted(standby_minimum.in_place()),
        **certificate.validity(),
        "configuration_written": configuration_written(),
        "configuration": configuration_info(server) if configuration else None,
        "recovery": recovery.how_far(server) if configuration else "",
        "restore_left": [path.name for path in sorted(_names.RESTORE_DIR.glob("*"))],
        "guard": json.loads(guard.read_text()) if guard.exists() else None,
    }


#: What a server reads at its start and at a reload, as far as site.yml writes it.
CONFIGURATION = (
    *(_names.CONFIG_FILE, _names.HBA_FILE, _names.IDENT_FILE),
    *(_names.CA_FILE, _names.CERTIFICATE, _names.PRIVATE_KEY),
)


def configuration_written(paths: Sequence[Path] = CONFIGURATION) -> str | None:
    """When the newest of the files that a server reads came to be where it is; None where there is none."""
    # The time of a change of the entry, not of its content: a file is written first and put in place then.
    changes = [path.stat().st_ctime for path in paths if path.exists()]
    return datetime.fromtimestamp(max(changes), UTC).isoformat() if changes else None


def configuration_info(server: Server) -> dict[str, Any] | None:
    """What the server finds in the files that are in place, and a digest of each setting; None where there are none."""
    if not _names.CONFIG_FILE.exists():
        return None
    files = {path: path.read_text() for path in CONFIGURATION[:3] if path.exists()}
    settings = settings_of(files[_names.CONFIG_FILE]) | {
        path.name: text for path, text in files.items() if path != _names.CONFIG_FILE
    }
    return {
        "faults": [fault.sentence for fault in try_configuration(server, files)],
        # The values may be somebody's secrets; whether they are alike is all that is asked.
        "settings": {name: hashlib.sha256(value.encode()).hexdigest()[:16] for name, value in settings.items()},
    }
