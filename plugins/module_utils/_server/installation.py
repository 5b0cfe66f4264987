# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which PostgreSQL a node has: what its configuration says, and the data that are on its disk."""

from __future__ import annotations

import re
from pathlib import Path

from .. import _names
from .._errors import RelevoError

_DATA_DIRECTORY = re.compile(r"^data_directory = '(.*)'$", re.MULTILINE)
_PORT = re.compile(r"^port = '([0-9]+)'$", re.MULTILINE)


def configured_version(config_file: Path = _names.CONFIG_FILE) -> str:
    """The major version for which ``site.yml`` configured this node.

    The server itself is started with this file, so nothing else has to be kept in step with it.
    """
    try:
        found = _DATA_DIRECTORY.findall(config_file.read_text())
    except FileNotFoundError:
        raise RelevoError(f"This node is not configured: there is no {config_file}. Run site.yml first.") from None
    # The server takes the last one too.
    data = Path(found[-1]) if found else Path()
    version = data.parent.name
    if not version.isdecimal() or data != _names.data_directory(version):
        raise RelevoError(
            f"{config_file} has the data directory {data}, which is not {_names.data_directory('VERSION')}. "
            "Take data_directory out of postgresql_parameters, then run site.yml."
        )
    return version


def local_port(config_file: Path = _names.CONFIG_FILE) -> int:
    """The port in the name of this node's socket: of the server that runs, or else of its configuration.

    A port that was changed in the configuration is another one until the server has been restarted.
    """
    if not config_file.exists():
        return _names.PORT
    text = config_file.read_text()
    pid_file = Path(_DATA_DIRECTORY.findall(text)[-1]) / "postmaster.pid"
    # Its lines: pid, data directory, time of the start, port (LOCK_FILE_LINE_PORT in pidfile.h).
    lines = pid_file.read_text().splitlines() if pid_file.exists() else []
    configured = _PORT.findall(text)
    found = lines[3] if len(lines) > 3 else configured[-1] if configured else str(_names.PORT)
    return int(found)


def version_at_socket(port: int) -> int:
    """The major version of the server with this port in its socket's name; the oldest where that is not known.

    It is wanted before there is a session. The socket's lock has the data directory in its second line.
    """
    lock = _names.SOCKET_DIR / f".s.PGSQL.{port}.lock"
    try:
        return int((Path(lock.read_text().splitlines()[1]) / "PG_VERSION").read_text())
    except (OSError, IndexError, ValueError):
        return _names.OLDEST_VERSION


def port_refusal(wanted: int | None, listening: int | None) -> str:
    """Why a node cannot be set up for a port while its server runs, as a sentence; empty where it can.

    ``listening`` is the port of the server that runs, None where none does: its peers would ask at the wrong one.
    """
    if wanted is None or listening in (None, wanted):
        return ""
    return (
        f"The server listens on port {listening}, but postgresql_port is {wanted}. Set it back; or, to move, stop the "
        "cluster's servers, the standbys first, and run site.yml, which starts them there."
    )


def configured_wal_level(config_file: Path = _names.CONFIG_FILE) -> str:
    """The ``wal_level`` with which ``site.yml`` lets this node's server start; empty where it is not configured."""
    found = re.findall(r"^wal_level = '(.*)'$", config_file.read_text(), re.MULTILINE) if config_file.exists() else []
    return found[-1] if found else ""


def versions_with_data(root: Path = _names.DATA_ROOT) -> list[str]:
    """The major versions of which there is a data directory on this node's disk, the oldest first."""
    found = {path.parents[1].name for path in root.glob("*/main/PG_VERSION")}
    return sorted(filter(str.isdecimal, found), key=int)


def refusal(wanted: str, present: list[str]) -> str:
    """Why a node cannot be set up for a major version, as a sentence; empty where it can.

    ``present`` are the versions of which it has data. Beside data of the wanted one others are what was left over.
    """
    if not present or wanted in present:
        return ""
    return (
        f"The data are of PostgreSQL {' and '.join(present)}, but postgresql_version is {wanted}. "
        f"site.yml makes no major upgrade: set postgresql_version to {present[-1]}."
    )
